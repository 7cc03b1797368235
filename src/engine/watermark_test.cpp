#include "engine/watermark.h"

#include <gtest/gtest.h>

#include "memory/random.h"

namespace plm {
namespace {

Position at(std::uint32_t seconds) { return {{seconds, 1}, {}}; }

Watermark watermark(std::size_t appliers) { return {appliers, {0, at(1), {1, 1}}}; }

TEST(Watermark, CountsFromOneInTheOrderOfSending) {
  Watermark mark = watermark(2);
  EXPECT_TRUE(mark.idle());
  EXPECT_EQ(mark.send(0), 1U);
  EXPECT_EQ(mark.send(1), 2U);
  EXPECT_EQ(mark.send(0), 3U);
  EXPECT_EQ(mark.last_sent(), 3U);
  EXPECT_EQ(mark.low(), 0U);
}

TEST(Watermark, StaysBelowTheSlowestApplier) {
  Watermark mark = watermark(2);
  mark.send(0);
  mark.send(1);
  mark.send(0);
  mark.acknowledge(0, 3);
  EXPECT_EQ(mark.low(), 1U) << "number 2 is with the other applier";
  EXPECT_FALSE(mark.idle());
  mark.acknowledge(1, 2);
  EXPECT_EQ(mark.low(), 3U);
  EXPECT_TRUE(mark.idle());
}

TEST(Watermark, AcceptsTheSameAcknowledgementAgain) {
  Watermark mark = watermark(1);
  mark.send(0);
  mark.send(0);
  mark.acknowledge(0, 1);
  mark.acknowledge(0, 1);
  EXPECT_EQ(mark.low(), 1U);
  mark.acknowledge(0, 2);
  mark.acknowledge(0, 2);
  EXPECT_EQ(mark.low(), 2U);
}

// A run spans the numbers of other appliers. Were it never cut, an applier with
// one operation early and one late would hold the position at the early one,
// and everything between would be replayed after a restart.
TEST(Watermark, CutsRunsThatSpanManyNumbers) {
  Watermark mark = watermark(2);
  mark.send(0);
  for (int i = 0; i < 400; ++i) mark.send(1);
  const std::uint64_t late = mark.send(0);
  mark.acknowledge(0, 1);
  mark.acknowledge(1, late - 1);
  EXPECT_EQ(mark.low(), late - 1);
}

TEST(Watermark, NeverClaimsWhatIsNotAcknowledgedAndNeverGoesBack) {
  constexpr std::size_t kRandomAppliers = 3;
  Random random(5);
  Watermark mark = watermark(kRandomAppliers);
  std::vector<std::vector<std::uint64_t>> outstanding(kRandomAppliers);
  std::uint64_t before = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto applier = static_cast<std::size_t>(random.below(kRandomAppliers));
    auto& mine = outstanding[applier];
    if (mine.empty() || random.chance(0.7)) {
      mine.push_back(mark.send(applier));
    } else {
      const auto count = 1 + random.below(mine.size());
      mark.acknowledge(applier, mine[count - 1]);
      mine.erase(mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(count));
    }
    std::uint64_t truth = mark.last_sent();
    for (const auto& numbers : outstanding) {
      if (!numbers.empty()) truth = std::min(truth, numbers.front() - 1);
    }
    ASSERT_LE(mark.low(), truth);
    ASSERT_GE(mark.low(), before);
    before = mark.low();
  }
  for (std::size_t applier = 0; applier < kRandomAppliers; ++applier) mark.acknowledge(applier, mark.last_sent());
  EXPECT_TRUE(mark.idle());
}

// A position saved too early loses the events between it and the last one that
// reached the target.
TEST(Watermark, APositionIsSafeOnceEverythingBeforeItIsAcknowledged) {
  Watermark mark = watermark(2);
  mark.send(0);
  mark.pass(at(2), {2, 1});
  mark.send(1);
  mark.pass(at(3), {3, 1});
  EXPECT_EQ(mark.safe().position.time, at(1).time);
  mark.acknowledge(1, 2);
  EXPECT_EQ(mark.safe().position.time, at(1).time) << "the first is still under way";
  mark.acknowledge(0, 1);
  EXPECT_EQ(mark.safe().position.time, at(3).time);
}

TEST(Watermark, PositionsWithoutOperationsMoveOnAtOnce) {
  Watermark mark = watermark(1);
  mark.pass(at(2), {2, 1});
  mark.pass(at(5), {5, 1});
  EXPECT_EQ(mark.safe().position.time, at(5).time);
  mark.send(0);
  mark.pass(at(6), {6, 1});
  mark.pass(at(7), {7, 1});
  EXPECT_EQ(mark.safe().position.time, at(5).time);
  mark.acknowledge(0, 1);
  EXPECT_EQ(mark.safe().position.time, at(7).time);
}

// In the middle of a transaction the position already has its time, but the
// events to come have the same: claiming the time would claim them.
TEST(Watermark, KeepsTheCompleteTimeApartFromThePosition) {
  Watermark mark = watermark(1);
  mark.pass(at(9), {8, 4});
  EXPECT_EQ(mark.safe().position.time, (ClusterTime{9, 1}));
  EXPECT_EQ(mark.safe().complete, (ClusterTime{8, 4}));
}

}  // namespace
}  // namespace plm
