#include "control/oplog_watch.h"

#include <gtest/gtest.h>

namespace plm {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::uint32_t kBegin = 1'700'000'000;

ClusterTime at(std::uint32_t second, std::uint32_t increment = 1) { return {kBegin + second, increment}; }

class OplogWatchTest : public testing::Test {
 protected:
  void see(const OplogWindow& window) { watch_.see(window, clock_.steady_now()); }
  // The window moves on by `step` seconds, in as many seconds.
  void move_on(std::uint32_t step) {
    clock_.advance(seconds(step));
    window_.oldest.seconds += step;
    window_.newest.seconds += step;
    see(window_);
  }
  [[nodiscard]] std::optional<OplogUse> use(const ClusterTime& position) const {
    return watch_.use(position, clock_.steady_now());
  }
  [[nodiscard]] OplogLevel level(const ClusterTime& position) const { return use(position)->level; }
  [[nodiscard]] std::optional<std::int64_t> left(const ClusterTime& position) const {
    return use(position)->seconds_left;
  }

  ManualClock clock_;
  OplogWatch watch_;
  OplogWindow window_{at(0), at(1000)};
};

TEST_F(OplogWatchTest, KnowsNothingBeforeAWindowIsSeen) {
  EXPECT_FALSE(use(at(5)));
  see({});
  EXPECT_FALSE(use(at(5))) << "an empty oplog";
  see({at(0), {}});
  EXPECT_FALSE(use(at(5))) << "a member that has not written yet";
}

TEST_F(OplogWatchTest, AJobWithoutAPositionCannotLoseIt) {
  see(window_);
  EXPECT_FALSE(use({}));
}

TEST_F(OplogWatchTest, AnEmptyWindowDoesNotHideTheOneBefore) {
  see(window_);
  see({});
  EXPECT_DOUBLE_EQ(use(at(750))->used_fraction, 0.25);
}

TEST_F(OplogWatchTest, LevelsBeginAtHalfAndAtFourFifthsOfTheWindow) {
  see(window_);
  EXPECT_EQ(level(at(1000)), OplogLevel::fine);
  EXPECT_EQ(level(at(501)), OplogLevel::fine);
  EXPECT_EQ(level(at(500)), OplogLevel::warning);
  EXPECT_EQ(level(at(201)), OplogLevel::warning);
  EXPECT_EQ(level(at(200)), OplogLevel::critical);
  EXPECT_DOUBLE_EQ(use(at(200))->used_fraction, 0.8);
}

TEST_F(OplogWatchTest, TheOldestEntryItselfIsNotLostYet) {
  see(window_);
  EXPECT_EQ(level(at(0)), OplogLevel::critical);
  EXPECT_EQ(level(at(0, 0)), OplogLevel::lost);
  EXPECT_EQ(use(at(0, 0))->used_fraction, 1);
  EXPECT_EQ(left(at(0, 0)), 0);
}

TEST_F(OplogWatchTest, APositionAheadOfTheNewestEntryUsesNothing) {
  see(window_);
  EXPECT_EQ(use(at(1001))->used_fraction, 0);
  EXPECT_EQ(level(at(1001)), OplogLevel::fine);
}

TEST_F(OplogWatchTest, AWindowOfOneEntryIsNotUsed) {
  see({at(7), at(7)});
  EXPECT_EQ(use(at(7))->used_fraction, 0);
  EXPECT_EQ(level(at(6)), OplogLevel::lost);
}

TEST_F(OplogWatchTest, WhileTheOplogIsFillingItsRoomCounts) {
  window_.size_bytes = 10;
  window_.max_bytes = 100;
  see(window_);
  EXPECT_DOUBLE_EQ(use(at(0))->used_fraction, 0.1);
  EXPECT_EQ(level(at(0)), OplogLevel::fine);
  window_.size_bytes = 110;  // the server takes some time to drop what is too much
  see(window_);
  EXPECT_DOUBLE_EQ(use(at(0))->used_fraction, 1);
}

TEST_F(OplogWatchTest, AnOplogThatHasMovedIsFull) {
  window_.size_bytes = 80;  // right behind a step
  window_.max_bytes = 100;
  see(window_);
  move_on(10);
  EXPECT_DOUBLE_EQ(use(at(510))->used_fraction, 0.5);
}

TEST_F(OplogWatchTest, NoTimeIsToldBeforeTheOldestEntryHasMoved) {
  see(window_);
  clock_.advance(hours(5));
  see(window_);
  EXPECT_EQ(left(at(10)), std::nullopt);
}

TEST_F(OplogWatchTest, AfterOneStepTheWindowIsTakenToKeepItsLength) {
  see(window_);
  move_on(100);
  EXPECT_EQ(left(at(400)), 300);
}

TEST_F(OplogWatchTest, TheTimeLeftFollowsTheRateOfTheSteps) {
  see(window_);
  for (int i = 0; i < 3; ++i) {  // 200 seconds of the oplog go in 100
    clock_.advance(seconds(100));
    window_.oldest.seconds += 200;
    window_.newest.seconds += 200;
    see(window_);
  }
  EXPECT_EQ(left(at(900)), 150);
  for (int i = 0; i < 99; ++i) {  // nothing moves between two steps
    clock_.advance(seconds(1));
    see(window_);
  }
  EXPECT_EQ(left(at(900)), 150);
}

TEST_F(OplogWatchTest, OldStepsAreForgotten) {
  see(window_);
  for (int i = 0; i < 10; ++i) move_on(10);
  for (int i = 0; i < 60; ++i) {
    clock_.advance(seconds(10));
    window_.oldest.seconds += 20;
    window_.newest.seconds += 20;
    see(window_);
  }
  EXPECT_EQ(left({window_.oldest.seconds + 200, 1}), 100);
}

// Without writes the clock alone brings nothing nearer to its loss.
TEST_F(OplogWatchTest, ASourceThatStandsStillLeavesMoreAndMoreTime) {
  see(window_);
  for (int i = 0; i < 3; ++i) move_on(100);
  const ClusterTime position = at(800);
  EXPECT_EQ(left(position), 500);
  const double used = use(position)->used_fraction;
  clock_.advance(hours(2));
  see(window_);
  EXPECT_GT(left(position), 7200);
  EXPECT_DOUBLE_EQ(use(position)->used_fraction, used);
}

TEST_F(OplogWatchTest, TimeGoesOnWhileTheSourceCannotBeAsked) {
  see(window_);
  move_on(100);
  EXPECT_EQ(level(at(700)), OplogLevel::fine);
  clock_.advance(seconds(60));
  EXPECT_EQ(left(at(400)), 240);
  clock_.advance(seconds(60));
  EXPECT_EQ(level(at(700)), OplogLevel::warning);
  clock_.advance(hours(1));
  EXPECT_EQ(left(at(400)), 0);
  EXPECT_EQ(level(at(400)), OplogLevel::critical) << "not known to be lost";
}

TEST_F(OplogWatchTest, AnotherMemberMayHaveAnOlderOplog) {
  see(window_);
  move_on(100);
  EXPECT_EQ(level(at(50)), OplogLevel::lost);
  see({at(0), at(1100)});
  EXPECT_EQ(level(at(50)), OplogLevel::critical);
  EXPECT_EQ(left(at(50)), std::nullopt);
}

TEST(OplogLevel, HasNames) {
  EXPECT_EQ(name_of(OplogLevel::fine), "fine");
  EXPECT_EQ(name_of(OplogLevel::warning), "warning");
  EXPECT_EQ(name_of(OplogLevel::critical), "critical");
  EXPECT_EQ(name_of(OplogLevel::lost), "lost");
}

}  // namespace
}  // namespace plm
