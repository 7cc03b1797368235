// The engine with real servers on both sides: the one place where the parts
// are put together.
#pragma once

#include <memory>

#include "app/config.h"
#include "base/clock.h"
#include "base/error.h"
#include "control/job_control.h"

namespace plm {

class RunningEngine {
 public:
  RunningEngine() = default;
  virtual ~RunningEngine() = default;
  RunningEngine(const RunningEngine&) = delete;
  RunningEngine& operator=(const RunningEngine&) = delete;
  RunningEngine(RunningEngine&&) = delete;
  RunningEngine& operator=(RunningEngine&&) = delete;

  [[nodiscard]] virtual JobControl& job() = 0;
  // Stops everything and saves the position; requests that wait are answered.
  // True when it all happened in time.
  virtual bool shutdown(Millis at_most) = 0;
};

// Goes on with a saved job at once, in threads of its own. Waits for no server.
// Errors: invalid_argument, for a connection string that the driver refuses.
[[nodiscard]] Result<std::unique_ptr<RunningEngine>> make_engine(const DaemonConfig& config);

}  // namespace plm
