// What status, log and health say of a job that stands still, whoever tries in
// vain: the engine, of which the numbers are seen (StallDetector), or the
// Controller and the conversion, of which the failures are. Of one thread.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "control/stall.h"

namespace plm {

class Standstill {
 public:
  struct EngineSeen {
    StallDetector::Seen work;
    std::string last_failure;  // may be empty
  };

  // Something that the job needs, and no engine shows, has failed and will be
  // tried again.
  void failed(const std::string& reason, SteadyTime now);
  // What is tried without an engine has been done.
  void succeeded() { trouble_.reset(); }
  // Another engine: what was seen does not count any more.
  void forget() { detector_.forget(); }

  // One line for people, empty while the job moves or has nothing to do. `engine`:
  // the one at work, if there is one. The log says when a standstill begins.
  [[nodiscard]] const std::string& look(const std::optional<EngineSeen>& engine, SteadyTime now);

 private:
  struct Trouble {
    SteadyTime since;
    SteadyTime latest;
    std::string reason;
  };
  [[nodiscard]] std::string tried_in_vain(SteadyTime now);
  [[nodiscard]] std::string nothing_moves(const EngineSeen& engine, SteadyTime now);

  StallDetector detector_;
  std::optional<Trouble> trouble_;
  std::string told_;
};

}  // namespace plm
