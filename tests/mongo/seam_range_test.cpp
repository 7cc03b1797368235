#include "fixture.h"

namespace plm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Range : public SeamTest {
 protected:
  struct Read {
    std::vector<std::string> ids;
    std::int64_t size_bytes = 0;
    std::int64_t batches = 0;
    std::int64_t largest_batch_bytes = 0;
  };

  Read read(const SourceRead& from, const KeyBounds& bounds, const Source::RangeOptions& options = {}) {
    auto reader = source_->read_range(from, bounds, options);
    if (!reader) throw std::runtime_error(reader.error().message);
    Read out;
    for (;;) {
      auto batch = (*reader)->next();
      if (!batch) throw std::runtime_error(batch.error().message);
      add(out, *batch);
      if (batch->exhausted) return out;
    }
  }

 private:
  static void add(Read& out, const DocumentBatch& batch) {
    std::int64_t count = 0;
    std::int64_t size_bytes = 0;
    std::string last;
    for (const bson::Element& element : batch.documents) {
      const bson::View document = element.value.document();
      last = bson::to_json(document["_id"]);
      out.ids.push_back(last);
      size_bytes += document.size();
      ++count;
    }
    EXPECT_EQ(batch.count, count);
    EXPECT_EQ(batch.size_bytes, size_bytes);
    EXPECT_FALSE(batch.read_time.is_zero());
    if (count > 0) {
      EXPECT_EQ(bson::to_json(batch.last_id), last);
    }
    out.size_bytes += size_bytes;
    out.largest_batch_bytes = std::max(out.largest_batch_bytes, size_bytes);
    ++out.batches;
  }
};

// One _id of each kind that a server stores, in the server's order.
constexpr const char* kIdsOfAllTypes[] = {
    R"({"$minKey":1})",
    "null",
    R"({"$numberDouble":"NaN"})",
    "-5",
    "1",
    R"({"$numberDouble":"1.5"})",
    R"({"$numberLong":"9000000000"})",
    R"("a")",
    R"("b")",
    R"({"x":1})",
    R"({"$binary":{"base64":"AQID","subType":"00"}})",
    R"({"$oid":"5f43a1b2c3d4e5f60718293a"})",
    "false",
    "true",
    R"({"$date":{"$numberLong":"1700000000000"}})",
    R"({"$timestamp":{"t":1700000000,"i":1}})",
    R"({"$maxKey":1})",
};

TEST_F(Range, ReadsIdsOfAllTypesInOneOrder) {
  for (const char* id : kIdsOfAllTypes) {
    source_server_->run(database_, R"({"insert":"a","documents":[{"_id":)" + std::string(id) + "}]}");
  }
  const SourceRead from = read_now("a");
  const Read all = read(from, {});
  EXPECT_THAT(all.ids, SizeIs(std::size(kIdsOfAllTypes)));
  // Every way to cut in two gives the whole again: min is inclusive, max exclusive.
  for (std::size_t cut = 1; cut + 1 < std::size(kIdsOfAllTypes); ++cut) {
    const bson::OwnedValue bound = value(kIdsOfAllTypes[cut]);
    Read both = read(from, {{}, bound});
    EXPECT_THAT(both.ids, SizeIs(cut)) << kIdsOfAllTypes[cut];
    const Read upper = read(from, {bound, {}});
    both.ids.insert(both.ids.end(), upper.ids.begin(), upper.ids.end());
    EXPECT_EQ(both.ids, all.ids) << kIdsOfAllTypes[cut];
  }
}

TEST_F(Range, ReadsInBatchesOfBoundedSize) {
  source_server_->fill(ns("a"), 1, 3000, 10'000);  // 30 MB
  const Read all = read(read_now("a"), {});
  EXPECT_THAT(all.ids, SizeIs(3000));
  EXPECT_GT(all.batches, 6);
  EXPECT_LT(all.largest_batch_bytes, 6 << 20);
}

TEST_F(Range, TheCallerCanFixTheBatch) {
  source_server_->fill(ns("a"), 1, 100);
  Source::RangeOptions options;
  options.batch_documents = 10;
  EXPECT_GE(read(read_now("a"), {}, options).batches, 10);
}

TEST_F(Range, AnEmptyRangeIsExhaustedAtOnce) {
  source_server_->run(database_, R"({"create":"a"})");
  const Read all = read(read_now("a"), {});
  EXPECT_THAT(all.ids, IsEmpty());
  EXPECT_EQ(all.batches, 1);
}

TEST_F(Range, ReadsClusteredCollections) {
  source_server_->run(database_, R"({"create":"a","clusteredIndex":{"key":{"_id":1},"unique":true}})");
  source_server_->fill(ns("a"), 1, 2000);
  EXPECT_THAT(read(read_now("a"), {}).ids, SizeIs(2000));
  EXPECT_THAT(read(read_now("a"), {value("100"), value("300")}).ids, SizeIs(200));
}

TEST_F(Range, BoundsFollowTheCollation) {
  source_server_->run(database_, R"({"create":"a","collation":{"locale":"en","strength":2}})");
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":"a"},{"_id":"B"},{"_id":"c"},{"_id":"D"}]})");
  EXPECT_THAT(read(read_now("a"), {}).ids, ElementsAre("\"a\"", "\"B\"", "\"c\"", "\"D\""));
  EXPECT_THAT(read(read_now("a"), {value(R"("b")"), value(R"("d")")}).ids, ElementsAre("\"B\"", "\"c\""));
}

