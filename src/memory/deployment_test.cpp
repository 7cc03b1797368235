#include "memory/deployment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "memory/json.h"
#include "memory/snapshot.h"

namespace plm {
namespace {

const Namespace kNs{"db", "c"};

class Deployment : public testing::Test {
 protected:
  // The events behind `from`, with what differs from run to run replaced.
  std::vector<std::string> events(OplogPlace from = {}) {
    std::vector<std::string> out;
    for (const OplogEvent* event = at_.oplog().after(from); event != nullptr; event = at_.oplog().after(event->place)) {
      bson::Builder shown;
      for (const bson::Element& field : event->event.view()) {
        if (field.key == "_id" || field.key == "wallTime" || field.key == "clusterTime" || field.key == "lsid")
          continue;
        if (field.key == "collectionUUID") {
          shown.append("collectionUUID", "?");
        } else {
          shown.append(field.key, field.value);
        }
      }
      out.push_back(shown.view().json());
    }
    return out;
  }
  std::vector<std::string> event_types() {
    std::vector<std::string> out;
    for (const OplogEvent* event = at_.oplog().after({}); event != nullptr; event = at_.oplog().after(event->place)) {
      out.emplace_back(event->event["operationType"].string());
    }
    return out;
  }
  static std::string same(std::string_view text) { return json(text).view().json(); }
  void insert(std::string_view document) { ASSERT_TRUE(at_.insert(kNs, json(document).view())); }
  bson::Value id(std::string_view holder) {
    held_.push_back(json(holder));
    return held_.back()["v"];
  }

  MemoryDeployment at_{{}};
  std::vector<bson::Document> held_;
};

using Strings = std::vector<std::string>;

TEST_F(Deployment, ShowsWritesAsAServerShowsThem) {
  insert(R"({"_id": 1, "a": 1})");
  ASSERT_TRUE(at_.update(kNs, id(R"({"v": 1})"), json(R"({"u": {"a": 2}})").view()));
  ASSERT_TRUE(at_.replace(kNs, json(R"({"_id": 1})").view()));
  ASSERT_TRUE(at_.erase(kNs, id(R"({"v": 1})")));
  EXPECT_EQ(events(),
            (Strings{same(R"({"operationType": "create", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"},
               "operationDescription": {"idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}})"),
                     same(R"({"operationType": "insert", "collectionUUID": "?", "fullDocument": {"_id": 1, "a": 1},
               "ns": {"db": "db", "coll": "c"}, "documentKey": {"_id": 1}})"),
                     same(R"({"operationType": "update", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"},
               "documentKey": {"_id": 1}, "rawUpdateDescription": {"$v": 2, "diff": {"u": {"a": 2}}}})"),
                     same(R"({"operationType": "replace", "collectionUUID": "?", "fullDocument": {"_id": 1},
               "ns": {"db": "db", "coll": "c"}, "documentKey": {"_id": 1}})"),
                     same(R"({"operationType": "delete", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"},
               "documentKey": {"_id": 1}})")}));
}

TEST_F(Deployment, ShowsRenamesWithTheCollectionTheyDrop) {
  insert(R"({"_id": 1})");
  ASSERT_TRUE(at_.create({"db", "other"}, {}));
  const Uuid dropped = at_.find({"db", "other"})->uuid;
  const OplogPlace before = at_.oplog().end();
  EXPECT_EQ(at_.rename(kNs, {"db", "other"}).error().server_code, server_code::namespace_exists);
  ASSERT_TRUE(at_.rename(kNs, {"db", "other"}, true));
  const OplogEvent* event = at_.oplog().after(before);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->event["to"].document().json(), same(R"({"db": "db", "coll": "other"})"));
  EXPECT_EQ(Uuid(event->event["operationDescription"].document()["dropTarget"]), dropped);
  EXPECT_EQ(at_.oplog().after(event->place), nullptr);
  EXPECT_EQ(at_.find(dropped), nullptr);
  EXPECT_EQ(at_.find({"db", "other"})->documents.size(), 1U);
}

