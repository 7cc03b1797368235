#include "control/conversion.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "engine/saved_job.h"

namespace plm {

namespace {

// Counting a collection on a source far away takes round trips, and little else.
constexpr int kThreads = 8;

// The report is a part of one saved document, and must fit into it.
constexpr std::size_t kMostReported = 4000;
constexpr std::size_t kMostReasonBytes = 1000;
constexpr std::size_t kMostWaived = 1000;
constexpr std::size_t kMostWaivedBytes = 4U << 20U;

void put_differences(const std::vector<std::string>& differences, std::vector<std::string>& out) {
  const std::size_t count = std::min(differences.size(), kMostReported);
  out.clear();
  for (const std::string& difference : std::span(differences).first(count)) {
    out.push_back(difference.substr(0, kMostReasonBytes));
  }
  if (differences.size() > count) {
    out.push_back("and " + std::to_string(differences.size() - count) + " more");
  }
}

// Takes the place of what was said before.
void put(const FinalReport& report, StatusReport::Finalization& out) {
  put_differences(report.differences, out.differences);
  const std::size_t count = std::min(report.failed_indexes.size(), kMostReported);
  out.unsuccessful_indexes.clear();
  for (const FailedIndex& index : std::span(report.failed_indexes).first(count)) {
    const auto kind =
        index.kind == FailedIndex::Kind::failed ? UnsuccessfulIndex::Kind::failed : UnsuccessfulIndex::Kind::incomplete;
    out.unsuccessful_indexes.push_back(
        {index.ns.text(), index.name, kind, index.keys, index.reason.substr(0, kMostReasonBytes)});
  }
  if (report.failed_indexes.size() > count) {
    out.differences.push_back("and " + std::to_string(report.failed_indexes.size() - count) + " more indexes");
  }
}

// What was known before the first index became real.
FinalReport report_from(const StatusReport::Finalization& known) {
  FinalReport out;
  out.differences = known.differences;
  for (const UnsuccessfulIndex& index : known.unsuccessful_indexes) {
    const auto kind =
        index.kind == UnsuccessfulIndex::Kind::failed ? FailedIndex::Kind::failed : FailedIndex::Kind::incomplete;
    out.failed_indexes.push_back({kind, Namespace::parse(index.ns), index.name, index.keys, index.reason});
  }
  return out;
}

}  // namespace

void put_waived(const std::vector<ParkedDocument>& waived, StatusReport::Finalization& out) {
  out.waived_count = static_cast<std::int64_t>(waived.size());
  out.waived.clear();
  std::size_t bytes = 0;
  for (const ParkedDocument& document : waived) {
    log::warn("a document is waived", {{"document", document.name()}, {"reason", document.reason}});
    bytes += document.id.value().payload().size() + document.reason.size();
    if (bytes > kMostWaivedBytes || out.waived.size() == kMostWaived) continue;
    out.waived.push_back({document.ns.text(), document.id, document.reason});
  }
}

Conversion::Conversion(Parts parts, Catalog catalog, JobRecord record, std::uint64_t seed, Cancelled cancelled,
                       Drive drive)
    : parts_(parts),
      catalog_(std::move(catalog)),
      record_(std::move(record)),
      seed_(seed),
      cancelled_(std::move(cancelled)),
      drive_(drive) {
  CHECK(record_.finalization);
}

Conversion::Conversion(Parts parts, Catalog catalog, const Listing& listing, JobRecord record, std::uint64_t seed,
                       Cancelled cancelled, Drive drive)
    : Conversion(parts, std::move(catalog), std::move(record), seed, std::move(cancelled), drive) {
  FinalReport report;
  lost_ = adopt_final_listing(listing, catalog_, report);
  record_.converting = true;
  put(report, *record_.finalization);
  changes_ = changes_to_save(catalog_, catalog_.take_changes(), std::nullopt);
  changes_.push_back(change_of(record_));  // last: it says that the rest is saved
}

Result<std::unique_ptr<Conversion>> Conversion::resume(Parts parts, JobRecord record, std::uint64_t seed,
                                                       Cancelled cancelled, Drive drive) {
  auto job = load_job(parts.store);
  if (!job) return fail(std::move(job.error()));
  if (!*job) return fail(ErrorCode::stored_format, "saved state: finalizing without a position");
  std::unique_ptr<Conversion> out(
      new Conversion(parts, std::move((*job)->catalog), std::move(record), seed, std::move(cancelled), drive));
  out->begin(Finalizer::Turn::later);
  return out;
}

Result<Step> Conversion::step() {
  if (begun() && drive_ == Drive::by_hand) return finalizer_->step();
  if (begun()) {
    if (auto error = threads_.error()) return fail(*std::move(error));
    return Step::waiting;
  }
  // Before it is forgotten: until then all of this may be done again.
  if (auto dropped = drop_what_is_lost(); !dropped) return fail(std::move(dropped.error()));
  if (auto saved = parts_.store.save(changes_); !saved) return fail(saved.error().within("saving the job's state"));
  changes_.clear();
  begin(Finalizer::Turn::first);
  return Step::worked;
}

Status Conversion::drop_what_is_lost() {
  for (const Namespace& view : lost_.views) {
    log::info("a view is dropped, which the source has lost", {{"namespace", view.text()}});
    if (auto dropped = parts_.target.drop_view(view); !dropped) return dropped;
  }
  for (const Twin& twin : lost_.time_series) {
    log::info("a time-series collection is dropped, of which the source has lost half",
              {{"namespace", twin.ns.for_users().text()}});
    if (auto dropped = parts_.target.drop(twin); !dropped) return dropped;
  }
  lost_ = {};
  return {};
}

void Conversion::begin(Finalizer::Turn turn) {
  const Cancelled cancelled = [this] { return cancelled_() || threads_.token().stop_requested(); };
  finalizer_ = std::make_unique<Finalizer>(parts_.source, parts_.target, parts_.clock, progress_, catalog_,
                                           report_from(*record_.finalization), seed_, turn, cancelled);
  if (drive_ == Drive::by_hand) return;
  for (int i = 0; i < kThreads; ++i) {
    threads_.add([this](const std::stop_token& stop) { return drive_role(*finalizer_, stop); });
  }
}

JobRecord Conversion::record() const {
  JobRecord out = record_;
  if (done()) put(finalizer_->report(), *out.finalization);
  return out;
}

}  // namespace plm
