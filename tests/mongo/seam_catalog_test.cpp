#include <chrono>
#include <thread>

#include "fixture.h"

namespace plm {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Catalog : public SeamTest {
 protected:
  CollectionSpec only_collection() {
    auto listed = source_->list_collections({database_});
    if (!listed || listed->size() != 1) throw std::runtime_error("expected one collection");
    return listed->front();
  }
};

TEST_F(Catalog, InfoNamesVersionAndIdentityOfTheReplicaSet) {
  auto source = source_->info();
  ASSERT_TRUE(succeeded(source));
  EXPECT_THAT(source->version, testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+.*"));
  EXPECT_FALSE(source->set_name.empty());
  auto target = target_->info();
  ASSERT_TRUE(succeeded(target));
  EXPECT_NE(source->set_id, target->set_id);
  EXPECT_EQ(source->set_id, source_->info()->set_id);
}

TEST_F(Catalog, ANoteAdvancesTheOplogWindow) {
  auto first = source_->append_note("one");
  ASSERT_TRUE(succeeded(first));
  auto second = source_->append_note("two");
  ASSERT_TRUE(succeeded(second));
  EXPECT_LT(*first, *second);
  auto window = source_->oplog_window();
  ASSERT_TRUE(succeeded(window));
  EXPECT_LT(window->oldest, *first);
  EXPECT_FALSE(window->oldest.is_zero());
  EXPECT_GE(window->newest, *second);
}

TEST_F(Catalog, ListsDatabasesByName) {
  source_server_->run(database_, R"({"create":"a"})");
  auto listed = source_->list_databases();
  ASSERT_TRUE(succeeded(listed));
  EXPECT_THAT(*listed, Contains(database_));
  EXPECT_THAT(*listed, Contains("admin"));
}

TEST_F(Catalog, ListsACollectionWithWholeOptionsAndIndexesButWithoutThatOfId) {
  source_server_->run(database_,
                      R"({"create":"a","collation":{"locale":"en","strength":2},"validator":{"x":{"$gt":0}}})");
  source_server_->run(database_, R"({"createIndexes":"a","indexes":[
      {"key":{"x":1},"name":"x_1","unique":true,"partialFilterExpression":{"x":{"$gt":5}}},
      {"key":{"y":"text"},"name":"words","collation":{"locale":"simple"}}]})");
  const CollectionSpec spec = only_collection();
  EXPECT_EQ(spec.ns, ns("a"));
  EXPECT_EQ(spec.kind, CollectionKind::collection);
  EXPECT_EQ(spec.uuid, source_server_->uuid_of(ns("a")));
  EXPECT_EQ(spec.options["collation"].as_document()["strength"].as_int64(), 2);
  EXPECT_TRUE(spec.options["validator"].exists());
  ASSERT_THAT(spec.indexes, SizeIs(2));
  EXPECT_EQ(spec.indexes[0].name(), "x_1");
  EXPECT_TRUE(spec.indexes[0].is_unique());
  EXPECT_TRUE(spec.indexes[0].spec["partialFilterExpression"].exists());
  EXPECT_EQ(spec.indexes[1].name(), "words");
  EXPECT_TRUE(spec.indexes[1].spec["weights"].exists());
}

TEST_F(Catalog, AViewHasNoUuidAndNoIndexes) {
  source_server_->run(database_, R"({"create":"v","viewOn":"a","pipeline":[{"$match":{"x":1}}]})");
  const CollectionSpec spec = only_collection();
  EXPECT_TRUE(spec.is_view());
  EXPECT_TRUE(spec.uuid.is_nil());
  EXPECT_THAT(spec.indexes, IsEmpty());
  EXPECT_EQ(spec.options["viewOn"].as_string(), "a");
}

TEST_F(Catalog, ATimeSeriesCollectionIsListedOnceAsItsBuckets) {
  source_server_->run(database_, R"({"create":"ts","timeseries":{"timeField":"t","metaField":"m"}})");
  source_server_->run(database_, R"({"createIndexes":"ts","indexes":[{"key":{"x":1},"name":"x"}]})");
  const CollectionSpec spec = only_collection();
  EXPECT_EQ(spec.kind, CollectionKind::time_series);
  EXPECT_EQ(spec.ns, ns("system.buckets.ts"));
  EXPECT_FALSE(spec.options["validator"].exists());
  EXPECT_FALSE(spec.options["clusteredIndex"].exists());
  ASSERT_THAT(spec.indexes, SizeIs(1));
  EXPECT_TRUE(spec.indexes[0].keys()["control.min.x"].exists());
  EXPECT_EQ(spec.uuid, source_server_->uuid_of(ns("system.buckets.ts")));
  EXPECT_EQ(spec.options["timeseries"].as_document()["timeField"].as_string(), "t");
}

TEST_F(Catalog, TheIndexOfAClusteredCollectionBelongsToItsOptions) {
  source_server_->run(database_, R"({"create":"c","clusteredIndex":{"key":{"_id":1},"unique":true,"name":"by_key"}})");
  const CollectionSpec spec = only_collection();
  EXPECT_TRUE(spec.is_clustered());
  EXPECT_THAT(spec.indexes, IsEmpty());
}

TEST_F(Catalog, TemporaryCollectionsAreNotListed) {
  source_server_->run(
      database_, R"({"applyOps":[{"op":"c","ns":")" + database_ + R"(.$cmd","o":{"create":"tmp1","temp":true}}]})");
  auto listed = source_->list_collections({database_});
  ASSERT_TRUE(succeeded(listed));
  EXPECT_THAT(*listed, IsEmpty());
}

