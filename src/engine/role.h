// A role of the engine is a passive object with a step(): it does a bounded
// piece of work and never waits for another role. A thread drives it in a loop
// (drive_role), or a test in an order of its own (tests/simulation).
#pragma once

#include <stop_token>

#include "base/clock.h"
#include "base/error.h"
#include "base/signal.h"

namespace plm {

enum class Step {
  worked,   // call again
  waiting,  // nothing to do until the role's signal is raised or some time has passed
};

class Role {
 public:
  Role() = default;
  virtual ~Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;
  Role(Role&&) = delete;
  Role& operator=(Role&&) = delete;

  // Errors: only those that retrying cannot cure; they end the job.
  virtual Result<Step> step() = 0;
  [[nodiscard]] Signal& signal() { return signal_; }

 private:
  Signal signal_;
};

// The loop of a role's thread. Gives the error that ends the job, or success when
// it was asked to stop.
Status drive_role(Role& role, const std::stop_token& stop);

}  // namespace plm
