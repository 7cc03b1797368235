// Whether somebody should look at this plm, for orchestrators and alarms.
// Short faults that plm gets over by itself (an election, a server that is
// started again) do not count.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "control/status_report.h"

namespace plm {

// A server may be away for this long before it counts: several elections.
inline constexpr Millis kUnreachableFor{60'000};

struct HealthProblem {
  std::string code;    // stable: "failed", "state_unreadable", "position_lost", "stalled", "source_unreachable",
                       // "target_unreachable"
  std::string reason;  // one line for people
};

// What is wrong, the worst first; empty: healthy.
[[nodiscard]] std::vector<HealthProblem> health_problems(const StatusReport& report);

}  // namespace plm
