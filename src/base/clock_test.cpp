#include "base/clock.h"

#include <gtest/gtest.h>

namespace plm {
namespace {

using namespace std::chrono_literals;

TEST(ManualClock, StandsStillUntilItIsMoved) {
  ManualClock clock;
  const SteadyTime steady = clock.steady_now();
  const WallTime wall = clock.wall_now();
  EXPECT_EQ(clock.steady_now(), steady);
  clock.advance(1500ms);
  EXPECT_EQ(clock.steady_now() - steady, 1500ms);
  EXPECT_EQ(clock.wall_now() - wall, 1500ms);
  clock.advance(1ms);
  EXPECT_EQ(clock.steady_now() - steady, 1501ms);
}

TEST(SystemClock, TellsTheTimeOfTheSystem) {
  const SystemClock clock;
  const auto steady_before = std::chrono::steady_clock::now();
  const SteadyTime steady = clock.steady_now();
  const auto steady_after = std::chrono::steady_clock::now();
  EXPECT_LE(steady_before, steady);
  EXPECT_LE(steady, steady_after);
  const auto apart = clock.wall_now() - std::chrono::system_clock::now();
  EXPECT_LT(std::chrono::abs(apart), 1min);
}

}  // namespace
}  // namespace plm
