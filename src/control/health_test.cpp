#include "control/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> codes(const StatusReport& report) {
  std::vector<std::string> out;
  for (const HealthProblem& problem : health_problems(report)) out.push_back(problem.code);
  return out;
}

TEST(Health, IsGoodInEveryStateButFailed) {
  for (const JobState state : kAllJobStates) {
    StatusReport report;
    report.state = state;
    if (state == JobState::failed) {
      report.error = "the disk is gone";
      EXPECT_THAT(codes(report), ElementsAre("failed"));
      EXPECT_EQ(health_problems(report).front().reason, "the job has failed: the disk is gone");
    } else {
      EXPECT_THAT(codes(report), IsEmpty()) << name_of(state);
    }
  }
}

TEST(Health, IsBadWhileNothingMovesThoughThereIsWork) {
  StatusReport report;
  report.state = JobState::running;
  report.stall = "nothing has moved for 31 s though there is work";
  EXPECT_THAT(codes(report), ElementsAre("stalled"));
  EXPECT_EQ(health_problems(report).front().reason, report.stall);
}

TEST(Health, IsBadUntilTheSavedStateWasRead) {
  StatusReport report;
  report.state_problem = "plm has just started";
  EXPECT_THAT(codes(report), ElementsAre("state_unreadable"));
  EXPECT_THAT(health_problems(report).front().reason, HasSubstr("plm has just started"));
}

TEST(Health, BearsAServerThatIsAwayForLessThanAMinute) {
  StatusReport report;
  report.target.reachable = false;
  report.target.silent_for = kUnreachableFor - Millis(1);
  EXPECT_THAT(codes(report), IsEmpty());
  report.target.silent_for = kUnreachableFor;
  report.target.unreachable_because = "connection refused";
  EXPECT_THAT(codes(report), ElementsAre("target_unreachable"));
  EXPECT_EQ(health_problems(report).front().reason, "the target is unreachable: connection refused (for 60 s)");
  report.source.reachable = false;
  report.source.silent_for = Millis(125'000);
  EXPECT_THAT(codes(report), ElementsAre("source_unreachable", "target_unreachable"));
}

TEST(Health, NamesTheWorstFirst) {
  StatusReport report;
  report.state = JobState::failed;
  report.stall = "nothing moves";
  report.state_problem = "cut off";
  report.source.reachable = false;
  report.source.silent_for = kUnreachableFor;
  EXPECT_THAT(codes(report), ElementsAre("failed", "state_unreadable", "stalled", "source_unreachable"));
}

TEST(Health, IsBadOnceThePositionIsLostAndNotBefore) {
  StatusReport report;
  report.state = JobState::paused;
  report.oplog = {0.99, 1, OplogLevel::critical};
  EXPECT_THAT(codes(report), IsEmpty());
  report.oplog->level = OplogLevel::lost;
  EXPECT_THAT(codes(report), ElementsAre("position_lost"));
  EXPECT_THAT(health_problems(report).front().reason, HasSubstr("plm resume --recopy changed"));
}

}  // namespace
}  // namespace plm
