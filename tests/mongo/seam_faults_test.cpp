#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "fixture.h"

namespace plm {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// Nobody listens there.
constexpr const char* kNobody = "mongodb://127.0.0.1:9/?replicaSet=none&serverSelectionTimeoutMS=500";

TEST(Absence, ConnectingNeedsNoServerAndCallsFailInTimeAsNetworkErrors) {
  auto source = MongoSource::connect(kNobody);
  ASSERT_TRUE(source);
  auto target = MongoTarget::connect(kNobody);
  ASSERT_TRUE(target);
  const auto began = steady_clock::now();
  const auto info = (*source)->info();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::network);
  EXPECT_TRUE(retryable(info.error()));
  EXPECT_EQ((*source)->open_stream({}, {}).error().code, ErrorCode::network);
  const auto created = (*target)->create({"a", "b"}, {});
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::network);
  EXPECT_LT(steady_clock::now() - began, seconds(5));
}

TEST(Absence, ABadUriIsRefusedAtOnceWithoutItsPassword) {
  const auto source = MongoSource::connect("mongodb://user:geheim/@host");
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(source.error().message.find("geheim"), std::string::npos);
}

// The server's own fault points, aimed at the name that plm connects with.
class Faults : public SeamTest {
 protected:
  void TearDown() override {
    if (source_server_) source_server_->fail_commands(R"("mode":"off")");
    if (target_server_) target_server_->fail_commands(R"("mode":"off")");
    SeamTest::TearDown();
  }
};

TEST_F(Faults, ABrokenConnectionDuringAWriteIsANetworkError) {
  const Twin a = twin("a");
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["insert"],"closeConnection":true,"appName":"plm"})");
  const auto inserted = target_->insert(a, array_of({json(R"({"_id":1})")}).view());
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().code, ErrorCode::network);
  EXPECT_TRUE(succeeded(target_->insert(a, array_of({json(R"({"_id":1})")}).view())));
}

TEST_F(Faults, AWriteConcernErrorIsAnErrorThoughTheReplySaysOk) {
  const Twin a = twin("a");
  const std::string concern =
      R"("mode":{"times":1},"data":{"failCommands":["insert","applyOps","create"],"appName":"plm",
      "writeConcernError":{"code":64,"errmsg":"waiting for replication timed out"}})";
  target_server_->fail_commands(concern);
  const auto inserted = target_->insert(a, array_of({json(R"({"_id":1})")}).view());
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().server_code, 64);
  EXPECT_TRUE(retryable(inserted.error()));

  target_server_->fail_commands(concern);
  const bson::OwnedValue id = value("1");
  const bson::Document document = json(R"({"_id":1})");
  const std::vector<TargetOperation> operations = {{TargetOperation::Kind::upsert, &a, id.value(), document.view()}};
  const auto applied = target_->apply(operations);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().server_code, 64);
}

TEST_F(Faults, AnElectionIsReportedByItsCodeAndLabels) {
  const Twin a = twin("a");
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["insert"],"errorCode":10107,"appName":"plm"})");
  const auto inserted = target_->insert(a, array_of({json(R"({"_id":1})")}).view());
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().code, ErrorCode::server);
  EXPECT_EQ(inserted.error().server_code, 10107);
  EXPECT_TRUE(retryable(inserted.error()));
}

TEST_F(Faults, ALookThatFailsDoesNotSayThatACollectionIsThere) {
  const Twin a = twin("a");
  ASSERT_TRUE(succeeded(target_->drop(a)));
  const std::string listing =
      R"("mode":{"times":1},"data":{"failCommands":["listCollections"],"errorCode":50,"appName":"plm"})";
  for (const auto& take_away : {std::function([&] { return target_->drop(a); }),
                                std::function([&] { return target_->drop_index(a, "n_1"); })}) {
    target_server_->fail_commands(listing);
    const Status taken = take_away();
    ASSERT_FALSE(taken);
    EXPECT_TRUE(retryable(taken.error()));
    EXPECT_TRUE(succeeded(take_away()));
  }
}

