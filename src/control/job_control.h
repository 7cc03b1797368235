// What the API asks of the program: the five requests and the truth. The
// Controller implements it; tests of the API have a twin of their own.
#pragma once

#include "base/error.h"
#include "control/job_options.h"
#include "control/status_report.h"

namespace plm {

// All methods may be called from any thread. Requests answer when they are
// done (pause: everything has stopped and the position is saved) or refused.
// Errors: wrong_state (409), invalid_argument (400), not_found never;
// network and server errors mean that a server could not be asked (503).
class JobControl {
 public:
  virtual ~JobControl() = default;
  virtual Status start(const JobOptions& options) = 0;
  virtual Status pause() = 0;
  virtual Status resume(const ResumeOptions& options) = 0;
  virtual Status finalize(const FinalizeOptions& options) = 0;
  Status finalize() { return finalize(FinalizeOptions{}); }
  virtual Status reset() = 0;
  // Never waits for a server; at most a second old.
  [[nodiscard]] virtual StatusReport status() const = 0;
};

}  // namespace plm
