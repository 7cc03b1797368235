#include "control/engine_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/duration.h"
#include "engine/position_lost.h"

namespace plm {

namespace {

constexpr Millis kSilence{2000};  // of a source that is asked each second; a shorter one says nothing

}  // namespace

void add_engine_report(const Engine& engine, StatusReport& report) {
  const RouterView view = engine.pipeline().router().view();
  const Progress& progress = engine.pipeline().progress();
  report.events_read = progress.events_read;
  report.events_applied = progress.events_applied;
  report.last_replicated = view.replicated;
  report.retries = progress.retries;
  report.parked.count = progress.parked;
  report.parked.sample = progress.parked_sample();
  report.warnings = view.warnings;
  StatusReport::InitialSync& sync = report.initial_sync;
  sync.completed = view.sync_completed;
  sync.clone_completed = view.clone_completed;
  sync.estimated_bytes = view.estimated_bytes;
  sync.cloned_bytes = progress.copied_bytes;
  sync.cloned_documents = progress.copied_documents;
  sync.collections_total = view.collections_total;
  sync.collections_copied = view.collections_copied;
  sync.collections_copying = view.copying;
  sync.indexes_total = view.indexes_total;
  sync.indexes_built = view.indexes_built;
  sync.indexes_building = view.building;
  sync.indexes_failed = view.failed_indexes;
}

void count_on(const StatusReport& before, StatusReport& now) {
  now.events_read = std::max(now.events_read, before.events_read);
  now.events_applied = std::max(now.events_applied, before.events_applied);
  now.retries += before.retries;
  StatusReport::InitialSync& sync = now.initial_sync;
  sync.cloned_bytes = std::max(sync.cloned_bytes, before.initial_sync.cloned_bytes);
  sync.cloned_documents = std::max(sync.cloned_documents, before.initial_sync.cloned_documents);
}

StatusReport report_of(const SavedJob& job) {
  StatusReport out;
  out.events_read = job.position.events_read;
  out.events_applied = job.position.events_applied;
  out.last_replicated = job.position.complete;
  out.initial_sync.completed = job.position.sync_completed;
  out.initial_sync.clone_completed = job.position.clone_completed;
  const CollectionStats copied = job.catalog.copied();
  out.initial_sync.cloned_bytes = copied.size_bytes;
  out.initial_sync.cloned_documents = copied.documents;
  out.initial_sync.estimated_bytes = job.catalog.copied_and_removed().size_bytes;
  for (const auto& [uuid, collection] : job.catalog.collections()) {
    out.initial_sync.estimated_bytes += collection.estimate.size_bytes;
    ++out.initial_sync.collections_total;
    if (collection.confirmed()) ++out.initial_sync.collections_copied;
    out.initial_sync.indexes_total += static_cast<std::int64_t>(collection.indexes.size());
    out.initial_sync.indexes_built += static_cast<std::int64_t>(collection.count_indexes(IndexState::built));
    collection.name_failed_indexes(out.initial_sync.indexes_failed);
  }
  out.parked.count = static_cast<std::int64_t>(job.parked.size());
  for (const ParkedDocument& parked : job.parked) {
    if (out.parked.sample.size() == 10) break;
    out.parked.sample.push_back(parked.text());
  }
  return out;
}

void add_lag(std::optional<Millis> by_source, WallTime now, StatusReport& report) {
  const bool replicates = report.state == JobState::running || report.state == JobState::paused ||
                          report.state == JobState::finalizing || report.state == JobState::failed;
  if (!replicates || report.last_replicated.is_zero()) return;
  const auto whole_seconds = [](auto time) { return std::chrono::duration_cast<std::chrono::seconds>(time); };
  // A process that could not ask the source yet has only its own clock.
  std::chrono::seconds lag =
      whole_seconds(now.time_since_epoch()) - std::chrono::seconds(report.last_replicated.seconds);
  if (by_source) lag = whole_seconds(*by_source);
  const Millis silent = report.source.silent_for;
  if (silent >= kSilence) lag = std::max(lag, whole_seconds(silent));
  report.lag_seconds = std::max<std::int64_t>(lag.count(), 0);
  report.initial_sync.lag_seconds = report.initial_sync.completed ? 0 : report.lag_seconds;
}

std::string oplog_warning(const StatusReport& report) {
  if (!report.oplog || report.oplog->level == OplogLevel::fine) return {};
  const bool works = report.state == JobState::running || report.state == JobState::finalizing;
  if (report.oplog->level == OplogLevel::lost) {
    if (!works) return position_lost(report.last_replicated).message;
    return "the saved position is no longer in the source's oplog: the target is too slow, and if plm has to begin "
           "there again, the job fails and has to copy again (plm resume --recopy changed)";
  }
  std::string_view advice = "the target is too slow";
  if (report.state == JobState::paused) advice = "resume it before";
  if (report.state == JobState::failed) advice = "resume it with fromFailure before";
  const auto& left = report.oplog->seconds_left;
  if (!report.source.reachable) advice = "it cannot be asked, so this is estimated";
  return fmt::format("{:.0f} % of the source's oplog window is used; {} the job is lost: {}",
                     report.oplog->used_fraction * 100,
                     left ? "in about " + format_duration(*left) : "at the end of it", advice);
}

std::string describe_phase(const StatusReport& report) {
  switch (report.state) {
    case JobState::idle:
      return "";
    case JobState::running:
      if (report.initial_sync.completed) return "Replicating Changes";
      return report.initial_sync.clone_completed ? "Initial Sync: Replicating Changes" : "Initial Sync: Cloning Data";
    case JobState::paused:
      return "Paused";
    case JobState::finalizing:
      return "Finalizing";
    case JobState::finalized:
      return "Finalized";
    case JobState::failed:
      return "Failed";
  }
  CHECK(!"unknown state");
  return {};
}

}  // namespace plm
