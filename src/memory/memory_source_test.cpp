#include "memory/memory_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "memory/json.h"

namespace plm {
namespace {

using testing::ElementsAre;

const Namespace kNs{"db", "c"};

class MemorySourceTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(deployment_.create(kNs, {}));
    for (int i = 0; i < 6; ++i) insert(i);
  }
  void insert(int id) { ASSERT_TRUE(deployment_.insert(kNs, json("{\"_id\": " + std::to_string(id) + "}").view())); }
  void erase(int id) { ASSERT_TRUE(deployment_.erase(kNs, json("{\"v\": " + std::to_string(id) + "}")["v"])); }
  [[nodiscard]] SourceRead read() { return {"db", deployment_.find(kNs)->uuid, deployment_.now()}; }
  std::unique_ptr<RangeReader> open(std::int32_t batch_documents, bool natural_order = false,
                                    const KeyBounds& bounds = {}) {
    auto reader = source_.read_range(read(), bounds, {natural_order, batch_documents});
    EXPECT_TRUE(reader);
    return *std::move(reader);
  }
  std::unique_ptr<ChangeStream> stream(const Position& from) {
    auto opened = source_.open_stream(from, {});
    EXPECT_TRUE(opened);
    return *std::move(opened);
  }
  static std::vector<std::int64_t> ids(const DocumentBatch& batch) {
    std::vector<std::int64_t> out;
    for (const bson::Element& element : batch.documents) out.push_back(element.value.document()["_id"].as_int64());
    return out;
  }
  static std::vector<std::string> types(const StreamReply& reply) {
    std::vector<std::string> out;
    for (const bson::Element& event : reply.events) out.emplace_back(event.value.document()["operationType"].string());
    return out;
  }

  Random random_{7};
  FaultPlan faults_{random_, {}};
  MemoryDeployment deployment_{{}};
  MemorySource source_{deployment_, faults_, {.batch_documents = 2, .batch_events = 3}};
};

TEST_F(MemorySourceTest, ReadsARangeInBatches) {
  const KeyBounds bounds{bson::OwnedValue(json(R"({"v": 1})")["v"]), bson::OwnedValue(json(R"({"v": 4.5})")["v"])};
  const auto reader = open(3, false, bounds);
  const auto first = reader->next();
  EXPECT_THAT(ids(first.value()), ElementsAre(1, 2, 3));
  EXPECT_EQ(first->count, 3);
  EXPECT_EQ(first->last_id.as_int64(), 3);
  EXPECT_EQ(first->size_bytes, 3 * 14);
  EXPECT_EQ(first->read_time, deployment_.now());
  EXPECT_FALSE(first->exhausted);
  const auto second = reader->next();
  EXPECT_THAT(ids(second.value()), ElementsAre(4));
  EXPECT_TRUE(second->exhausted);
}

TEST_F(MemorySourceTest, EndsABatchThatHasItsBytes) {
  const auto reader = source_.read_range(read(), {}, {.batch_documents = 5, .batch_bytes = 15});
  EXPECT_THAT(ids((*reader)->next().value()), ElementsAre(0, 1));
}

TEST_F(MemorySourceTest, ReadsEachBatchAsTheCollectionIsThen) {
  const auto reader = open(2);
  EXPECT_THAT(ids(reader->next().value()), ElementsAre(0, 1));
  erase(1);
  erase(2);
  insert(9);
  EXPECT_THAT(ids(reader->next().value()), ElementsAre(3, 4));
  EXPECT_THAT(ids(reader->next().value()), ElementsAre(5, 9));
  const auto last = reader->next();
  EXPECT_TRUE(last->exhausted);
  EXPECT_EQ(last->count, 0);
  EXPECT_FALSE(last->last_id.exists());
}

TEST_F(MemorySourceTest, LetsTheWorkloadWriteBetweenTheDocumentsOfABatch) {
  int calls = 0;
  source_.set_interference([&] {
    if (++calls == 3) erase(1);
  });
  const auto reader = open(3);                                     // 1
  EXPECT_THAT(ids(reader->next().value()), ElementsAre(0, 2, 3));  // 2: the call, 3: behind the first document
}

TEST_F(MemorySourceTest, EndsAReaderWhenItsCollectionIsRenamedAndReadsOnByUuid) {
  const SourceRead by_uuid = read();
  const auto reader = open(2);
  ASSERT_TRUE(reader->next());
  ASSERT_TRUE(deployment_.rename(kNs, {"db", "renamed"}));
  EXPECT_EQ(reader->next().error().server_code, server_code::query_plan_killed);
  EXPECT_EQ(reader->next().error().server_code, server_code::cursor_not_found);
  const auto again = source_.read_range(by_uuid, {bson::OwnedValue(json(R"({"v": 4})")["v"]), {}}, {});
  ASSERT_TRUE(again);
  EXPECT_THAT(ids((*again)->next().value()), ElementsAre(4, 5));
}