TEST_F(Faults, OneQuestionThatFailsOnceDoesNotCostTheWholeListing) {
  source_server_->fill(ns("a"), 1, 1);
  source_server_->fill(ns("b"), 1, 1);
  for (const std::string command : {"listCollections", "listIndexes"}) {
    const auto failing = [&](int times) {
      source_server_->fail_commands(R"("mode":{"times":)" + std::to_string(times) + R"(},"data":{"failCommands":[")" +
                                    command + R"("],"closeConnection":true,"appName":"plm"})");
    };
    failing(1);
    const auto listed = source_->list_collections({database_});
    ASSERT_TRUE(succeeded(listed));
    EXPECT_EQ(listed->size(), 2);
    failing(100);
    EXPECT_EQ(source_->list_collections({database_}).error().code, ErrorCode::network);
  }
}

// A server shows a new collection a moment after its events may be read. Nothing
// makes that moment longer; what it answers then does as well.
TEST_F(Faults, ACollectionThatIsStoredIsNotGoneThoughOneReadDoesNotFindIt) {
  source_server_->fill(ns("a"), 1, 3);
  const Uuid uuid = source_server_->uuid_of(ns("a"));
  const auto start = source_->append_note("faults");
  ASSERT_TRUE(succeeded(start));
  const SourceRead read{database_, uuid, *start, {}};
  const std::vector<bson::OwnedValue> ids{value("2")};
  const auto not_shown = [&](const std::string& command, const std::string& mode) {
    source_server_->fail_commands(R"("mode":)" + mode + R"(,"data":{"failCommands":[")" + command +
                                  R"("],"errorCode":26,"appName":"plm"})");
  };
  const std::string for_a_moment = R"({"times":3})";
  not_shown("find", for_a_moment);
  const auto found = source_->read_documents(read, ids);
  ASSERT_TRUE(succeeded(found));
  EXPECT_EQ(found->documents.size(), 1);
  not_shown("find", for_a_moment);
  EXPECT_TRUE(succeeded(source_->read_range(read, {}, {})));
  not_shown("listIndexes", for_a_moment);
  EXPECT_TRUE(succeeded(source_->describe(database_, uuid)));

  not_shown("find", R"("alwaysOn")");
  EXPECT_TRUE(retryable(source_->read_documents(read, ids).error()));
  source_server_->run(database_, R"({"drop":"a"})");
  EXPECT_EQ(source_->read_documents(read, ids).error().code, ErrorCode::not_found);
}

TEST_F(Faults, APositionThatTheOplogNoLongerHoldsIsNotRetryable) {
  source_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["aggregate"],"errorCode":286,"appName":"plm"})");
  auto stream = source_->open_stream({ClusterTime{1, 1}, {}}, {});
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().server_code, server_code::change_stream_history_lost);
  EXPECT_FALSE(retryable(stream.error()));
}

TEST_F(Faults, AStreamThatLosesItsConnectionIsDeadAndAnotherOneGoesOn) {
  auto start = source_->append_note("faults");
  ASSERT_TRUE(succeeded(start));
  auto stream = source_->open_stream({*start, {}}, {});
  ASSERT_TRUE(succeeded(stream));
  source_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["getMore"],"closeConnection":true,"appName":"plm"})");
  const auto broken = (*stream)->next();
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::network);
  EXPECT_FALSE((*stream)->next());
  stream = source_->open_stream({*start, {}}, {});
  ASSERT_TRUE(succeeded(stream));
  EXPECT_TRUE(succeeded((*stream)->next()));
}

TEST_F(Faults, AServerThatDoesNotAnswerIsANetworkErrorInBoundedTime) {
  auto impatient = MongoTarget::connect(target_uri() + "&socketTimeoutMS=1000");
  ASSERT_TRUE(succeeded(impatient));
  ASSERT_TRUE(succeeded((*impatient)->info()));
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["listDatabases"],"blockConnection":true,"blockTimeMS":4000,"appName":"plm"})");
  const auto began = steady_clock::now();
  const auto listed = (*impatient)->list_databases();
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code, ErrorCode::network);
  EXPECT_LT(steady_clock::now() - began, seconds(3));
}