TEST_F(Catalog, AnIndexThatIsStillBuildingIsNotListed) {
  source_server_->fill(ns("a"), 1, 10);
  HangingBuilds hanging(*source_server_);
  std::jthread builder([&] {
    Server(source_admin_uri()).run(database_, R"({"createIndexes":"a","indexes":[{"key":{"text":1},"name":"slow"}]})");
  });
  const auto building = [&] {
    const auto reply = source_server_->run(database_, R"({"listIndexes":"a","includeBuildUUIDs":true})");
    return reply.view().json().find("buildUUID") != std::string::npos;
  };
  while (!building()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const CollectionSpec during = only_collection();
  hanging.let_go();
  builder.join();
  EXPECT_THAT(during.indexes, IsEmpty());
  EXPECT_THAT(only_collection().indexes, SizeIs(1));
}

// Of which 6.0 cannot say that it is building (error 5254501).
TEST_F(Catalog, AnIndexOfMeasurementsThatIsStillBuildingIsNotListed) {
  source_server_->run(database_, R"({"create":"s","timeseries":{"timeField":"t"}})");
  source_server_->run(database_, R"({"insert":"s","documents":[{"t":{"$date":"2024-01-01T00:00:00Z"},"x":1}]})");
  HangingBuilds hanging(*source_server_);
  std::jthread builder([&] {
    Server(source_admin_uri()).run(database_, R"({"createIndexes":"s","indexes":[{"key":{"x":1},"name":"slow"}]})");
  });
  const auto building = [&] {
    const auto reply = source_server_->run(database_, R"({"listIndexes":"system.buckets.s"})");
    return reply.view().json().find("slow") != std::string::npos;
  };
  while (!building()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const CollectionSpec during = only_collection();
  hanging.let_go();
  builder.join();
  EXPECT_THAT(during.indexes, IsEmpty());
  EXPECT_THAT(during.unfinished_indexes, SizeIs(1));
  EXPECT_THAT(only_collection().indexes, SizeIs(1));
}

// Other servers may not tell what they have stored; a listing needs the time then
// in which everything is shown.
TEST_F(Catalog, WithoutTheStoredCatalogAListingTakesItsTime) {
  source_server_->run(database_, R"({"create":"a"})");
  const auto milliseconds = [&] {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(only_collection().ns, ns("a"));
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
  };
  EXPECT_LT(milliseconds(), 1900);
  source_server_->run("admin", R"({"configureFailPoint":"failCommand","mode":"alwaysOn",
                                   "data":{"failCommands":["aggregate"],"errorCode":13}})");
  const auto without = milliseconds();
  source_server_->run("admin", R"({"configureFailPoint":"failCommand","mode":"off"})");
  EXPECT_GE(without, 1900);
}

TEST_F(Catalog, DescribesByIdentityWhateverTheNameIsNow) {
  source_server_->run(database_, R"({"create":"a"})");
  const Uuid uuid = source_server_->uuid_of(ns("a"));
  source_server_->run("admin", R"({"renameCollection":")" + ns("a").text() + R"(","to":")" + ns("b").text() + R"("})");
  auto found = source_->describe(database_, uuid);
  ASSERT_TRUE(succeeded(found));
  EXPECT_EQ(found->ns, ns("b"));
  source_server_->run(database_, R"({"drop":"b"})");
  auto gone = source_->describe(database_, uuid);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::not_found);
}

TEST_F(Catalog, CountsAndMeasuresACollection) {
  source_server_->fill(ns("a"), 1, 1234);
  EXPECT_EQ(source_->count_documents(ns("a")), 1234);
  auto stats = source_->stats(ns("a"));
  ASSERT_TRUE(succeeded(stats));
  EXPECT_EQ(stats->documents, 1234);
  EXPECT_GT(stats->size_bytes, 1234 * 20);
  EXPECT_EQ(source_->count_documents(ns("none")), 0);
}

TEST_F(Catalog, CountsMoreThanOneStepAndTheGreatestKeyToo) {
  source_server_->fill(ns("a"), 1, 500'010, 1);
  source_server_->run(database_, R"({"insert":"a","documents":[{"_id":{"$maxKey":1}},{"_id":"text"}]})");
  EXPECT_EQ(source_->count_documents(ns("a")), 500'012);
}

TEST_F(Catalog, SampledIdsAreSortedAndAboutEvenlySpread) {
  source_server_->fill(ns("a"), 1, 20000);
  auto ids = source_->sample_ids(ns("a"), 9);
  ASSERT_TRUE(succeeded(ids));
  ASSERT_THAT(*ids, SizeIs(9));
  for (std::size_t i = 0; i < ids->size(); ++i) {
    const auto expected = static_cast<double>(2000 * (i + 1));
    EXPECT_NEAR(static_cast<double>((*ids)[i].value().as_int64()), expected, 3000);
    if (i > 0) {
      EXPECT_GT((*ids)[i].value().as_int64(), (*ids)[i - 1].value().as_int64());
    }
  }
  EXPECT_THAT(*source_->sample_ids(ns("none"), 9), IsEmpty());
  // A part of so few would be taken by reading and sorting them all.
  source_server_->fill(ns("few"), 1, 20);
  EXPECT_THAT(*source_->sample_ids(ns("few"), 9), IsEmpty());
}

}  // namespace
}  // namespace plm
