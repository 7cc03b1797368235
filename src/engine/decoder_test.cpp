#include "engine/decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/test_seams.h"

namespace plm {
namespace {

constexpr std::string_view kUuid = R"({"$binary": {"base64": "AQIDBAUGRwiJCgsMDQ4PEA==", "subType": "04"}})";

// An event in the shape that memory/oplog.h describes; `rest` begins with a comma.
std::string event(std::string_view type, std::string_view rest, std::string_view ns = R"({"db": "db", "coll": "c"})") {
  return R"({"_id": {"_data": "8264"}, "operationType": ")" + std::string(type) +
         R"(", "clusterTime": {"$timestamp": {"t": 10, "i": 3}}, "wallTime": {"$date": {"$numberLong": "10000"}}, "ns": )" +
         std::string(ns) + std::string(rest) + "}";
}

std::string with_uuid(std::string_view rest) {
  return R"(, "collectionUUID": )" + std::string(kUuid) + std::string(rest);
}

Result<EventBatch> decode_all(const std::vector<std::string>& events) {
  bson::Builder holder;
  {
    auto array = holder.array("events");
    for (const std::string& text : events) array.append(json(text));
  }
  StreamReply reply;
  reply.bytes = std::make_shared<const bson::Document>(holder.take());
  reply.events = (*reply.bytes)["events"].document();
  reply.end = {{11, 1}, json(R"({"_data": "8265"})")};
  reply.source_time = {12, 1};
  return decode(reply);
}

// The one event; `batch` keeps it alive.
ChangeEvent decode_one(const std::string& text, EventBatch& batch) {
  auto decoded = decode_all({text});
  EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
  if (!decoded || decoded->events.size() != 1) return {};
  batch = *std::move(decoded);
  return batch.events.front();
}

EventKind kind_of(const std::string& text) {
  EventBatch batch;
  return decode_one(text, batch).kind;
}

std::string error_of(const std::string& text) {
  const auto decoded = decode_all({text});
  return decoded ? "" : decoded.error().message;
}

TEST(Decoder, ReadsAnInsert) {
  EventBatch batch;
  const auto out = decode_one(
      event("insert", with_uuid(R"(, "documentKey": {"_id": 7}, "fullDocument": {"_id": 7, "a": 1})")), batch);
  EXPECT_EQ(out.kind, EventKind::insert);
  EXPECT_EQ(out.time, (ClusterTime{10, 3}));
  EXPECT_EQ(out.uuid.text(), "01020304-0506-4708-890a-0b0c0d0e0f10");
  EXPECT_EQ(out.ns(), (Namespace{"db", "c"}));
  EXPECT_EQ(out.document_id.as_int64(), 7);
  EXPECT_EQ(out.full_document["a"].as_int64(), 1);
  EXPECT_EQ(out.resume_token["_data"].as_string(), "8264");
  EXPECT_FALSE(out.in_transaction);
  EXPECT_GT(out.size_bytes, 100U);
}

TEST(Decoder, ReadsUpdatesOfBothForms) {
  EventBatch batch;
  const std::string key = with_uuid(R"(, "documentKey": {"_id": 7})");
  const auto raw =
      decode_one(event("update", key + R"(, "rawUpdateDescription": {"$v": 2, "diff": {"u": {"a": 1}}})"), batch);
  EXPECT_EQ(raw.kind, EventKind::update);
  EXPECT_EQ(raw.raw_update["$v"].as_int64(), 2);
  EXPECT_TRUE(raw.public_update.empty());
  const auto open = decode_one(event("update", key + R"(, "updateDescription": {"updatedFields": {"a": 1}})"), batch);
  EXPECT_TRUE(open.raw_update.empty());
  EXPECT_EQ(open.public_update["updatedFields"].as_document()["a"].as_int64(), 1);
}

