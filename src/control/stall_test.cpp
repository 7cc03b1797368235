#include "control/stall.h"

#include <gtest/gtest.h>

namespace plm {
namespace {

class StallTest : public testing::Test {
 protected:
  std::optional<StallDetector::Stall> after(Millis time) {
    clock_.advance(time);
    return detector_.look(seen_, clock_.steady_now());
  }

  ManualClock clock_;
  StallDetector detector_;
  StallDetector::Seen seen_{{true, {1, 2, 3, 4}}, {true, {5, 6, 7, 8}}};
};

TEST_F(StallTest, NeedsHalfAMinuteWithoutMovement) {
  EXPECT_FALSE(after(Millis(100'000)));
  EXPECT_FALSE(after(kStallAfter - Millis(1)));
  const auto stall = after(Millis(1));
  ASSERT_TRUE(stall);
  EXPECT_EQ(stall->lasting, kStallAfter);
  EXPECT_EQ(after(Millis(5000))->lasting, kStallAfter + Millis(5000));
}

TEST_F(StallTest, AnyNumberThatMovesEndsIt) {
  for (int i = 0; i < 4; ++i) {
    (void)after(Millis(0));
    ASSERT_TRUE(after(kStallAfter));
    ++seen_.copying.numbers.at(static_cast<std::size_t>(i));
    ++seen_.stream.numbers.at(static_cast<std::size_t>(i));
    EXPECT_FALSE(after(Millis(0))) << i;
  }
}

TEST_F(StallTest, ACopyThatIsStuckIsSeenWhileTheStreamFlows) {
  for (int i = 0; i < 30; ++i) {
    ++seen_.stream.numbers[0];
    EXPECT_FALSE(after(Millis(1000)));
  }
  ++seen_.stream.numbers[0];
  const auto stall = after(Millis(1000));
  ASSERT_TRUE(stall);
  EXPECT_EQ(stall->what, "copying");
}

TEST_F(StallTest, AStreamThatIsStuckIsSeenWhileTheCopyGoesOn) {
  for (int i = 0; i < 31; ++i) {
    ++seen_.copying.numbers[0];
    (void)after(Millis(1000));
  }
  ASSERT_TRUE(after(Millis(0)));
  EXPECT_EQ(after(Millis(0))->what, "the stream of changes");
}

// Finalize waits for index builds for hours: that is nobody's fault.
TEST_F(StallTest, WithoutWorkNothingIsStuck) {
  seen_.copying.present = false;
  seen_.stream.present = false;
  (void)after(Millis(0));
  EXPECT_FALSE(after(std::chrono::hours(5)));
  seen_.stream.present = true;
  EXPECT_FALSE(after(Millis(1000))) << "the time without work does not count";
  EXPECT_TRUE(after(kStallAfter));
}

TEST_F(StallTest, ForgetsWhatAnEngineBeforeDid) {
  (void)after(Millis(0));
  detector_.forget();
  EXPECT_FALSE(after(kStallAfter));
}

}  // namespace
}  // namespace plm
