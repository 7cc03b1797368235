#include "control/final_approach.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "engine/not_carried.h"

namespace plm {

namespace {

constexpr Millis kRestLimit{15'000};
constexpr Millis kRefusedTime{10'000};
constexpr int kMostMoves = 20;
constexpr std::size_t kSampleBytes = 500;
constexpr ClusterTime kNow{0, 1};  // every event lies behind it

}  // namespace

bool has_refused(const Engine& engine) {
  return engine.pipeline().progress().parked > 0 || !engine.pipeline().router().view().failed_indexes.empty();
}

Status retry_refused(Engine& engine, StateStore& store) {
  auto job = load_job(store);
  if (!job) return fail(std::move(job.error()));
  if (*job && !(*job)->parked.empty()) {
    engine.pipeline().router().inbox().post(RetryParked{std::move((*job)->parked)});
  }
  engine.pipeline().router().inbox().post(RetryIndexes{});
  return {};
}

Error refused_error(const Engine& engine, StateStore& store) {
  auto job = load_job(store);
  if (!job) return std::move(job.error());
  std::vector<std::string> documents;
  if (*job) {
    for (const ParkedDocument& parked : (*job)->parked) documents.push_back(parked.text());
  }
  std::string words;
  const auto name = [&](std::string_view what, const std::vector<std::string>& refused) {
    std::string sample;
    for (const std::string& one : refused) {
      if (sample.size() < kSampleBytes) sample += (sample.empty() ? "" : "; ") + one;
    }
    if (!sample.empty()) words += fmt::format("{}{}: {}", words.empty() ? "" : "; ", what, sample);
  };
  name("documents could not be written to the target", documents);
  name("indexes could not be built on the target", engine.pipeline().router().view().failed_indexes);
  if (words.empty()) words = "what the target did not take is being tried again";
  words += " (finalize with waiveParked goes on without them)";
  return {ErrorCode::wrong_state, 0, {}, std::move(words)};
}

Result<bool> FinalApproach::step(Engine& engine) {
  if (end_.is_zero()) return move_end(engine);
  const RouterView view = engine.pipeline().router().view();
  if (!view.reached_limit || view.limit != end_ || view.indexes_unfinished > 0) return false;
  if (is_short(engine, view)) return move_end(engine);
  if (is_hindered(engine)) return settle_refused(engine);
  refused_until_.reset();
  if (!engine.pause(kRestLimit)) {
    engine.resume();
    return fail(ErrorCode::network, "the target did not acknowledge what was sent to it");
  }
  // The view was a moment old: what was read meanwhile shows now.
  if (is_short(engine, view) || is_hindered(engine)) {
    engine.resume();
    return false;
  }
  if (auto noted = note_waived(); !noted) return fail(std::move(noted.error()));
  fell_short_ = std::max(view.ahead, engine.pipeline().progress().read_ahead.get()) > end_;
  return true;
}

bool FinalApproach::is_short(const Engine& engine, const RouterView& view) const {
  return moves_ <= kMostMoves && std::max(view.ahead, engine.pipeline().progress().read_ahead.get()) > end_;
}

bool FinalApproach::is_hindered(const Engine& engine) const { return has_refused(engine) && !waives_; }

// No event is begun while the source is listed. So all that were begun lie before
// the listing's note, and what is applied in the end is what lies before it.
Result<bool> FinalApproach::move_end(Engine& engine) {
  if (end_.is_zero()) engine.pipeline().router().stop_at(kNow);
  auto listing = list_at_one_time(parts_.source, filter_);
  if (!listing) return fail(listing.error().within("listing the source"));
  auto lost = lost_parts(parts_.source, filter_);
  if (!lost) return fail(std::move(lost.error()));
  listing_ = *std::move(listing);
  warnings_ = warnings_about_lost_parts(*lost);
  listing_.lost_parts = *std::move(lost);
  end_ = listing_.as_of;
  ++moves_;
  engine.pipeline().progress().end.reach(end_);
  engine.pipeline().router().stop_at(end_);
  log::info("finalizing: everything up to this time is applied", {{"clusterTime", end_.text()}});
  return false;
}

Result<bool> FinalApproach::settle_refused(Engine& engine) {
  const SteadyTime now = parts_.clock.steady_now();
  if (!refused_until_) {
    if (auto retried = retry_refused(engine, parts_.store); !retried) return fail(std::move(retried.error()));
    refused_until_ = now + kRefusedTime;
  }
  if (now < *refused_until_) return false;
  if (!options_.waive_parked) return fail(refused_error(engine, parts_.store));
  waives_ = true;
  return false;
}

// The engine is at rest: what is parked stays so. Indexes are tried once more
// behind this, and reported when they fail again.
Status FinalApproach::note_waived() {
  waived_.clear();
  if (!waives_) return {};
  auto job = load_job(parts_.store);
  if (!job) return fail(std::move(job.error()));
  if (*job) waived_ = std::move((*job)->parked);
  return {};
}

}  // namespace plm