TEST_F(MemorySourceTest, FindsNoCollectionThatIsGone) {
  const SourceRead by_uuid = read();
  const auto reader = open(2);
  ASSERT_TRUE(deployment_.drop(kNs));
  ASSERT_TRUE(deployment_.create(kNs, {}));
  EXPECT_EQ(reader->next().error().server_code, server_code::query_plan_killed);
  EXPECT_EQ(source_.read_range(by_uuid, {}, {}).error().code, ErrorCode::not_found);
  const std::vector<bson::OwnedValue> ids = {bson::OwnedValue(json(R"({"v": 1})")["v"])};
  EXPECT_EQ(source_.read_documents(by_uuid, ids).error().code, ErrorCode::not_found);
  EXPECT_TRUE(source_.read_documents(by_uuid, {})->documents.empty());
  EXPECT_EQ(source_.describe("db", by_uuid.uuid).error().code, ErrorCode::not_found);
  EXPECT_EQ(source_.describe("other", read().uuid).error().code, ErrorCode::not_found);
  EXPECT_TRUE(source_.describe("db", read().uuid));
}

TEST_F(MemorySourceTest, ReadsCappedCollectionsInNaturalOrderUntilItsPlaceIsLost) {
  const Namespace capped{"db", "capped"};
  ASSERT_TRUE(deployment_.create(capped, json(R"({"capped": true, "size": 4096, "max": 3})").view()));
  for (const char* document : {R"({"_id": 9})", R"({"_id": 5})", R"({"_id": 7})"}) {
    ASSERT_TRUE(deployment_.insert(capped, json(document).view()));
  }
  const SourceRead from{"db", deployment_.find(capped)->uuid, {}};
  const auto reader = source_.read_range(from, {}, {.natural_order = true, .batch_documents = 2});
  EXPECT_THAT(ids((*reader)->next().value()), ElementsAre(9, 5));
  ASSERT_TRUE(deployment_.insert(capped, json(R"({"_id": 1})").view()));
  EXPECT_THAT(ids((*reader)->next().value()), ElementsAre(7, 1));
  const auto other = source_.read_range(from, {}, {.natural_order = true, .batch_documents = 1});
  EXPECT_THAT(ids((*other)->next().value()), ElementsAre(5));
  ASSERT_TRUE(deployment_.insert(capped, json(R"({"_id": 2})").view()));
  EXPECT_EQ((*other)->next().error().server_code, 136);
  const auto last = (*reader)->next();
  EXPECT_THAT(ids(last.value()), ElementsAre(2));
  EXPECT_TRUE(last->exhausted);
}

TEST_F(MemorySourceTest, WaitsInVainForATimeThatHasNotCome) {
  SourceRead early = read();
  early.after.seconds += 1;
  EXPECT_EQ(source_.read_range(early, {}, {}).error().server_code, 50);
}

TEST_F(MemorySourceTest, ReadsTheDocumentsThatExist) {
  const auto found = source_.read_documents(
      read(), {bson::OwnedValue(json(R"({"v": 3.0})")["v"]), bson::OwnedValue(json(R"({"v": "no"})")["v"])});
  ASSERT_EQ(found->documents.size(), 1U);
  EXPECT_EQ(found->documents[0]["_id"].as_int64(), 3);
  EXPECT_EQ(found->read_time, deployment_.now());
}

TEST_F(MemorySourceTest, SamplesIdsInOrder) {
  const auto sample = source_.sample_ids(kNs, 3);
  ASSERT_EQ(sample->size(), 3U);
  EXPECT_EQ((*sample)[0].value().as_int64(), 2);
  EXPECT_EQ((*sample)[1].value().as_int64(), 3);
  EXPECT_EQ((*sample)[2].value().as_int64(), 5);
  EXPECT_LE(source_.sample_ids(kNs, 100)->size(), 6U);
  EXPECT_EQ(source_.stats(kNs)->documents, 6);
  EXPECT_EQ(source_.stats(kNs)->size_bytes, 6 * 14);
  EXPECT_EQ(source_.count_documents({"db", "none"}).value(), 0);
}