TEST_F(Deployment, GivesViewsNoIdentity) {
  ASSERT_TRUE(at_.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  ASSERT_TRUE(at_.modify({"db", "v"}, json(R"({"viewOn": "d", "pipeline": []})").view()));
  ASSERT_TRUE(at_.drop({"db", "v"}));
  EXPECT_EQ(
      events(),
      (Strings{
          same(
              R"({"operationType": "create", "ns": {"db": "db", "coll": "v"}, "operationDescription": {"viewOn": "c", "pipeline": []}})"),
          same(
              R"({"operationType": "modify", "ns": {"db": "db", "coll": "v"}, "operationDescription": {"viewOn": "d", "pipeline": []}})"),
          same(R"({"operationType": "drop", "ns": {"db": "db", "coll": "v"}})")}));
}

TEST_F(Deployment, DropsTheCollectionsOfADatabaseOneByOneAndItsViewsSilently) {
  insert(R"({"_id": 1})");
  ASSERT_TRUE(at_.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  const OplogPlace before = at_.oplog().end();
  ASSERT_TRUE(at_.drop_database("db"));
  EXPECT_EQ(events(before),
            (Strings{same(R"({"operationType": "drop", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"}})"),
                     same(R"({"operationType": "dropDatabase", "ns": {"db": "db"}})")}));
  EXPECT_TRUE(at_.collections().empty());
}

TEST_F(Deployment, ShowsIndexesOfOneCommandTogetherAndTheirDropsOneByOne) {
  insert(R"({"_id": 1})");
  const OplogPlace before = at_.oplog().end();
  ASSERT_TRUE(at_.create_indexes(kNs, {{json(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})")},
                                       {json(R"({"v": 2, "key": {"b": 1}, "name": "b_1"})")}}));
  ASSERT_TRUE(at_.drop_index(kNs, "*"));
  EXPECT_EQ(events(before),
            (Strings{same(R"({"operationType": "createIndexes", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"},
               "operationDescription": {"indexes": [{"v": 2, "key": {"a": 1}, "name": "a_1"},
                                                    {"v": 2, "key": {"b": 1}, "name": "b_1"}]}})"),
                     same(R"({"operationType": "dropIndexes", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"},
               "operationDescription": {"indexes": [{"v": 2, "key": {"a": 1}, "name": "a_1"}]}})"),
                     same(R"({"operationType": "dropIndexes", "collectionUUID": "?", "ns": {"db": "db", "coll": "c"},
               "operationDescription": {"indexes": [{"v": 2, "key": {"b": 1}, "name": "b_1"}]}})")}));
}

TEST_F(Deployment, GivesTheEventsOfATransactionOneTime) {
  insert(R"({"_id": 1})");
  const OplogPlace before = at_.oplog().end();
  {
    const auto transaction = at_.transaction();
    insert(R"({"_id": 2})");
    ASSERT_TRUE(at_.erase(kNs, id(R"({"v": 1})")));
  }
  insert(R"({"_id": 3})");
  const OplogEvent* first = at_.oplog().after(before);
  const OplogEvent* second = at_.oplog().after(first->place);
  const OplogEvent* third = at_.oplog().after(second->place);
  EXPECT_EQ(first->place.time, second->place.time);
  EXPECT_LT(second->place.time, third->place.time);
  EXPECT_TRUE(first->event["txnNumber"].exists() && second->event["lsid"].exists());
  EXPECT_FALSE(third->event["txnNumber"].exists());
}

TEST_F(Deployment, TakesEqualNumbersForOneId) {
  insert(R"({"_id": 1})");
  EXPECT_EQ(at_.insert(kNs, json(R"({"_id": 1.0})").view()).error().server_code, server_code::duplicate_key);
  ASSERT_TRUE(at_.erase(kNs, id(R"({"v": {"$numberLong": "1"}})")));
  EXPECT_TRUE(at_.find(kNs)->documents.empty());
}

TEST_F(Deployment, FollowsACollationOfEqualCase) {
  ASSERT_TRUE(at_.create(kNs, json(R"({"collation": {"locale": "en", "strength": 2}})").view()));
  insert(R"({"_id": "a"})");
  EXPECT_FALSE(at_.insert(kNs, json(R"({"_id": "A"})").view()));
  ASSERT_TRUE(at_.erase(kNs, id(R"({"v": "A"})")));
}

