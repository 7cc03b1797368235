#include "engine/catalog.h"

#include <gtest/gtest.h>

#include <utility>

#include "engine/planner.h"
#include "engine/test_seams.h"

namespace plm {
namespace {

Collection collection(std::uint8_t number, const Namespace& ns, std::size_t ranges = 0) {
  Collection out;
  out.spec.uuid = uuid_of(number);
  out.spec.ns = ns;
  out.planned = ranges > 0;
  out.ranges.resize(ranges);
  out.ranges_unfinished = ranges;
  out.ranges_unconfirmed = ranges;
  return out;
}

TEST(Collection, FindsTheRangeOfKeysOfMixedTypes) {
  std::vector<bson::OwnedValue> bounds;
  for (const std::string_view bound : {"10", "20.5", R"("m")", R"({"a": 1})"}) bounds.push_back(value_of(bound));
  Collection cut_up = collection(1, {"db", "c"});
  for (KeyBounds& range : cut(std::move(bounds))) cut_up.ranges.emplace_back().bounds = std::move(range);
  cut_up.planned = true;
  const std::pair<std::string_view, std::size_t> expected[] = {{R"({"$minKey": 1})", 0},
                                                               {"null", 0},
                                                               {"9", 0},
                                                               {"10", 1},
                                                               {"10.0", 1},
                                                               {R"({"$numberLong": "20"})", 1},
                                                               {R"({"$numberDecimal": "20.5"})", 2},
                                                               {"1e300", 2},
                                                               {R"("")", 2},
                                                               {R"("lzz")", 2},
                                                               {R"("m")", 3},
                                                               {"{}", 3},
                                                               {R"({"a": 1.0})", 4},
                                                               {R"([1])", 4},
                                                               {R"({"$oid": "64b5f2a1c3d4e5f6a7b8c9d0"})", 4},
                                                               {R"({"$maxKey": 1})", 4}};
  for (const auto& [id, index] : expected) {
    const bson::OwnedValue key = value_of(id);
    EXPECT_EQ(&cut_up.range_of(key.value()) - cut_up.ranges.data(), static_cast<std::ptrdiff_t>(index)) << id;
    EXPECT_TRUE(cut_up.ranges[index].bounds.holds(key.value())) << id;
  }
}

TEST(Collection, IsConfirmedWhenEveryRangeIsCopied) {
  Collection unplanned = collection(1, {"db", "c"});
  EXPECT_FALSE(unplanned.confirmed());
  EXPECT_FALSE(unplanned.data_copied());
  Collection planned = collection(1, {"db", "c"}, 2);
  planned.ranges_unfinished = 0;
  planned.ranges_unconfirmed = 1;
  EXPECT_TRUE(planned.data_copied());
  EXPECT_FALSE(planned.confirmed());
  planned.ranges_unconfirmed = 0;
  EXPECT_TRUE(planned.confirmed());
}

TEST(Catalog, FindsByIdentity) {
  Catalog catalog;
  catalog.add(collection(1, {"db", "a"}));
  catalog.add(collection(2, {"db", "b"}));
  EXPECT_EQ(catalog.find(uuid_of(2))->spec.ns.collection, "b");
  EXPECT_EQ(catalog.find(uuid_of(3)), nullptr);
}

TEST(Catalog, RemembersWhatChangedUntilItIsTaken) {
  Catalog catalog;
  Collection& added = catalog.add(collection(1, {"db", "a"}, 2));
  EXPECT_TRUE(catalog.has_changes());
  EXPECT_EQ(catalog.take_changes().ranges.size(), 2U);
  EXPECT_FALSE(catalog.has_changes());
  catalog.touch(added, added.ranges[1]);
  const auto changes = catalog.take_changes();
  EXPECT_TRUE(changes.collections.empty());
  EXPECT_EQ(changes.ranges, (std::set<std::pair<Uuid, std::size_t>>{{uuid_of(1), 1}}));
}

// Saving a collection that is not there any more would bring it back after a
// restart.
TEST(Catalog, WhatIsRemovedIsNotSavedAgain) {
  Catalog catalog;
  catalog.add(collection(1, {"db", "a"}, 3));
  catalog.add(collection(2, {"db", "b"}, 1));
  catalog.remove(uuid_of(1));
  const auto changes = catalog.take_changes();
  EXPECT_EQ(changes.collections, std::set<Uuid>{uuid_of(2)});
  EXPECT_EQ(changes.ranges.size(), 1U);
  EXPECT_EQ(changes.removed, (std::map<Uuid, std::size_t>{{uuid_of(1), 3}}));
}

TEST(Catalog, WhatWasCopiedOfRemovedCollectionsIsCountedOn) {
  Catalog catalog;
  catalog.restore_copied_and_removed({1, 100});
  catalog.add(collection(1, {"db", "a"})).copied = {2, 50};
  catalog.add(collection(2, {"db", "b"})).copied = {4, 10};
  catalog.remove(uuid_of(1));
  EXPECT_EQ(catalog.copied_and_removed().documents, 3);
  EXPECT_EQ(catalog.copied_and_removed().size_bytes, 150);
}

TEST(Catalog, AViewIsItsName) {
  Catalog catalog;
  CollectionSpec view;
  view.kind = CollectionKind::view;
  view.ns = {"db", "v"};
  catalog.put_view(view);
  EXPECT_NE(catalog.find_view({"db", "v"}), nullptr);
  catalog.remove_view({"db", "v"});
  EXPECT_EQ(catalog.find_view({"db", "v"}), nullptr);
  EXPECT_TRUE(catalog.take_changes().views.empty());
  catalog.remove_view({"db", "v"});
  catalog.put_view(view);
  const auto changes = catalog.take_changes();
  EXPECT_EQ(changes.views.size(), 1U);
  EXPECT_TRUE(changes.removed_views.empty());
}

}  // namespace
}  // namespace plm