TEST_F(Faults, ALostIndexBuildIsSentOnceMore) {
  const Twin a = twin("a");
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["createIndexes"],"closeConnection":true,"appName":"plm"})");
  std::vector<IndexSpec> specs;
  specs.push_back({json(R"({"key":{"x":1},"name":"x"})")});
  EXPECT_TRUE(succeeded(target_->create_indexes(a, specs).at(0).status));
  EXPECT_EQ(target_->list_indexes(a)->size(), 1U);
}

TEST_F(Faults, ABuildThatTakesLongerThanACommandMayIsWaitedFor) {
  auto impatient = MongoTarget::connect(target_uri() + "&socketTimeoutMS=1000");
  ASSERT_TRUE(succeeded(impatient));
  const Twin a = twin("a");
  take_over(**impatient);
  target_server_->fill(ns("a"), 1, 10);
  HangingBuilds hanging(*target_server_);
  std::vector<IndexSpec> specs;
  specs.push_back({json(R"({"key":{"x":1},"name":"x"})")});
  std::vector<IndexResult> results;
  std::atomic<bool> done = false;
  std::jthread builder([&] {
    results = (*impatient)->create_indexes(a, specs);
    done = true;
  });
  std::this_thread::sleep_for(seconds(3));
  EXPECT_FALSE(done);
  hanging.let_go();
  builder.join();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_TRUE(succeeded(results[0].status));
}

// The engine ends: nobody waits for the build, which goes on.
TEST_F(Faults, ABuildThatIsNotWaitedForAnyMoreGoesOn) {
  auto impatient = MongoTarget::connect(target_uri() + "&socketTimeoutMS=1000");
  ASSERT_TRUE(succeeded(impatient));
  const Twin a = twin("a");
  take_over(**impatient);
  target_server_->fill(ns("a"), 1, 10);
  HangingBuilds hanging(*target_server_);
  std::vector<IndexSpec> specs;
  specs.push_back({json(R"({"key":{"x":1},"name":"x"})")});
  std::atomic<bool> stop = false;
  std::vector<IndexResult> results;
  std::jthread builder([&] { results = (*impatient)->create_indexes(a, specs, [&] { return stop.load(); }); });
  std::this_thread::sleep_for(seconds(2));
  stop = true;
  const auto began = steady_clock::now();
  builder.join();
  EXPECT_LT(steady_clock::now() - began, seconds(5));
  ASSERT_EQ(results.size(), 1U);
  ASSERT_FALSE(results[0].status);
  EXPECT_EQ(results[0].status.error().code, ErrorCode::cancelled);
  hanging.let_go();
  EXPECT_TRUE(succeeded((*impatient)->create_indexes(a, specs).at(0).status));
}

// One collMod reads a whole index: longer than a command may take.
TEST_F(Faults, AConversionThatTakesLongerThanACommandMayIsWaitedFor) {
  auto impatient = MongoTarget::connect(target_uri() + "&socketTimeoutMS=1000");
  ASSERT_TRUE(succeeded(impatient));
  const Twin a = twin("a");
  target_server_->fill(ns("a"), 1, 10);
  target_->create_indexes(a, {{json(R"({"key":{"_id":1,"x":1},"name":"x"})")}});
  ASSERT_TRUE(succeeded(target_->modify(a, json(R"({"index":{"name":"x","prepareUnique":true}})").view())));
  take_over(**impatient);
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["collMod"],"blockConnection":true,"blockTimeMS":3000,"appName":"plm"})");
  EXPECT_TRUE(succeeded((*impatient)->modify(a, json(R"({"index":{"name":"x","unique":true}})").view())));
  EXPECT_TRUE(target_->list_indexes(a)->front().is_unique());
}

}  // namespace
}  // namespace plm