TEST_F(Deployment, PushesTheOldestDocumentsOutOfAFullCappedCollection) {
  ASSERT_TRUE(at_.create(kNs, json(R"({"capped": true, "size": 4096, "max": 2})").view()));
  insert(R"({"_id": 9})");
  insert(R"({"_id": 5})");
  insert(R"({"_id": 7})");
  EXPECT_EQ(event_types(), (Strings{"create", "insert", "insert", "insert", "delete"}));
  EXPECT_EQ(at_.find(kNs)->find(id(R"({"v": 9})")), nullptr);
  EXPECT_EQ(at_.find(kNs)->natural_order().front().document->view().json(), same(R"({"_id": 5})"));
}

TEST_F(Deployment, ConvertsToCappedWithoutEventsOfTheDocuments) {
  insert(R"({"_id": 1})");
  insert(R"({"_id": 2})");
  const Uuid old = at_.find(kNs)->uuid;
  ASSERT_TRUE(at_.convert_to_capped(kNs, 14 + 5));
  EXPECT_EQ(event_types(), (Strings{"create", "insert", "insert", "create", "rename"}));
  const MemoryCollection* converted = at_.find(kNs);
  EXPECT_NE(converted->uuid, old);
  EXPECT_FALSE(converted->is_temporary());
  EXPECT_TRUE(converted->spec().is_capped());
  EXPECT_EQ(converted->documents.size(), 1U);
  EXPECT_NE(converted->find(id(R"({"v": 2})")), nullptr);
}

TEST_F(Deployment, CopiesACollectionThatIsRenamedToAnotherDatabase) {
  insert(R"({"_id": 1})");
  const OplogPlace before = at_.oplog().end();
  ASSERT_TRUE(at_.rename(kNs, {"far", "c"}));
  Strings types;
  for (const OplogEvent* event = at_.oplog().after(before); event != nullptr; event = at_.oplog().after(event->place)) {
    types.emplace_back(event->event["operationType"].string());
  }
  EXPECT_EQ(types, (Strings{"create", "insert", "rename", "drop"}));
  EXPECT_EQ(at_.find(kNs), nullptr);
  EXPECT_EQ(at_.find({"far", "c"})->documents.size(), 1U);
}

TEST_F(Deployment, RefusesDuplicatesInUniqueIndexes) {
  insert(R"({"_id": 1, "a": {"b": 1}})");
  insert(R"({"_id": 2, "a": {"b": 1.0}})");
  const IndexSpec unique{json(R"({"v": 2, "unique": true, "key": {"a.b": 1}, "name": "u"})")};
  EXPECT_EQ(at_.create_indexes(kNs, {unique}).error().server_code, server_code::duplicate_key);
  ASSERT_TRUE(at_.update(kNs, id(R"({"v": 2})"), json(R"({"sa": {"u": {"b": 2}}})").view()));
  ASSERT_TRUE(at_.create_indexes(kNs, {unique}));
  EXPECT_EQ(at_.insert(kNs, json(R"({"_id": 3, "a": {"b": 2}})").view()).error().server_code,
            server_code::duplicate_key);
  EXPECT_EQ(at_.update(kNs, id(R"({"v": 2})"), json(R"({"sa": {"u": {"b": 1}}})").view()).error().server_code,
            server_code::duplicate_key);
  insert(R"({"_id": 4})");
  EXPECT_FALSE(at_.insert(kNs, json(R"({"_id": 5})").view())) << "two documents lack the field";
  EXPECT_EQ(at_.find(kNs)->documents.size(), 3U);
}

TEST_F(Deployment, LetsSparseUniqueIndexesLeaveDocumentsOut) {
  insert(R"({"_id": 1})");
  insert(R"({"_id": 2})");
  EXPECT_TRUE(
      at_.create_indexes(kNs, {{json(R"({"v": 2, "unique": true, "sparse": true, "key": {"a": 1}, "name": "u"})")}}));
  EXPECT_TRUE(at_.insert(kNs, json(R"({"_id": 3})").view()));
}

TEST_F(Deployment, RefusesArraysInTwoFieldsOfAnIndex) {
  constexpr int parallel_arrays = 171;
  const IndexSpec both{json(R"({"v": 2, "key": {"a": 1, "b": 1}, "name": "both"})")};
  insert(R"({"_id": 1, "a": [1], "b": [1]})");
  EXPECT_EQ(at_.create_indexes(kNs, {both}).error().server_code, parallel_arrays);
  ASSERT_TRUE(at_.replace(kNs, json(R"({"_id": 1, "a": [1]})").view()));
  ASSERT_TRUE(at_.create_indexes(kNs, {both}));
  EXPECT_EQ(at_.update(kNs, id(R"({"v": 1})"), json(R"({"i": {"b": [1]}})").view()).error().server_code,
            parallel_arrays);
  insert(R"({"_id": 2, "b": [1]})");
}

