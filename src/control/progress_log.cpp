#include "control/progress_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "control/engine_report.h"

namespace plm {

namespace {

constexpr Millis kLineInterval{10'000};

}  // namespace

void ProgressLog::begin() {
  retries_told_ = 0;
  rate_from_.reset();
}

bool ProgressLog::progress_is_due(SteadyTime now) const { return now - last_progress_ >= kLineInterval; }

double ProgressLog::progress(const StatusReport& report, SteadyTime now) {
  last_progress_ = now;
  const StatusReport::InitialSync& sync = report.initial_sync;
  double rate = 0;
  if (rate_from_) {
    const double seconds = std::chrono::duration<double>(now - rate_from_->first).count();
    rate = static_cast<double>(sync.cloned_bytes - rate_from_->second) / std::max(seconds, 0.1);
  }
  rate_from_ = {now, sync.cloned_bytes};
  log::info("progress", {{"state", name_of(report.state)},
                         {"lagSeconds", report.lag_seconds},
                         {"eventsRead", report.events_read},
                         {"eventsApplied", report.events_applied},
                         {"clonedBytes", sync.cloned_bytes},
                         {"estimatedBytes", sync.estimated_bytes},
                         {"collections", fmt::format("{}/{}", sync.collections_copied, sync.collections_total)},
                         {"indexes", fmt::format("{}/{}", sync.indexes_built, sync.indexes_total)},
                         {"replicated", report.last_replicated.text()},
                         {"retries", report.retries}});
  return rate;
}

void ProgressLog::conversion(std::int64_t collections_done, std::int64_t collections_total, SteadyTime now) {
  last_progress_ = now;
  log::info("progress", {{"state", name_of(JobState::finalizing)},
                         {"collections", fmt::format("{}/{}", collections_done, collections_total)}});
}

void ProgressLog::retries(const Progress& progress, SteadyTime now) {
  const std::int64_t retries = progress.retries;
  if (retries == retries_told_ || now - last_retries_ < kLineInterval) return;
  log::warn("trying again", {{"times", retries - retries_told_}, {"reason", progress.last_retry()}});
  retries_told_ = retries;
  last_retries_ = now;
}

void ProgressLog::oplog(const StatusReport& report) {
  if (!report.oplog || report.oplog->level == oplog_told_) return;
  oplog_told_ = report.oplog->level;
  const log::Field position{"position", report.last_replicated.text()};
  switch (oplog_told_) {
    case OplogLevel::fine:
      return log::info("the position is well within the source's oplog again", {position});
    case OplogLevel::warning:
      return log::warn(oplog_warning(report), {position});
    case OplogLevel::critical:
    case OplogLevel::lost:
      return log::error(oplog_warning(report), {position});
  }
}

}  // namespace plm