TEST_F(MemorySourceTest, ListsWhatAServerLists) {
  ASSERT_TRUE(deployment_.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  ASSERT_TRUE(deployment_.create({"db", "t"}, json(R"({"temp": true})").view()));
  ASSERT_TRUE(deployment_.create({"db", "system.profile"}, {}));
  EXPECT_THAT(source_.list_databases().value(), ElementsAre("admin", "config", "db", "local"));
  const auto listed = source_.list_collections({"db"});
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].ns, kNs);
  EXPECT_TRUE((*listed)[1].is_view());
}

TEST_F(MemorySourceTest, StreamsEventsFromATimeOrBehindAToken) {
  const Position here{deployment_.append_note(), {}};
  const auto early = stream(here);
  const auto nothing = early->next();
  EXPECT_TRUE(nothing->events.empty());
  EXPECT_EQ(nothing->end.time, here.time);
  insert(10);
  erase(10);
  insert(11);
  deployment_.append_note();
  std::vector<std::string> seen;
  Position last = here;
  while (last.time < deployment_.now()) {
    const auto reply = early->next();
    for (std::string& type : types(reply.value())) seen.push_back(std::move(type));
    last = reply->end;
  }
  EXPECT_THAT(seen, ElementsAre("insert", "delete", "insert"));
  const auto again = stream(nothing->end);
  EXPECT_EQ(types(again->next().value()).front(), "insert");
  EXPECT_TRUE(stream(last)->next()->events.empty());
}

TEST_F(MemorySourceTest, GoesOnInTheMiddleOfATransaction) {
  const Position here{deployment_.append_note(), {}};
  {
    const auto transaction = deployment_.transaction();
    for (int i = 20; i < 26; ++i) insert(i);
  }
  Position at = here;
  std::vector<std::int64_t> seen;
  while (seen.size() < 6) {
    const auto reply = stream(at)->next();  // a new stream for each reply
    ASSERT_TRUE(reply);
    for (const bson::Element& event : reply->events) {
      seen.push_back(event.value.document()["documentKey"].document()["_id"].as_int64());
    }
    at = reply->end;
  }
  EXPECT_THAT(seen, ElementsAre(20, 21, 22, 23, 24, 25));
  EXPECT_TRUE(stream(at)->next()->events.empty());
}

TEST_F(MemorySourceTest, GivesPublicDescriptionsWhenAsked) {
  const Position here{deployment_.append_note(), {}};
  ASSERT_TRUE(deployment_.update(kNs, json(R"({"v": 1})")["v"], json(R"({"i": {"a": 1}})").view()));
  const auto reply = (*source_.open_stream(here, {.raw_updates = false}))->next();
  const bson::View event = reply->events["0"].document();
  EXPECT_FALSE(event["rawUpdateDescription"].exists());
  EXPECT_EQ(event["updateDescription"].document()["updatedFields"].document(), json(R"({"a": 1})").view());
}

TEST_F(MemorySourceTest, LosesItsHistoryWhenTheOplogRollsOver) {
  const Position before{deployment_.now(), {}};
  const auto running = stream(before);
  insert(30);
  insert(31);
  deployment_.truncate_oplog(deployment_.now());
  EXPECT_EQ(source_.open_stream(before, {}).error().server_code, server_code::change_stream_history_lost);
  EXPECT_EQ(running->next().error().server_code, server_code::change_stream_history_lost);
  EXPECT_EQ(source_.oplog_window()->oldest, deployment_.now());
  EXPECT_TRUE(source_.open_stream({deployment_.now(), {}}, {}));
}

TEST_F(MemorySourceTest, RefusesAForeignToken) {
  EXPECT_EQ(source_.open_stream({{}, json(R"({"_data": "xyz"})")}, {}).error().server_code, 9);
}

TEST_F(MemorySourceTest, IsStruckByFaultsAndRecovers) {
  FaultPlan faults(random_, {.before = 0.3, .reader_dies = 0.3, .stream_dies = 0.3});
  MemorySource source(deployment_, faults);
  int failed = 0;
  for (int i = 0; i < 100; ++i) {
    const auto opened = source.open_stream({deployment_.now(), {}}, {});
    const auto reader = source.read_range(read(), {}, {});
    const bool good = opened && (*opened)->next() && reader && (*reader)->next();
    failed += good ? 0 : 1;
    if (opened && !(*opened)->next()) {
      EXPECT_FALSE((*opened)->next()) << "a dead stream stays dead";
    }
  }
  EXPECT_GT(failed, 50);
  EXPECT_LT(failed, 100);
  faults.switch_off();
  EXPECT_TRUE(source.info());
  EXPECT_TRUE((*source.read_range(read(), {}, {}))->next());
}

}  // namespace
}  // namespace plm
