#include "control/health.h"

#include <fmt/format.h>

#include <utility>

#include "control/engine_report.h"

namespace plm {

std::vector<HealthProblem> health_problems(const StatusReport& report) {
  std::vector<HealthProblem> out;
  if (report.state == JobState::failed) out.push_back({"failed", "the job has failed: " + report.error});
  if (!report.state_problem.empty()) {
    out.push_back({"state_unreadable", "the saved state could not be read: " + report.state_problem});
  }
  if (report.oplog && report.oplog->level == OplogLevel::lost) out.push_back({"position_lost", oplog_warning(report)});
  if (!report.stall.empty()) out.push_back({"stalled", report.stall});
  for (const auto& [name, server] : {std::pair{"source", &report.source}, std::pair{"target", &report.target}}) {
    if (server->reachable || server->silent_for < kUnreachableFor) continue;
    out.push_back({fmt::format("{}_unreachable", name),
                   fmt::format("{} (for {} s)", server->unreachable_words(name),
                               std::chrono::duration_cast<std::chrono::seconds>(server->silent_for).count())});
  }
  return out;
}

}  // namespace plm
