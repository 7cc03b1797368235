#include "control/server_monitor.h"

#include <gtest/gtest.h>

#include <functional>

namespace plm {
namespace {

class ServerMonitorTest : public testing::Test {
 protected:
  ManualClock clock_;
  std::function<Result<std::string>()> answer_ = [] { return Result<std::string>("6.0.5"); };
  ServerMonitor monitor_{"target", "mongodb://t/", clock_, [this] { return answer_(); }, Drive::by_hand};
};

TEST_F(ServerMonitorTest, TellsTheVersionOfAServerThatAnswers) {
  monitor_.ask();
  EXPECT_TRUE(monitor_.report().reachable);
  EXPECT_EQ(monitor_.report().version, "6.0.5");
}

TEST_F(ServerMonitorTest, TellsSinceWhenAndWhyAServerIsUnreachable) {
  const WallTime since = clock_.wall_now();
  answer_ = [] { return Result<std::string>(fail(ErrorCode::network, "connection refused")); };
  monitor_.ask();
  clock_.advance(Millis(1000));
  answer_ = [] { return Result<std::string>(fail(ErrorCode::network, "no route")); };
  monitor_.ask();
  clock_.advance(Millis(500));
  const ServerReport report = monitor_.report();
  EXPECT_FALSE(report.reachable);
  EXPECT_EQ(report.silent_for, Millis(1500));
  EXPECT_EQ(report.unreachable_since, since);
  EXPECT_EQ(report.unreachable_words("target"), "the target is unreachable: no route");
}

TEST_F(ServerMonitorTest, ForgetsTheReasonOnceItAnswers) {
  answer_ = [] { return Result<std::string>(fail(ErrorCode::network, "connection refused")); };
  monitor_.ask();
  answer_ = [] { return Result<std::string>("6.0.6"); };
  monitor_.ask();
  EXPECT_TRUE(monitor_.report().reachable);
  EXPECT_EQ(monitor_.report().unreachable_because, "");
  clock_.advance(Millis(3000));
  EXPECT_EQ(monitor_.report().silent_for, Millis(0)) << "nobody has asked it since";
  EXPECT_EQ(monitor_.report().version, "6.0.6");
}

TEST_F(ServerMonitorTest, AServerThatKeepsSilentIsUnreachableAfterFiveSeconds) {
  const WallTime since = clock_.wall_now();
  ServerReport early;
  ServerReport late;
  answer_ = [&] {
    clock_.advance(Millis(5000));
    early = monitor_.report();
    clock_.advance(Millis(1));
    late = monitor_.report();
    return Result<std::string>("6.0.5");
  };
  monitor_.ask();
  EXPECT_TRUE(early.reachable);
  EXPECT_EQ(early.silent_for, Millis(5000));
  EXPECT_FALSE(late.reachable);
  EXPECT_EQ(late.unreachable_since, since);
  EXPECT_EQ(late.unreachable_because, "it does not answer");
}

}  // namespace
}  // namespace plm
