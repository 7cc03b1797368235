#include <chrono>
#include <thread>

#include "fixture.h"
#include "mongo/change_stream.h"

namespace plm {
namespace {

using std::chrono::steady_clock;
using testing::Each;
using testing::ElementsAre;

class Stream : public SeamTest {
 protected:
  Position now() {
    auto time = source_->append_note("stream test");
    if (!time) throw std::runtime_error(time.error().message);
    return {*time, {}};
  }

  // Reads until `count` events of this test's database have come.
  std::vector<bson::Document> events(ChangeStream& stream, std::size_t count) {
    std::vector<bson::Document> out;
    const auto deadline = steady_clock::now() + std::chrono::seconds(20);
    while (out.size() < count && steady_clock::now() < deadline) {
      auto reply = stream.next();
      if (!reply) throw std::runtime_error(reply.error().message);
      last_ = reply->end;
      for (const bson::Element& event : reply->events) {
        const bson::View document = event.value.document();
        if (document["ns"].as_document()["db"].as_string() == database_) out.emplace_back(document);
      }
    }
    return out;
  }

  Position last_;
};

std::vector<std::string> types(const std::vector<bson::Document>& events) {
  std::vector<std::string> out;
  for (const bson::Document& event : events) out.emplace_back(event["operationType"].as_string());
  return out;
}

TEST_F(Stream, ShowsChangesAndDefinitionsFromAClusterTimeOn) {
  const Position start = now();
  source_server_->run(database_, R"({"create":"a"})");
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":1,"x":1}]})");
  source_server_->run(database_, R"({"update":"a","updates":[{"q":{"_id":1},"u":{"$set":{"x":2}}}]})");
  source_server_->run(database_, R"({"delete":"a","deletes":[{"q":{"_id":1},"limit":1}]})");
  source_server_->run(database_, R"({"drop":"a"})");
  auto stream = source_->open_stream(start, {});
  ASSERT_TRUE(succeeded(stream));
  const auto seen = events(**stream, 5);
  ASSERT_THAT(types(seen), ElementsAre("create", "insert", "update", "delete", "drop"));
  EXPECT_EQ(seen[2]["rawUpdateDescription"].as_document()["$v"].as_int64(), 2);
  EXPECT_FALSE(seen[2]["updateDescription"].exists());
  EXPECT_TRUE(seen[1]["collectionUUID"].exists());
}

TEST_F(Stream, GivesThePublicDescriptionOfUpdatesWhenAsked) {
  const Position start = now();
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":1,"x":1}]})");
  source_server_->run(database_, R"({"update":"a","updates":[{"q":{"_id":1},"u":{"$set":{"x":2}}}]})");
  auto stream = source_->open_stream(start, {.raw_updates = false});
  ASSERT_TRUE(succeeded(stream));
  const auto seen = events(**stream, 3);
  EXPECT_EQ(seen.at(2)["updateDescription"].as_document()["updatedFields"].as_document()["x"].as_int64(), 2);
}

TEST_F(Stream, GoesOnBehindAToken) {
  auto stream = source_->open_stream(now(), {});
  ASSERT_TRUE(succeeded(stream));
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":1}]})");
  ASSERT_EQ(events(**stream, 2).size(), 2U);
  ASSERT_TRUE(last_.has_token());
  EXPECT_EQ(last_.time, mongo::token_time(last_.resume_token.view()));
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":2}]})");
  stream = source_->open_stream(last_, {});
  ASSERT_TRUE(succeeded(stream));
  const auto seen = events(**stream, 1);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0]["documentKey"].as_document()["_id"].as_int64(), 2);
}

TEST_F(Stream, AnIdleStreamReturnsInTimeAndMovesOn) {
  const Position start = now();
  auto stream = source_->open_stream(start, {});
  ASSERT_TRUE(succeeded(stream));
  ASSERT_TRUE(succeeded((*stream)->next()));
  const Position later = now();
  const auto began = steady_clock::now();
  auto reply = (*stream)->next();
  ASSERT_TRUE(succeeded(reply));
  EXPECT_LT(steady_clock::now() - began, std::chrono::seconds(3));
  for (int i = 0; i < 10 && reply->end.time < later.time; ++i) reply = (*stream)->next();
  EXPECT_GE(reply->end.time, later.time);
  EXPECT_GE(reply->source_time, later.time);
  EXPECT_TRUE(reply->events.empty());
}

TEST_F(Stream, ShowsAWriteLongBeforeTheNextRegularJournalFlush) {
  source_server_->run(database_, R"({"create":"a"})");
  auto stream = source_->open_stream(now(), {});
  ASSERT_TRUE(succeeded(stream));
  std::vector<steady_clock::time_point> sent(100);
  std::vector<double> milliseconds;
  std::jthread writer([&] {
    Server server(source_admin_uri());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      sent[i] = steady_clock::now();
      server.run(database_,
                 R"({"insert":"a","documents":[{"_id":)" + std::to_string(i) + R"(}],"writeConcern":{"w":1}})");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  while (milliseconds.size() < sent.size()) {
    for (const bson::Document& event : events(**stream, 1)) {
      const auto i = static_cast<std::size_t>(event["documentKey"].as_document()["_id"].as_int64());
      milliseconds.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - sent.at(i)).count());
    }
  }
  std::ranges::sort(milliseconds);
  RecordProperty("median_ms", std::to_string(milliseconds[50]));
  EXPECT_LT(milliseconds[50], 35);  // 53 without the nudger
}

TEST_F(Stream, RepliesOfLargeEventsHoldFewOfThem) {
  auto stream = source_->open_stream(now(), {});
  ASSERT_TRUE(succeeded(stream));
  constexpr int kDocuments = 300;
  for (int i = 0; i < kDocuments; ++i) {
    source_server_->run(database_, R"({"insert":"a","documents":[{"_id":)" + std::to_string(i) + R"(,"text":")" +
                                       std::string(100'000, 'x') + R"("}]})");
  }
  int seen = 0;
  std::size_t largest = 0;  // but for the first one, which nobody could know
  while (seen < kDocuments) {
    const auto reply = (*stream)->next();
    ASSERT_TRUE(succeeded(reply));
    int inserts = 0;
    for (const bson::Element& event : reply->events) {
      if (event.value.as_document()["operationType"].as_string() == "insert") ++inserts;
    }
    if (seen > 0) largest = std::max<std::size_t>(largest, reply->events.size());
    seen += inserts;
  }
  EXPECT_GT(largest, 2'000'000U);
  EXPECT_LT(largest, 5'000'000U);
}

TEST_F(Stream, TheNudgerWritesNothingToTheSource) {
  auto stream = source_->open_stream(now(), {});
  ASSERT_TRUE(succeeded(stream));
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":1}]})");
  ASSERT_EQ(events(**stream, 2).size(), 2U);
  const auto entries = [&] {
    const auto counted = source_server_->run(
        "local", R"({"aggregate":"oplog.rs","pipeline":[{"$match":{"op":{"$ne":"n"}}},{"$count":"n"}],"cursor":{}})");
    return counted["cursor"].as_document()["firstBatch"].as_document()["0"].as_document()["n"].as_int64();
  };
  const std::int64_t before = entries();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(entries(), before);
}

}  // namespace
}  // namespace plm
