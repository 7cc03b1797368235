#include "model/cluster_time.h"

#include <gtest/gtest.h>

#include "bson/test_values.h"

namespace plm {
namespace {

TEST(ClusterTime, PacksSecondsAboveTheIncrement) {
  const ClusterTime time{1764000000, 3};
  EXPECT_EQ(time.packed(), (std::uint64_t{1764000000} << 32U) | 3U);
  EXPECT_EQ(ClusterTime::from_packed(time.packed()), time);
  const ClusterTime largest{0xffffffff, 0xffffffff};
  EXPECT_EQ(ClusterTime::from_packed(largest.packed()), largest);
  const bson::Document document = bson::from_json(R"({"t": {"$timestamp": {"t": 1764000000, "i": 3}}})");
  EXPECT_EQ(ClusterTime::from_packed(document["t"].timestamp()), time);
}

TEST(ClusterTime, IsOrderedBySecondsAndThenIncrement) {
  EXPECT_LT((ClusterTime{1, 9}), (ClusterTime{2, 0}));
  EXPECT_LT((ClusterTime{2, 0}), (ClusterTime{2, 1}));
  EXPECT_LT((ClusterTime{0x7fffffff, 0}), (ClusterTime{0x80000000, 0}));
  EXPECT_EQ((ClusterTime{2, 1}), (ClusterTime{2, 1}));
}

TEST(ClusterTime, HasAPreviousTickExceptAtZero) {
  EXPECT_EQ((ClusterTime{5, 3}).previous(), (ClusterTime{5, 2}));
  EXPECT_EQ((ClusterTime{5, 0}).previous(), (ClusterTime{4, 0xffffffff}));
  EXPECT_EQ(ClusterTime{}.previous(), ClusterTime{});
}

TEST(ClusterTime, IsZeroOnlyWhenBothPartsAre) {
  EXPECT_TRUE(ClusterTime{}.is_zero());
  EXPECT_FALSE((ClusterTime{1, 0}).is_zero());
  EXPECT_FALSE((ClusterTime{0, 1}).is_zero());
}

TEST(ClusterTime, IsWrittenAsSecondsDotIncrement) {
  EXPECT_EQ((ClusterTime{1764000000, 3}).text(), "1764000000.3");
  EXPECT_EQ(ClusterTime{}.text(), "0.0");
}

TEST(Position, HasATokenOnlyWhenItIsNotEmpty) {
  EXPECT_FALSE(Position{}.has_token());
  const Position position{{1, 1}, bson::from_json(R"({"_data": "82"})")};
  EXPECT_TRUE(position.has_token());
}

}  // namespace
}  // namespace plm