TEST_F(Range, CappedCollectionsComeInNaturalOrder) {
  source_server_->run(database_, R"({"create":"a","capped":true,"size":100000})");
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":3},{"_id":1},{"_id":2}]})");
  Source::RangeOptions options;
  options.natural_order = true;
  EXPECT_THAT(read(read_now("a"), {}, options).ids, ElementsAre("3", "1", "2"));
}

TEST_F(Range, AUuidThatDoesNotExistIsNotFound) {
  source_server_->fill(ns("a"), 1, 10);
  const SourceRead from = read_now("a");
  source_server_->run(database_, R"({"drop":"a"})");
  auto reader = source_->read_range(from, {}, {});
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, ErrorCode::not_found);
  auto documents = source_->read_documents(from, {});
  EXPECT_TRUE(succeeded(documents));
  std::vector<bson::OwnedValue> ids;
  ids.push_back(value("1"));
  documents = source_->read_documents(from, ids);
  ASSERT_FALSE(documents);
  EXPECT_EQ(documents.error().code, ErrorCode::not_found);
}

TEST_F(Range, ADropEndsTheReaderWithARetryableError) {
  source_server_->fill(ns("a"), 1, 2000);
  auto reader = source_->read_range(read_now("a"), {}, {});
  ASSERT_TRUE(succeeded(reader));
  ASSERT_TRUE(succeeded((*reader)->next()));
  source_server_->run(database_, R"({"drop":"a"})");
  auto batch = (*reader)->next();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().server_code, server_code::query_plan_killed);
  EXPECT_TRUE(retryable(batch.error()));
}

TEST_F(Range, ADroppedReaderEndsItsCursor) {
  source_server_->fill(ns("a"), 1, 2000);
  const auto open_cursors = [&] {
    const auto status = source_server_->run("admin", R"({"serverStatus":1})");
    return status["metrics"].as_document()["cursor"].as_document()["open"].as_document()["noTimeout"].as_int64();
  };
  const std::int64_t before = open_cursors();
  {
    auto reader = source_->read_range(read_now("a"), {}, {});
    ASSERT_TRUE(succeeded(reader));
    EXPECT_EQ(open_cursors(), before + 1);
  }
  EXPECT_EQ(open_cursors(), before);
}

TEST_F(Range, ReadsTheAskedDocumentsThatExist) {
  source_server_->fill(ns("a"), 1, 3000);
  std::vector<bson::OwnedValue> ids;
  for (int i = 1; i <= 3000; i += 2) ids.push_back(value(std::to_string(i)));
  ids.push_back(value("5000"));
  ids.push_back(value("null"));
  const SourceRead from = read_now("a");
  auto documents = source_->read_documents(from, ids);
  ASSERT_TRUE(succeeded(documents));
  EXPECT_THAT(documents->documents, SizeIs(1500));
  EXPECT_GE(documents->read_time, from.after);
}

TEST_F(Range, ReadsDocumentsAsTheyWereWhileTheSourceKnows) {
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":1,"n":"before"}]})");
  SourceRead then = read_now("a");
  then.as_of = source_->append_note("then").value();
  source_server_->run(database_, R"({"update":"a","updates":[{"q":{"_id":1},"u":{"$set":{"n":"behind"}}}]})");
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":2}]})");
  std::vector<bson::OwnedValue> ids;
  ids.push_back(value("1"));
  ids.push_back(value("2"));
  auto documents = source_->read_documents(then, ids);
  ASSERT_TRUE(succeeded(documents));
  ASSERT_THAT(documents->documents, SizeIs(1));
  EXPECT_EQ(documents->documents[0]["n"].as_string(), "before");
  EXPECT_EQ(documents->read_time, then.as_of);

  for (const char* code : {"239", "246", "72"}) {
    source_server_->fail_commands(std::string(R"("mode":{"times":1},"data":{"failCommands":["find"],"errorCode":)") +
                                  code + "}");
    documents = source_->read_documents(then, ids);
    ASSERT_TRUE(succeeded(documents));
    ASSERT_THAT(documents->documents, SizeIs(2)) << code;
    EXPECT_EQ(documents->documents[0]["n"].as_string(), "behind");
    EXPECT_GT(documents->read_time, then.as_of);
  }
}

TEST_F(Range, OfWhatHasNoPastIsReadWhatIsThereNow) {
  source_server_->run(database_, R"({"create":"a","capped":true,"size":100000})");
  SourceRead then = read_now("a");
  then.as_of = source_->append_note("then").value();
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":1}]})");
  std::vector<bson::OwnedValue> ids;
  ids.push_back(value("1"));
  const auto documents = source_->read_documents(then, ids);
  ASSERT_TRUE(succeeded(documents));
  EXPECT_THAT(documents->documents, SizeIs(1));
  EXPECT_GT(documents->read_time, then.as_of);
}

}  // namespace
}  // namespace plm