TEST_F(Deployment, TellsConflictsOfIndexesApart) {
  insert(R"({"_id": 1})");
  const auto create = [&](std::string_view spec) {
    const Status created = at_.create_indexes(kNs, {{json(spec)}});
    return created ? 0 : created.error().server_code;
  };
  EXPECT_EQ(create(R"({"key": {"a": 1}, "name": "a"})"), 0);
  EXPECT_EQ(create(R"({"key": {"a": 1}, "name": "a"})"), 0);
  EXPECT_EQ(create(R"({"key": {"a": 1}, "name": "b"})"), server_code::index_options_conflict);
  EXPECT_EQ(create(R"({"key": {"a": 1}, "name": "a", "unique": true})"), server_code::index_key_specs_conflict);
  EXPECT_EQ(create(R"({"key": {"a": 1}, "name": "u", "unique": true})"), 0);
  EXPECT_EQ(create(R"({"key": {"a": 1}, "name": "a", "expireAfterSeconds": 5})"), server_code::index_options_conflict);
  EXPECT_EQ(create(R"({"key": {"b": 1}, "name": "a"})"), server_code::index_key_specs_conflict);
}

TEST_F(Deployment, ConvertsAnIndexToUniqueOnlyOncePrepared) {
  insert(R"({"_id": 1, "a": 1})");
  insert(R"({"_id": 2, "a": 1})");
  ASSERT_TRUE(at_.create_indexes(kNs, {{json(R"({"key": {"a": 1}, "name": "a"})")}}));
  const auto modify = [&](std::string_view change) {
    const Status modified = at_.modify(kNs, json(change).view());
    return modified ? 0 : modified.error().server_code;
  };
  EXPECT_EQ(modify(R"({"index": {"name": "a", "unique": true}})"), 72);
  EXPECT_EQ(modify(R"({"index": {"name": "a", "prepareUnique": true}})"), 0);
  EXPECT_EQ(modify(R"({"index": {"name": "a", "unique": true}})"), 359);
  ASSERT_TRUE(at_.erase(kNs, id(R"({"v": 2})")));
  EXPECT_EQ(modify(R"({"index": {"name": "a", "unique": true}})"), 0);
  EXPECT_EQ(at_.find(kNs)->indexes[0].spec.view().json(), same(R"({"key": {"a": 1}, "name": "a", "unique": true})"));
}