TEST(Decoder, KnowsEveryKind) {
  const std::string key = with_uuid(R"(, "documentKey": {"_id": 7})");
  EXPECT_EQ(kind_of(event("replace", key + R"(, "fullDocument": {"_id": 7})")), EventKind::replace);
  EXPECT_EQ(kind_of(event("delete", key)), EventKind::erase);
  EXPECT_EQ(kind_of(event("create", with_uuid(R"(, "operationDescription": {"idIndex": {"v": 2}})"))),
            EventKind::create);
  EXPECT_EQ(kind_of(event("createIndexes", with_uuid(R"(, "operationDescription": {"indexes": []})"))),
            EventKind::create_indexes);
  EXPECT_EQ(kind_of(event("dropIndexes", with_uuid(R"(, "operationDescription": {"indexes": []})"))),
            EventKind::drop_indexes);
  EXPECT_EQ(kind_of(event("modify", with_uuid(R"(, "operationDescription": {})"))), EventKind::modify);
  EXPECT_EQ(kind_of(event("rename", with_uuid(R"(, "operationDescription": {"to": {"db": "db", "coll": "d"}})"))),
            EventKind::rename);
  EXPECT_EQ(kind_of(event("drop", with_uuid(""))), EventKind::drop);
  EXPECT_EQ(kind_of(event("dropDatabase", "", R"({"db": "db"})")), EventKind::drop_database);
}

TEST(Decoder, KindsWithNothingToReplicateAreIgnored) {
  for (const std::string_view kind : {"shardCollection", "refineCollectionShardKey", "aKindOfTomorrow"}) {
    EXPECT_EQ(kind_of(event(kind, "")), EventKind::ignored) << kind;
  }
}

// The documents of one transaction have one time; the position inside it must
// not claim the rest.
TEST(Decoder, TellsEventsOfATransaction) {
  EventBatch batch;
  const std::string key =
      with_uuid(R"(, "documentKey": {"_id": 7}, "txnNumber": {"$numberLong": "1"}, "lsid": {"id": 1})");
  EXPECT_TRUE(decode_one(event("delete", key), batch).in_transaction);
}

// Events of views have no UUID: their name is all the identity they have.
TEST(Decoder, AViewNeedsNoUuid) {
  EventBatch batch;
  const auto out = decode_one(event("create", R"(, "operationDescription": {"viewOn": "c", "pipeline": []})"), batch);
  EXPECT_EQ(out.kind, EventKind::create);
  EXPECT_TRUE(out.uuid.is_nil());
}

TEST(Decoder, KeepsTheEndAndTheTimeOfTheReply) {
  const auto empty = decode_all({});
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->events.empty());
  EXPECT_EQ(empty->end.time, (ClusterTime{11, 1}));
  EXPECT_EQ(empty->end.resume_token["_data"].as_string(), "8265");
  EXPECT_EQ(empty->source_time, (ClusterTime{12, 1}));
}

// Going on without what an event lacks would lose it in silence.
TEST(Decoder, NamesWhatAnEventLacks) {
  const std::string token = R"({"_id": {"_data": "8264"})";
  const std::string time = R"("clusterTime": {"$timestamp": {"t": 10, "i": 3}})";
  EXPECT_NE(error_of(token + ", " + time + "}").find("without operationType"), std::string::npos);
  EXPECT_NE(error_of(token + R"(, "operationType": "insert"})").find("without clusterTime"), std::string::npos);
  EXPECT_NE(error_of(token + R"(, "operationType": "insert", "clusterTime": 5})").find("without clusterTime"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"operationType": "drop", )" + time + "}").find("without _id"), std::string::npos);
  EXPECT_NE(error_of(R"({"_id": 7, "operationType": "drop", )" + time + "}").find("without _id"), std::string::npos);

  const std::string id = R"(, "documentKey": {"_id": 7})";
  const auto lacks = [](const std::string& text, std::string_view what) {
    const std::string error = error_of(text);
    EXPECT_NE(error.find("without " + std::string(what)), std::string::npos) << text << " gives: " << error;
    EXPECT_NE(error.find("8264"), std::string::npos) << "it says which event it is";
  };
  lacks(event("insert", with_uuid(R"(, "fullDocument": {"_id": 7})")), "documentKey");
  lacks(event("insert", id + R"(, "fullDocument": {"_id": 7})"), "collectionUUID");
  lacks(event("insert", with_uuid(id)), "fullDocument");
  lacks(event("replace", with_uuid(id)), "fullDocument");
  lacks(event("update", with_uuid(id)), "rawUpdateDescription");
  lacks(event("delete", with_uuid("")), "documentKey");
  lacks(event("delete", with_uuid(R"(, "documentKey": {"key": 7})")), "documentKey");
}

