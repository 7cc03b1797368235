#include "model/range.h"

#include <gtest/gtest.h>

#include "bson/test_values.h"

namespace plm {
namespace {

using bson::value_from_json;

bool holds(const KeyBounds& bounds, const char* json) { return bounds.holds(value_from_json(json).value()); }

TEST(KeyBounds, HoldEverythingWhenBothEndsAreOpen) {
  const KeyBounds all;
  for (const char* json : {R"({"$minKey": 1})", "null", "1", R"("a")", "{}", R"({"$maxKey": 1})"}) {
    EXPECT_TRUE(holds(all, json)) << json;
  }
}

TEST(KeyBounds, IncludeTheMinimumAndExcludeTheMaximum) {
  const KeyBounds bounds{value_from_json("10"), value_from_json("20")};
  EXPECT_FALSE(holds(bounds, "9.999"));
  EXPECT_TRUE(holds(bounds, "10"));
  EXPECT_TRUE(holds(bounds, "10.0"));
  EXPECT_TRUE(holds(bounds, R"({"$numberDecimal": "19.99999999999999999999999999999999"})"));
  EXPECT_FALSE(holds(bounds, "20"));
  EXPECT_FALSE(holds(bounds, R"({"$numberLong": "20"})"));
}

TEST(KeyBounds, ReachAcrossTypes) {
  const KeyBounds bounds{value_from_json("10"), value_from_json(R"({"$oid": "800000000000000000000000"})")};
  EXPECT_FALSE(holds(bounds, "null"));
  EXPECT_FALSE(holds(bounds, R"({"$numberDouble": "NaN"})"));
  EXPECT_TRUE(holds(bounds, R"({"$numberDouble": "Infinity"})"));
  EXPECT_TRUE(holds(bounds, R"("text")"));
  EXPECT_TRUE(holds(bounds, R"({"a": 1})"));
  EXPECT_TRUE(holds(bounds, R"({"$oid": "7fffffffffffffffffffffff"})"));
  EXPECT_FALSE(holds(bounds, R"({"$oid": "800000000000000000000000"})"));
  EXPECT_FALSE(holds(bounds, "true"));
}

TEST(KeyBounds, AreOpenOnOneSide) {
  const KeyBounds first{{}, value_from_json("5")};
  EXPECT_TRUE(holds(first, R"({"$minKey": 1})"));
  EXPECT_FALSE(holds(first, "5"));
  const KeyBounds last{value_from_json("5"), {}};
  EXPECT_TRUE(holds(last, R"({"$maxKey": 1})"));
  EXPECT_TRUE(holds(last, "5"));
  EXPECT_FALSE(holds(last, "4"));
}

}  // namespace
}  // namespace plm
