#include "engine/keep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

const ClusterTime kNow{100, 1};

class KeepTest : public testing::Test {
 protected:
  [[nodiscard]] Operation insert(std::string_view id) const {
    return operation(OperationKind::insert, collection_, id, R"({"a": "some text of some length to be kept"})");
  }
  static std::vector<std::string> ids(const std::vector<Operation>& operations) {
    std::vector<std::string> out;
    for (const Operation& operation : operations) out.push_back(bson::to_json(operation.id));
    return out;
  }
  [[nodiscard]] std::size_t one() const { return detached(insert("1")).size_bytes; }

  std::shared_ptr<const CollectionRef> collection_ = collection_ref({"db", "c"}, uuid_of(1), uuid_of(2));
};

TEST_F(KeepTest, GivesBackWhatItKeptInOrder) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{1'000'000, 0});
  Keep keep(budget);
  for (const std::string_view id : {"3", "1", "2"}) ASSERT_TRUE(keep.add(insert(id)));
  ASSERT_TRUE(keep.add(operation(OperationKind::update, collection_, "1", R"({"u": {"a": 2}})")));
  const auto out = keep.release(collection_, kNow);
  EXPECT_EQ(ids(out), (std::vector<std::string>{"3", "1", "2", "1"}));
  EXPECT_EQ(out[0].body.json(), insert("3").body.json());
  EXPECT_EQ(out[3].kind, OperationKind::update);
  EXPECT_EQ(out[3].body["$v"].as_int64(), 2);
  EXPECT_EQ(budget->used_bytes, 0U);
  EXPECT_TRUE(keep.release(collection_, kNow).empty());
}

TEST_F(KeepTest, OwnsItsBytes) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{1'000'000, 0});
  Keep keep(budget);
  const Operation kept = insert("1");
  const std::weak_ptr<const bson::Document> reply = kept.bytes;
  {
    Operation moved = kept;
    ASSERT_TRUE(keep.add(moved));
  }
  EXPECT_EQ(reply.use_count(), 1) << "a kept event must not keep its whole reply in memory";
}

// One collection's long copy must not stop the stream for everybody: what does
// not fit is remembered by key and read again.
TEST_F(KeepTest, WhatOverflowsBecomesTheSetOfItsKeys) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{2 * one() + 10, 0});
  Keep keep(budget);
  for (const std::string_view id : {"1", "2"}) ASSERT_TRUE(keep.add(insert(id)));
  EXPECT_FALSE(keep.add(insert("1"))) << "no room";
  EXPECT_FALSE(keep.reduced()) << "which keep makes room is another's affair";
  keep.reduce();
  EXPECT_TRUE(keep.add(insert("1")));
  EXPECT_TRUE(keep.reduced());
  EXPECT_LT(budget->used_bytes, 2 * one());
  EXPECT_EQ(keep.used_bytes(), budget->used_bytes);
  auto out = keep.release(collection_, kNow);
  std::ranges::sort(out, {}, [](const Operation& operation) { return bson::to_json(operation.id); });
  EXPECT_EQ(ids(out), (std::vector<std::string>{"1", "2"}));
  for (const Operation& operation : out) {
    EXPECT_EQ(operation.kind, OperationKind::reread);
    EXPECT_EQ(operation.time, kNow) << "an older read could miss the event that is forgotten";
    EXPECT_EQ(operation.key_hash, bson::hash(operation.id));
  }
  EXPECT_EQ(budget->used_bytes, 0U);
  EXPECT_FALSE(keep.reduced());
}

TEST_F(KeepTest, FoldsEqualKeysOfDifferentTypes) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{1'000'000, 0});
  Keep keep(budget);
  keep.reduce();
  for (const std::string_view id : {"1", "1.0", R"({"$numberLong": "1"})", R"({"$numberDecimal": "1.0"})", R"("1")"}) {
    ASSERT_TRUE(keep.add(insert(id)));
  }
  EXPECT_EQ(keep.release(collection_, kNow).size(), 2U);
}

// The natural order is part of the data, so what is forgotten must not be that.
TEST_F(KeepTest, OfACappedCollectionTheOrderOfTheLastInsertionsIsLeft) {
  collection_ = collection_ref({"db", "c"}, uuid_of(1), uuid_of(2), R"({"capped": true, "size": 4096})");
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{1'000'000, 0});
  Keep keep(budget);
  for (const std::string_view id : {"1", "2", "3"}) ASSERT_TRUE(keep.add(insert(id)));
  keep.reduce();
  ASSERT_TRUE(keep.add(operation(OperationKind::update, collection_, "9")));
  ASSERT_TRUE(keep.add(operation(OperationKind::erase, collection_, "1")));
  ASSERT_TRUE(keep.add(insert("4")));
  ASSERT_TRUE(keep.add(insert("1")));
  const auto out = keep.release(collection_, kNow);
  EXPECT_EQ(ids(out), (std::vector<std::string>{"9", "2", "3", "4", "1"}));
  EXPECT_FALSE(out[0].moves_to_end());
  for (std::size_t i = 1; i < out.size(); ++i) EXPECT_TRUE(out[i].moves_to_end()) << i;
}

TEST_F(KeepTest, RefusesWhenNotEvenTheKeysFit) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{one(), 0});
  Keep keep(budget);
  keep.reduce();
  int taken = 0;
  while (taken < 100 && keep.add(insert(std::to_string(taken)))) ++taken;
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 100);
  EXPECT_LE(budget->used_bytes, budget->limit_bytes);
  EXPECT_EQ(keep.release(collection_, kNow).size(), static_cast<std::size_t>(taken)) << "nothing taken was lost";
}

// A key that is there needs no room: refusing it would copy the range again for nothing.
TEST_F(KeepTest, TakesAKeyThatItHasWhenThereIsNoRoom) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{one(), 0});
  Keep keep(budget);
  ASSERT_TRUE(keep.add(insert("1")));
  keep.reduce();
  budget->limit_bytes = budget->used_bytes;
  EXPECT_FALSE(keep.add(insert("2")));
  EXPECT_TRUE(keep.add(insert("1")));
}

TEST_F(KeepTest, SharesItsBudgetAndGivesItBack) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{3 * one(), 0});
  Keep first(budget);
  {
    Keep second(budget);
    ASSERT_TRUE(second.add(insert("1")));
    ASSERT_TRUE(second.add(insert("2")));
    ASSERT_TRUE(first.add(insert("3")));
    EXPECT_FALSE(first.reduced());
    EXPECT_EQ(budget->used_bytes, 3 * one());
  }
  EXPECT_EQ(budget->used_bytes, one());
  EXPECT_TRUE(first.add(insert("4")));
  EXPECT_FALSE(first.reduced());
}

// Operations kept under the old name would be written to the old twin.
TEST_F(KeepTest, GivesOperationsTheTwinOfTheMoment) {
  const auto budget = std::make_shared<KeepBudget>(KeepBudget{1'000'000, 0});
  Keep keep(budget);
  ASSERT_TRUE(keep.add(insert("1")));
  const auto renamed = collection_ref({"db", "renamed"}, uuid_of(1), uuid_of(2));
  EXPECT_EQ(keep.release(renamed, kNow).front().collection, renamed);
}

}  // namespace
}  // namespace plm
