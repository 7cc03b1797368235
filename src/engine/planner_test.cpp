#include "engine/planner.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

std::vector<std::string> texts(const std::vector<KeyBounds>& ranges) {
  std::vector<std::string> out;
  for (const KeyBounds& range : ranges) {
    const auto text = [](const bson::OwnedValue& value) {
      return value ? bson::to_json(value.value()) : std::string("-");
    };
    out.push_back(text(range.min) + ".." + text(range.max));
  }
  return out;
}

std::vector<std::string> cut_at(const std::vector<std::string>& bounds) {
  std::vector<bson::OwnedValue> values;
  for (const std::string& bound : bounds) values.push_back(value_of(bound));
  return texts(cut(std::move(values)));
}

using Texts = std::vector<std::string>;

TEST(Planner, WithoutBoundsThereIsOneOpenRange) { EXPECT_EQ(cut_at({}), Texts{"-..-"}); }

TEST(Planner, SortsBoundsAndKeepsOneOfEqualOnes) {
  EXPECT_EQ(cut_at({"5", "1", "5.0", R"({"$numberLong": "1"})", "3"}), (Texts{"-..1", "1..3", "3..5", "5..-"}));
}

TEST(Planner, CutsBetweenTypes) {
  EXPECT_EQ(cut_at({R"("b")", "7", R"({"a": 1})"}),
            (Texts{"-..7", R"(7.."b")", R"("b"..{ "a" : 1 })", R"({ "a" : 1 }..-)"}));
}

// A server refuses MinKey and MaxKey as bounds; a range that began there would
// never be copied.
TEST(Planner, MinKeyAndMaxKeyAreNoBounds) {
  EXPECT_EQ(cut_at({R"({"$minKey": 1})", "2", R"({"$maxKey": 1})"}), (Texts{"-..2", "2..-"}));
  EXPECT_EQ(cut_at({R"({"$maxKey": 1})"}), Texts{"-..-"});
}

// A key that no range or two ranges hold would be lost, or copied over a newer one.
TEST(Planner, EveryKeyIsInExactlyOneRange) {
  std::vector<bson::OwnedValue> bounds;
  for (const std::string_view bound :
       {"1", "2.5", R"("m")", R"({"$oid": "64b5f2a1c3d4e5f6a7b8c9d0"})", "[1, 2]", "null"}) {
    bounds.push_back(value_of(bound));
  }
  const auto ranges = cut(std::move(bounds));
  for (const std::string_view id :
       {R"({"$minKey": 1})", "null", "-1", "1", "1.0", "2", "2.5", "3", R"("a")", R"("m")", "{}", "[1, 2]",
        R"({"$oid": "64b5f2a1c3d4e5f6a7b8c9d0"})", "true", R"({"$maxKey": 1})"}) {
    const bson::OwnedValue key = value_of(id);
    int holders = 0;
    for (const KeyBounds& range : ranges) holders += range.holds(key.value()) ? 1 : 0;
    EXPECT_EQ(holders, 1) << id;
  }
}

TEST(Planner, WantsABoundForEveryRangeOfData) {
  const CollectionSpec spec;
  EXPECT_EQ(bounds_wanted(spec, {0, 0}, 10'000), 0);
  EXPECT_EQ(bounds_wanted(spec, {10, 4'999}, 10'000), 0);
  EXPECT_EQ(bounds_wanted(spec, {10, 95'000}, 10'000), 10);
  EXPECT_EQ(bounds_wanted(spec, {10, std::int64_t{1} << 60}, 10'000), 100'000);
}

// Cut by bytes alone, many small documents would be one range that everybody
// waits for.
TEST(Planner, SmallDocumentsWeighMoreThanTheirBytes) {
  EXPECT_EQ(weight_of({1000, 50'000}), 550'000);
  EXPECT_GT(bounds_wanted({}, {1000, 50'000}, 100'000), bounds_wanted({}, {1, 50'000}, 100'000));
}

// Capped: the order of insertion is part of the data. With a collation only the
// server knows the order of the keys, so plm cannot tell which range holds one.
TEST(Planner, WhatIsStrictlyOrderedIsOneRange) {
  CollectionSpec capped;
  capped.options = json(R"({"capped": true, "size": 1000})");
  CollectionSpec collated;
  collated.options = json(R"({"collation": {"locale": "en", "strength": 2}})");
  CollectionSpec simple;
  simple.options = json(R"({"collation": {"locale": "simple"}})");
  EXPECT_EQ(bounds_wanted(capped, {10, 95'000}, 10'000), 0);
  EXPECT_EQ(bounds_wanted(collated, {10, 95'000}, 10'000), 0);
  EXPECT_EQ(bounds_wanted(simple, {10, 95'000}, 10'000), 10);
}

}  // namespace
}  // namespace plm