// What plm found in the oplog itself has none.
TEST(Decoder, AnEmptyTokenIsNone) {
  EventBatch batch;
  const auto out = decode_one(
      R"({"_id": {}, "operationType": "drop", "clusterTime": {"$timestamp": {"t": 10, "i": 3}}, "ns": {"db": "db", "coll": "c"}})",
      batch);
  EXPECT_EQ(out.kind, EventKind::drop);
  EXPECT_TRUE(out.resume_token.empty());
}

// Read as "renamed to nowhere" it would drop the collection on the target.
TEST(Decoder, ARenameNeedsItsNewNameAndItsCollection) {
  EXPECT_NE(error_of(event("rename", with_uuid(""))).find("without operationDescription"), std::string::npos);
  EXPECT_NE(error_of(event("rename", R"(, "operationDescription": {"to": {"db": "db", "coll": "d"}})"))
                .find("without collectionUUID"),
            std::string::npos);
}

TEST(Decoder, OneBadEventSpoilsTheReply) {
  EXPECT_FALSE(decode_all({event("drop", with_uuid("")), event("insert", with_uuid(""))}));
}

TEST(Decoder, NamespacesThatNeverTakePartAreIgnored) {
  const std::string insert = with_uuid("");  // what it lacks does not matter
  for (const std::string_view ns :
       {R"({"db": "admin", "coll": "c"})", R"({"db": "config", "coll": "c"})", R"({"db": "local", "coll": "c"})",
        R"({"db": "percona_link_mongodb", "coll": "state"})", R"({"db": "db", "coll": "system.views"})"}) {
    EXPECT_EQ(kind_of(event("insert", insert, ns)), EventKind::ignored) << ns;
  }
}

TEST(Decoder, ARenameOutOfThemIsKept) {
  const auto rename = [](std::string_view to) {
    return kind_of(event("rename", with_uuid(R"(, "operationDescription": {"to": )" + std::string(to) + "}"),
                         R"({"db": "admin", "coll": "c"})"));
  };
  EXPECT_EQ(rename(R"({"db": "db", "coll": "c"})"), EventKind::rename);
  EXPECT_EQ(rename(R"({"db": "local", "coll": "c"})"), EventKind::ignored);
}

// What a deployment writes into its oplog is what the decoder has to read.
TEST(Decoder, ReadsEverythingThatADeploymentWrites) {
  MemoryDeployment set({});
  const Namespace ns{"db", "c"};
  ASSERT_TRUE(set.create(ns, {}));
  ASSERT_TRUE(set.insert(ns, json(R"({"_id": 1, "a": 1})").view()));
  ASSERT_TRUE(set.update(ns, value_of("1").value(), json(R"({"u": {"a": 2}})").view()));
  ASSERT_TRUE(set.replace(ns, json(R"({"_id": 1})").view()));
  ASSERT_TRUE(set.erase(ns, value_of("1").value()));
  ASSERT_TRUE(set.create_indexes(ns, {{json(R"({"key": {"a": 1}, "name": "a"})")}}));
  ASSERT_TRUE(set.drop_index(ns, "a"));
  ASSERT_TRUE(set.modify(ns, json(R"({"validationLevel": "off"})").view()));
  ASSERT_TRUE(set.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  ASSERT_TRUE(set.rename(ns, {"db", "d"}));
  ASSERT_TRUE(set.drop({"db", "d"}));
  ASSERT_TRUE(set.drop_database("db"));
  std::vector<EventKind> kinds;
  OplogPlace place;
  while (const OplogEvent* next = set.oplog().after(place)) {
    kinds.push_back(kind_of(next->event.view().json(100'000)));
    place = next->place;
  }
  using enum EventKind;
  EXPECT_EQ(kinds, (std::vector<EventKind>{create, insert, update, replace, erase, create_indexes, drop_indexes, modify,
                                           create, rename, drop, drop_database}));
}

}  // namespace
}  // namespace plm