TEST_F(Deployment, ShowsAnEmptyModificationOfAnIndexThatStaysAsItIs) {
  insert(R"({"_id": 1})");
  ASSERT_TRUE(at_.create_indexes(kNs, {{json(R"({"key": {"a": 1}, "name": "a"})")}}));
  const OplogPlace before = at_.oplog().end();
  ASSERT_TRUE(at_.modify(kNs, json(R"({"index": {"name": "a", "hidden": true}})").view()));
  ASSERT_TRUE(at_.modify(kNs, json(R"({"index": {"name": "a", "hidden": true}})").view()));
  EXPECT_EQ(events(before), (Strings{same(R"({"operationType": "modify", "collectionUUID": "?",
                                              "ns": {"db": "db", "coll": "c"},
                                              "operationDescription": {"index": {"name": "a", "hidden": true}}})"),
                                     same(R"({"operationType": "modify", "collectionUUID": "?",
                                              "ns": {"db": "db", "coll": "c"}, "operationDescription": {}})")}));
}

TEST_F(Deployment, ModifiesOptions) {
  ASSERT_TRUE(at_.create(kNs, json(R"({"capped": true, "size": 4096, "expireAfterSeconds": 5})").view()));
  ASSERT_TRUE(at_.modify(kNs, json(R"({"cappedSize": 512, "cappedMax": 3})").view()));
  ASSERT_TRUE(at_.modify(kNs, json(R"({"expireAfterSeconds": "off", "validationLevel": "off"})").view()));
  EXPECT_EQ(at_.find(kNs)->options.view().json(), same(R"({"capped": true, "size": 512, "max": 3,
                                                           "validationLevel": "off", "validationAction": "error"})"))
      << "who changes one part of the validation gets all parts";
}

TEST(OplogPlace, IsItsToken) {
  const OplogPlace place{{1'700'000'000, 12}, 3};
  const bson::Document token = place.token();
  EXPECT_EQ(token["_data"].string(), "826553F1000000000C00000003");
  EXPECT_EQ(OplogPlace::parse(token.view()).value(), place);
  for (const char* wrong : {R"({})", R"({"_data": "82"})", R"({"_data": "826553F1000000000C0000000Z"})"}) {
    EXPECT_FALSE(OplogPlace::parse(json(wrong).view())) << wrong;
  }
}

TEST(Snapshot, NamesTheFirstDifference) {
  MemoryDeployment left({});
  MemoryDeployment right({.seed = 2});
  const auto difference = [&] { return first_difference(take_snapshot(left), take_snapshot(right)); };
  ASSERT_TRUE(left.insert(kNs, json(R"({"_id": 1, "a": 1})").view()));
  EXPECT_EQ(difference(), "the target lacks db.c");
  ASSERT_TRUE(right.create(kNs, {}));
  EXPECT_THAT(difference(), testing::StartsWith("db.c: the target lacks {"));
  ASSERT_TRUE(right.insert(kNs, json(R"({"_id": 1, "a": 1.0})").view()));
  EXPECT_THAT(difference(), testing::StartsWith("db.c: source has {"));
  ASSERT_TRUE(right.replace(kNs, json(R"({"_id": 1, "a": 1})").view()));
  EXPECT_EQ(difference(), "");
  ASSERT_TRUE(right.insert(kNs, json(R"({"_id": 0})").view()));
  EXPECT_THAT(difference(), testing::StartsWith("db.c: only the target has {"));
  ASSERT_TRUE(right.erase(kNs, json(R"({"_id": 0})")["_id"]));
  ASSERT_TRUE(left.create_indexes(kNs, {{json(R"({"v": 2, "key": {"a": 1}, "name": "a", "expireAfterSeconds": 5})")}}));
  EXPECT_THAT(difference(), testing::HasSubstr("lacks index"));
  ASSERT_TRUE(right.create_indexes(
      kNs, {{json(R"({"key": {"a": 1}, "name": "a", "expireAfterSeconds": {"$numberLong": "5"}, "v": 2})")}}));
  EXPECT_EQ(difference(), "") << "order of fields and types of numbers do not count in specifications";
  ASSERT_TRUE(right.modify(kNs, json(R"({"validationLevel": "off"})").view()));
  EXPECT_THAT(difference(), testing::HasSubstr("options"));
  EXPECT_EQ(first_difference(take_snapshot(left), take_snapshot(right), {.options = false}), "");
}

TEST(Snapshot, ComparesCappedCollectionsInNaturalOrder) {
  MemoryDeployment left({});
  MemoryDeployment right({});
  for (MemoryDeployment* side : {&left, &right}) {
    ASSERT_TRUE(side->create(kNs, json(R"({"capped": true, "size": 4096})").view()));
    ASSERT_TRUE(side->insert(kNs, json(side == &left ? R"({"_id": 1})" : R"({"_id": 2})").view()));
    ASSERT_TRUE(side->insert(kNs, json(side == &left ? R"({"_id": 2})" : R"({"_id": 1})").view()));
  }
  EXPECT_THAT(first_difference(take_snapshot(left), take_snapshot(right)), testing::HasSubstr("in natural order at 0"));
}

TEST(Snapshot, LeavesOutWhatTheFilterDoes) {
  MemoryDeployment deployment({});
  ASSERT_TRUE(deployment.create(kNs, {}));
  ASSERT_TRUE(deployment.create({"db", "other"}, {}));
  ASSERT_TRUE(deployment.create({"db", "t"}, json(R"({"temp": true})").view()));
  ASSERT_TRUE(deployment.create({"admin", "c"}, {}));
  const auto filter = Filter::make({"db.*"}, {"db.other"});
  const Snapshot snapshot = take_snapshot(deployment, filter.value());
  EXPECT_EQ(snapshot.size(), 1U);
  EXPECT_TRUE(snapshot.contains(kNs));
}

}  // namespace
}  // namespace plm
