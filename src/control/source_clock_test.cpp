#include "control/source_clock.h"

#include <gtest/gtest.h>

namespace plm {
namespace {

using std::chrono::seconds;

class SourceClockTest : public testing::Test {
 protected:
  // What was the newest then is asked for once a second.
  void pass(int count) {
    for (int i = 0; i < count; ++i) {
      clock_.advance(seconds(1));
      source_.see(newest_, clock_.steady_now());
    }
  }
  void write(std::uint32_t second) {
    newest_ = {second, 1};
    source_.see(newest_, clock_.steady_now());
  }
  [[nodiscard]] double lag(std::uint32_t replicated) const {
    return std::chrono::duration<double>(*source_.lag({replicated, 1}, clock_.steady_now())).count();
  }

  ManualClock clock_;
  SourceClock source_;
  ClusterTime newest_;
};

TEST_F(SourceClockTest, KnowsNothingOfASourceThatWasNeverSeen) {
  source_.see({}, clock_.steady_now());
  source_.reach({}, clock_.steady_now());
  EXPECT_FALSE(source_.lag({5, 1}, clock_.steady_now()));
}

TEST_F(SourceClockTest, WhoHasAllHasNoLagHoweverLongAgoThatWas) {
  write(1000);
  pass(60);
  EXPECT_EQ(lag(1000), 0);
  EXPECT_EQ(lag(1001), 0);
}

// A replica set writes a note every ten seconds when nobody else writes.
TEST_F(SourceClockTest, ANewWriteBehindALongSilenceIsNotAsOldAsTheSilence) {
  write(1000);
  pass(10);
  clock_.advance(Millis(300));
  write(1010);
  clock_.advance(Millis(200));
  EXPECT_EQ(lag(1000), 0.5);
}

// Its time alone would say one second for ever.
TEST_F(SourceClockTest, TheLastWriteGetsOlderWhileTheTargetLacksIt) {
  write(1000);
  pass(1);
  write(1001);
  pass(20);
  EXPECT_EQ(lag(1000), 20);
  source_.reach({1025, 1}, clock_.steady_now());
  EXPECT_EQ(lag(1000), 20);
  EXPECT_EQ(lag(1001), 0) << "seen a moment ago";
}

TEST_F(SourceClockTest, OfASteadySourceItIsTheTimeSinceTheTargetStoodStill) {
  for (std::uint32_t second = 1000; second < 1100; ++second) {
    write(second);
    pass(1);
  }
  EXPECT_EQ(lag(1099), 0);
  EXPECT_EQ(lag(1069), 30);
}

// Something may have been written just behind the last look.
TEST_F(SourceClockTest, WhatWasNotSeenMayBeAsOldAsTheLastLook) {
  write(1000);
  pass(5);
  clock_.advance(seconds(45));
  write(1050);
  EXPECT_EQ(lag(1000), 45);
  EXPECT_EQ(lag(1040), 10) << "but not older than what the target has";
}

TEST_F(SourceClockTest, AProcessThatSeesTheSourceForTheFirstTimeGoesByClusterTimes) {
  write(1000);
  EXPECT_EQ(lag(900), 100);
  pass(7);
  EXPECT_EQ(lag(900), 107);
}

TEST_F(SourceClockTest, RemembersDaysNearlyToTheSecond) {
  for (std::uint32_t second = 0; second < 200'000; ++second) {
    write(1000 + second);
    clock_.advance(seconds(1));
  }
  for (const double back : {10, 1000, 50'000, 150'000}) {
    EXPECT_NEAR(lag(201'000 - static_cast<std::uint32_t>(back)), back, 2 + back / 100) << back;
  }
}

}  // namespace
}  // namespace plm
