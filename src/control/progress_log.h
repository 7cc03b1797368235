// What the log tells of a job while it works, each at its own pace: progress, what
// had to be tried again, how near the position is to the end of the oplog. Of
// one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "control/oplog_watch.h"
#include "control/status_report.h"
#include "engine/progress.h"

namespace plm {

class ProgressLog {
 public:
  // Another engine: its counters begin anew.
  void begin();
  [[nodiscard]] bool progress_is_due(SteadyTime now) const;
  // Gives the copy's bytes per second since the line before; 0: not known.
  double progress(const StatusReport& report, SteadyTime now);
  // Of finalize, when nothing is replicated any more.
  void conversion(std::int64_t collections_done, std::int64_t collections_total, SteadyTime now);
  // The first at once, then one line for all of some time.
  void retries(const Progress& progress, SteadyTime now);
  // Each level is said once, as it is reached.
  void oplog(const StatusReport& report);

 private:
  SteadyTime last_progress_{};
  SteadyTime last_retries_{};
  std::int64_t retries_told_ = 0;
  OplogLevel oplog_told_ = OplogLevel::fine;
  std::optional<std::pair<SteadyTime, std::int64_t>> rate_from_;
};

}  // namespace plm
