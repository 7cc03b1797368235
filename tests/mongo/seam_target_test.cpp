#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "fixture.h"

namespace plm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Kind = TargetOperation::Kind;

std::string number(int i) { return std::to_string(i); }

class TargetSeam : public SeamTest {};

template <typename T>
bool is_superseded(const Result<T>& result) {
  return !result && result.error().code == ErrorCode::superseded;
}

TEST_F(TargetSeam, CreatesWithWholeOptionsAndTellsTheUuid) {
  const Twin a = twin("a", R"({"collation":{"locale":"en"},"validator":{"x":1}})");
  EXPECT_EQ(a.uuid, target_server_->uuid_of(ns("a")));
  auto listed = target_->list_collections({database_});
  ASSERT_TRUE(succeeded(listed));
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_TRUE(listed->front().options["validator"].exists());
  auto again = target_->create(ns("a"), json("{}").view());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().server_code, server_code::namespace_exists);
}

TEST_F(TargetSeam, CreatesAndDropsViews) {
  auto view = target_->create(ns("v"), json(R"({"viewOn":"a","pipeline":[]})").view());
  ASSERT_TRUE(succeeded(view));
  EXPECT_TRUE(view->is_nil());
  EXPECT_TRUE(succeeded(target_->modify({ns("v"), {}}, json(R"({"viewOn":"b","pipeline":[]})").view())));
  EXPECT_EQ(target_->list_collections({database_})->front().options["viewOn"].as_string(), "b");
  EXPECT_TRUE(succeeded(target_->drop_view(ns("v"))));
  EXPECT_TRUE(succeeded(target_->drop_view(ns("v"))));
}

TEST_F(TargetSeam, DropsNoCollectionInPlaceOfAView) {
  const Twin a = twin("a");
  const Twin buckets = twin("system.buckets.s", R"({"timeseries":{"timeField":"t"}})");
  EXPECT_TRUE(succeeded(target_->drop_view(ns("a"))));
  EXPECT_TRUE(succeeded(target_->drop_view(ns("s"))));
  EXPECT_EQ(target_server_->uuid_of(a.ns), a.uuid);
  EXPECT_EQ(target_server_->uuid_of(buckets.ns), buckets.uuid);
}

TEST_F(TargetSeam, DropsOnlyTheCollectionThatIsMeant) {
  const Twin old = twin("a");
  EXPECT_TRUE(succeeded(target_->drop(old)));
  EXPECT_TRUE(succeeded(target_->drop(old)));
  const Twin other = twin("a");
  EXPECT_TRUE(succeeded(target_->drop(old)));
  EXPECT_EQ(target_server_->uuid_of(ns("a")), other.uuid);
}

TEST_F(TargetSeam, ClearsACollectionThatEndsWithTheGreatestKeyOfAll) {
  const Twin a = twin("a");
  const bson::Document last = array_of({json(R"({"_id":5})"), json(R"({"_id":{"$maxKey":1}})")});
  const bson::Document alone = array_of({json(R"({"_id":{"$maxKey":1}})")});
  for (const bson::Document* documents : {&last, &alone}) {
    for (const KeyBounds& bounds : {KeyBounds{}, KeyBounds{value("5"), {}}, KeyBounds{value(R"({"$maxKey":1})"), {}}}) {
      ASSERT_TRUE(succeeded(target_->clear_range(a, {})));
      ASSERT_TRUE(succeeded(target_->insert(a, documents->view())));
      ASSERT_TRUE(succeeded(target_->clear_range(a, bounds)));
      const bool only_it = bounds.min && bounds.min.value().type() == BSON_TYPE_MAXKEY;
      EXPECT_EQ(target_->count_documents(ns("a")), only_it && documents == &last ? 1 : 0);
    }
  }
}

TEST_F(TargetSeam, ClearsTheGreatestKeyOfAllWithTheLastRange) {
  const Twin a = twin("a");
  ASSERT_TRUE(succeeded(target_->insert(
      a, array_of({json(R"({"_id":{"$maxKey":1}})"), json(R"({"_id":{"$minKey":1}})"), json(R"({"_id":5})")}).view())));
  ASSERT_TRUE(succeeded(target_->clear_range(a, {value("5"), {}})));
  EXPECT_EQ(target_->count_documents(ns("a")), 1);
  ASSERT_TRUE(succeeded(target_->clear_range(a, {{}, value("5")})));
  EXPECT_EQ(target_->count_documents(ns("a")), 0);
}

// What is compared with the source when a job is copied again.
TEST_F(TargetSeam, ReadsARangeByIdentityAndWithAllThatWasWritten) {
  const Twin a = twin("a");
  ASSERT_TRUE(succeeded(target_->insert(
      a, array_of({json(R"({"_id":2})"), json(R"({"_id":1})"), json(R"({"_id":{"$maxKey":1}})"), json(R"({"_id":9})")})
             .view())));
  ASSERT_TRUE(succeeded(target_->rename(a, ns("b"))));
  const auto read = [&](const KeyBounds& bounds) {
    std::vector<std::string> ids;
    auto reader = target_->read_range(a, bounds, 0);
    EXPECT_TRUE(succeeded(reader));
    for (bool more = reader.has_value(); more;) {
      auto batch = (*reader)->next();
      EXPECT_TRUE(succeeded(batch));
      more = batch && !batch->exhausted;
      if (!batch) break;
      for (const bson::Element& element : batch->documents)
        ids.push_back(bson::to_json(element.value.document()["_id"]));
    }
    return ids;
  };
  EXPECT_EQ(read({}).size(), 4U);
  EXPECT_EQ(read({value("2"), value("9")}), std::vector<std::string>{"2"});
  EXPECT_EQ(read({value("9"), {}}).size(), 2U) << "MaxKey comes with the last range";
  ASSERT_TRUE(succeeded(target_->drop({ns("b"), a.uuid})));
  auto gone = target_->read_range(a, {}, 0);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::not_found);
}

TEST_F(TargetSeam, DoesNotTakeADropForDoneWhenTheCollectionHasAnotherName) {
  const Twin a = twin("a");
  ASSERT_TRUE(succeeded(target_->rename(a, ns("b"))));
  auto dropped = target_->drop(a);
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().server_code, server_code::collection_uuid_mismatch);
}

TEST_F(TargetSeam, RenamesAndModifiesOnlyTheCollectionThatIsMeant) {
  const Twin a = twin("a");
  const Twin b{ns("a"), Uuid({1, 2, 3})};
  EXPECT_EQ(target_->rename(b, ns("c")).error().server_code, server_code::collection_uuid_mismatch);
  EXPECT_EQ(target_->modify(b, json(R"({"validationLevel":"off"})").view()).error().server_code,
            server_code::collection_uuid_mismatch);
  EXPECT_TRUE(succeeded(target_->modify(a, json(R"({"validationLevel":"off"})").view())));
  EXPECT_TRUE(succeeded(target_->rename(a, ns("c"))));
  EXPECT_EQ(target_server_->uuid_of(ns("c")), a.uuid);
}

TEST_F(TargetSeam, RenamesAcrossDatabases) {
  const Twin a = twin("a");
  EXPECT_TRUE(succeeded(target_->rename(a, {database_ + "2", "a"})));
  target_server_->run(database_ + "2", R"({"dropDatabase":1})");
}

std::vector<IndexSpec> specs(const std::vector<std::string>& texts) {
  std::vector<IndexSpec> out;
  for (const std::string& text : texts) out.push_back({json(text)});
  return out;
}

TEST_F(TargetSeam, BuildsAllIndexesThoughOneFails) {
  const Twin a = twin("a");
  ASSERT_TRUE(succeeded(
      target_->insert(a, array_of({json(R"({"_id":1,"x":1,"l":[1],"m":[1]})"), json(R"({"_id":2,"x":1})")}).view())));
  const auto results = target_->create_indexes(
      a, specs({R"({"key":{"y":1},"name":"y"})", R"({"key":{"x":1},"name":"x","unique":true})",
                R"({"key":{"l":1,"m":1},"name":"parallel"})", R"({"key":{"z":"2dsphere"},"name":"z"})"}));
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_TRUE(succeeded(results[0].status));
  EXPECT_EQ(results[1].status.error().server_code, server_code::duplicate_key);
  EXPECT_EQ(results[2].status.error().server_code, 171);
  EXPECT_TRUE(succeeded(results[3].status));
  EXPECT_EQ(results[1].status.error().message.find("1 }"), std::string::npos);  // no value of a document
  EXPECT_THAT(*target_->list_indexes(a), SizeIs(2));
}

TEST_F(TargetSeam, AnIndexThatExistsIsASuccessAndOneInConflictIsNot) {
  const Twin a = twin("a");
  EXPECT_TRUE(succeeded(target_->create_indexes(a, specs({R"({"key":{"y":1},"name":"y"})"})).at(0).status));
  EXPECT_TRUE(succeeded(target_->create_indexes(a, specs({R"({"key":{"y":1},"name":"y"})"})).at(0).status));
  EXPECT_EQ(target_->create_indexes(a, specs({R"({"key":{"y":1},"name":"z"})"})).at(0).status.error().server_code,
            server_code::index_options_conflict);
  EXPECT_EQ(target_->create_indexes({ns("a"), Uuid({1})}, specs({R"({"key":{"q":1},"name":"q"})"}))
                .at(0)
                .status.error()
                .server_code,
            server_code::collection_uuid_mismatch);
}

TEST_F(TargetSeam, DropsAnIndexOnce) {
  const Twin a = twin("a");
  target_->create_indexes(a, specs({R"({"key":{"y":1},"name":"y"})"}));
  EXPECT_TRUE(succeeded(target_->drop_index(a, "y")));
  EXPECT_TRUE(succeeded(target_->drop_index(a, "y")));
  EXPECT_THAT(*target_->list_indexes(a), IsEmpty());
  EXPECT_TRUE(succeeded(target_->drop_index({ns("none"), Uuid({1})}, "y")));
}

// Builds indexes of collection "a" and ends the build while it is under way.
class EndingBuilds : public TargetSeam {
 protected:
  std::vector<IndexResult> build_and(const std::vector<IndexSpec>& indexes,
                                     const std::function<Status(const Twin&)>& end) {
    const Twin a = twin("a");
    target_server_->fill(ns("a"), 1, 10);
    HangingBuilds hanging(*target_server_, "hangAfterStartingIndexBuildUnlocked");
    std::vector<IndexResult> results;
    std::jthread builder([&] { results = target_->create_indexes(a, indexes); });
    const auto building = [&] {
      const auto reply = target_server_->run(database_, R"({"listIndexes":"a","includeBuildUUIDs":true})");
      return reply.view().json().find("buildUUID") != std::string::npos;
    };
    while (!building()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::atomic<bool> ended = false;
    std::jthread dropper([&] {
      EXPECT_TRUE(succeeded(end(a)));
      ended = true;
    });
    const auto ending = [&] {
      const auto reply = target_server_->run("admin", R"({"aggregate":1,"pipeline":[{"$currentOp":{"allUsers":true}},
          {"$match":{"command.dropIndexes":"a","command.$db":")" +
                                                          database_ + R"("}}],"cursor":{}})");
      return !reply["cursor"].as_document()["firstBatch"].as_document().empty();
    };
    while (!ended && !ending()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    hanging.let_go();
    builder.join();
    dropper.join();
    EXPECT_THAT(*target_->list_indexes(a), IsEmpty());
    return results;
  }
};

TEST_F(EndingBuilds, DroppingAnIndexEndsItsBuild) {
  const auto results =
      build_and(specs({R"({"key":{"y":1},"name":"y"})"}), [&](const Twin& a) { return target_->drop_index(a, "y"); });
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(results[0].status.error().server_code, server_code::index_build_aborted);
}

// A build of several ends only when all of them are named together.
TEST_F(EndingBuilds, ABuildOfSeveralIndexesEnds) {
  const auto results = build_and(
      specs({R"({"key":{"x":1},"name":"x"})", R"({"key":{"y":1},"name":"y"})", R"({"key":{"z":1},"name":"z"})"}),
      [&](const Twin& a) { return target_->abort_builds(a); });
  ASSERT_THAT(results, SizeIs(3));
  for (const IndexResult& result : results) {
    EXPECT_EQ(result.status.error().server_code, server_code::index_build_aborted);
  }
}

TEST_F(TargetSeam, ThereMayBeNoBuildToEnd) {
  EXPECT_TRUE(succeeded(target_->abort_builds(twin("a"))));
  EXPECT_TRUE(succeeded(target_->abort_builds({ns("none"), Uuid({1, 2, 3, 4, 5, 6, 0x47, 8, 0x89})})));
}

TEST_F(TargetSeam, InsertsAndReplacesWhatExists) {
  const Twin a = twin("a", R"({"validator":{"never":true}})");
  ASSERT_TRUE(succeeded(target_->insert(a, array_of({json(R"({"_id":1,"x":1})"), json(R"({"_id":2})")}).view())));
  auto again = target_->insert(a, array_of({json(R"({"_id":3})"), json(R"({"_id":1,"y":1})")}).view());
  ASSERT_TRUE(succeeded(again));
  EXPECT_THAT(*again, IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")),
              ElementsAre(R"({ "_id" : 1, "y" : 1 })", R"({ "_id" : 2 })", R"({ "_id" : 3 })"));
}

TEST_F(TargetSeam, InsertsAndReplacesWhatTheServerCannotName) {
  const Twin a = twin("a", R"({"clusteredIndex":{"key":{"_id":1},"unique":true}})");
  const std::vector<std::string> ids = {"2.5",
                                        "1e-300",
                                        R"({"$numberDouble":"NaN"})",
                                        R"({"$numberDouble":"-Infinity"})",
                                        R"({"$numberDecimal":"0.1"})",
                                        R"({"$numberDecimal":"-1E-2941"})",
                                        R"({"part":1e300})"};
  for (const std::string part : {R"("x":1)", R"("y":1)"}) {
    std::vector<bson::Document> documents;
    for (const std::string& id : ids) documents.push_back(json(R"({"_id":)" + id + "," + part + "}"));
    const auto inserted = target_->insert(a, array_of(documents).view());
    ASSERT_TRUE(succeeded(inserted));
    EXPECT_THAT(*inserted, IsEmpty());
  }
  const std::vector<std::string> contents = target_server_->contents(ns("a"));
  EXPECT_THAT(contents, SizeIs(ids.size()));
  EXPECT_THAT(contents, testing::Each(testing::HasSubstr(R"("y" : 1)")));
}

TEST_F(TargetSeam, ADuplicateInAnotherUniqueIndexIsAFailureOfThatDocumentAlone) {
  const Twin a = twin("a");
  target_->create_indexes(a, specs({R"({"key":{"x":1},"name":"x","unique":true})"}));
  auto inserted = target_->insert(
      a, array_of({json(R"({"_id":1,"x":1})"), json(R"({"_id":2,"x":1})"), json(R"({"_id":3,"x":3})")}).view());
  ASSERT_TRUE(succeeded(inserted));
  ASSERT_THAT(*inserted, SizeIs(1));
  EXPECT_EQ(inserted->front().index, 1U);
  EXPECT_EQ(inserted->front().kind, OperationFailure::Kind::rejected);
  EXPECT_EQ(inserted->front().error.server_code, server_code::duplicate_key);
  EXPECT_THAT(target_server_->contents(ns("a")), SizeIs(2));
}

TEST_F(TargetSeam, InsertsNothingUnderTheNameOfAnotherCollection) {
  const Twin old = twin("a");
  ASSERT_TRUE(succeeded(target_->drop(old)));
  auto into_nothing = target_->insert(old, array_of({json(R"({"_id":1})")}).view());
  ASSERT_FALSE(into_nothing);
  EXPECT_EQ(into_nothing.error().server_code, server_code::collection_uuid_mismatch);
  EXPECT_THAT(*target_->list_collections({database_}), IsEmpty());
}

TEST_F(TargetSeam, InsertsMoreThanOneCommandCanHold) {
  const Twin a = twin("a");
  std::vector<bson::Document> many;
  many.reserve(45'000);
  for (int i = 0; i < 45'000; ++i) {
    bson::Builder document;
    document.append("_id", i);
    many.push_back(document.take());
  }
  ASSERT_TRUE(succeeded(target_->insert(a, array_of(many).view())));
  ASSERT_TRUE(succeeded(target_->insert(a, array_of(many).view())));
  EXPECT_EQ(target_->count_documents(ns("a")), 45'000);
}

TEST_F(TargetSeam, InsertsTheLargestDocumentAndArraysBeyondOneCommand) {
  const Twin a = twin("a");
  std::vector<bson::Document> large;
  for (int i = 0; i < 3; ++i) {
    bson::Builder document;
    document.append("_id", i).append("text", std::string((16U << 20U) - 100, 'x'));
    large.push_back(document.take());
  }
  ASSERT_TRUE(succeeded(target_->insert(a, array_of({large[0]}).view())));
  ASSERT_TRUE(succeeded(target_->insert(a, array_of(large).view())));  // the first one exists: a replacement
  EXPECT_EQ(target_->count_documents(ns("a")), 3);
}

TEST_F(TargetSeam, ClearsExactlyTheRange) {
  const Twin a = twin("a");
  target_server_->fill(ns("a"), 1, 12'000);
  ASSERT_TRUE(succeeded(target_->clear_range(a, {value("101"), value("11901")})));
  EXPECT_EQ(target_->count_documents(ns("a")), 200);
  ASSERT_TRUE(succeeded(target_->clear_range(a, {{}, value("51")})));
  EXPECT_EQ(target_->count_documents(ns("a")), 150);
  ASSERT_TRUE(succeeded(target_->clear_range(a, {})));
  EXPECT_EQ(target_->count_documents(ns("a")), 0);
  ASSERT_TRUE(succeeded(target_->clear_range(a, {})));
}

TEST_F(TargetSeam, ClearsWhatNoTransactionMayWriteTo) {
  for (const Twin& a : {twin("capped", R"({"capped":true,"size":100000})"), twin("system.js")}) {
    target_server_->fill(a.ns, 1, 50);
    ASSERT_TRUE(succeeded(target_->clear_range(a, {value("11"), {}})));
    EXPECT_EQ(target_->count_documents(a.ns), 10);
    ASSERT_TRUE(succeeded(target_->clear_range(a, {})));
    EXPECT_EQ(target_->count_documents(a.ns), 0);
  }
}

// Both modes must come to the same contents.
class Apply : public TargetSeam, public testing::WithParamInterface<ApplyMode> {
 protected:
  void SetUp() override {
    TargetSeam::SetUp();
    if (IsSkipped()) return;
    target_->force_mode(GetParam());
    auto mode = target_->probe_apply_mode();
    ASSERT_TRUE(succeeded(mode));
    ASSERT_EQ(*mode, GetParam());
  }

  // Keeps what its operations point to.
  class Batch {
   public:
    explicit Batch(const Twin& twin) : twin_(twin) {}
    Batch& upsert(const std::string& id, const std::string& document) { return add(Kind::upsert, id, json(document)); }
    Batch& upsert(const std::string& id, bson::Document document) { return add(Kind::upsert, id, std::move(document)); }
    Batch& replace(const std::string& id, const std::string& document) {
      return add(Kind::replace, id, json(document));
    }
    Batch& diff(const std::string& id, const std::string& diff) {
      return add(Kind::diff, id, json(R"({"$v":2,"diff":)" + diff + "}"));
    }
    Batch& classic(const std::string& id, const std::string& update) { return add(Kind::diff, id, json(update)); }
    Batch& erase(const std::string& id) { return add(Kind::erase, id, {}); }
    [[nodiscard]] std::vector<TargetOperation> operations() const {
      std::vector<TargetOperation> out;
      for (const Item& item : items_) out.push_back({item.kind, &twin_, item.id.value(), item.body.view()});
      return out;
    }

   private:
    struct Item {
      Kind kind;
      bson::OwnedValue id;
      bson::Document body;
    };
    Batch& add(Kind kind, const std::string& id, bson::Document body) {
      items_.push_back({kind, value(id), std::move(body)});
      return *this;
    }
    const Twin& twin_;
    std::vector<Item> items_;
  };

  std::vector<OperationFailure> apply(const Batch& batch) {
    auto applied = target_->apply(batch.operations());
    if (!applied) throw std::runtime_error(applied.error().message);
    return *applied;
  }
};

INSTANTIATE_TEST_SUITE_P(Modes, Apply, testing::Values(ApplyMode::exact, ApplyMode::portable), [](const auto& mode) {
  return mode.param == ApplyMode::exact ? std::string("exact") : std::string("portable");
});

TEST_P(Apply, KeepsTheOrderOfOneDocument) {
  const Twin a = twin("a");
  Batch batch(a);
  batch.upsert("1", R"({"_id":1,"x":1})").diff("1", R"({"u":{"x":2}})").upsert("2", R"({"_id":2})");
  batch.erase("2").upsert("2", R"({"_id":2,"again":true})").diff("1", R"({"i":{"y":3}})").erase("7");
  EXPECT_THAT(apply(batch), IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")),
              ElementsAre(R"({ "_id" : 1, "x" : 2, "y" : 3 })", R"({ "_id" : 2, "again" : true })"));
}

TEST_P(Apply, AnUpsertReplacesTheWholeDocument) {
  const Twin a = twin("a");
  apply(Batch(a).upsert("1", R"({"_id":1,"x":1,"y":1})"));
  apply(Batch(a).upsert("1", R"({"_id":1,"z":1})"));
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 1, "z" : 1 })"));
}

TEST_P(Apply, DiffsOfMissingDocumentsAreNamedAndCreateNothing) {
  const Twin a = twin("a");
  Batch batch(a);
  batch.upsert("1", R"({"_id":1,"x":1})").diff("5", R"({"u":{"x":2}})").diff("1", R"({"u":{"x":2}})");
  batch.diff("6", R"({"u":{"x":2}})");
  const auto failures = apply(batch);
  ASSERT_THAT(failures, SizeIs(2));
  EXPECT_EQ(failures[0].index, 1U);
  EXPECT_EQ(failures[1].index, 3U);
  EXPECT_EQ(failures[0].kind, OperationFailure::Kind::missing);
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 1, "x" : 2 })"));
}

TEST_P(Apply, ClassicUpdatesWorkInBothModes) {
  const Twin a = twin("a");
  Batch batch(a);
  batch.upsert("1", R"({"_id":1,"x":1,"y":1})").classic("1", R"({"$set":{"x":2},"$unset":{"y":""}})");
  batch.classic("9", R"({"$set":{"x":2}})");
  const auto failures = apply(batch);
  ASSERT_THAT(failures, SizeIs(1));
  EXPECT_EQ(failures[0].index, 2U);
  EXPECT_EQ(failures[0].kind, OperationFailure::Kind::missing);
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 1, "x" : 2 })"));
}

TEST_P(Apply, WhatTheServerCannotApplyDoesNotStopTheOthers) {
  const Twin a = twin("a");
  target_->create_indexes(
      a, specs({R"({"key":{"l":1,"m":1},"name":"lm"})", R"({"key":{"u":1},"name":"u","unique":true})"}));
  Batch batch(a);
  batch.upsert("1", R"({"_id":1,"u":1})").upsert("2", R"({"_id":2,"l":[1],"m":[1],"u":2})");
  batch.upsert("3", R"({"_id":3,"u":1})").diff("44", R"({"u":{"x":1}})").upsert("4", R"({"_id":4,"u":4})");
  const auto failures = apply(batch);
  ASSERT_THAT(failures, SizeIs(3));
  EXPECT_EQ(failures[0].index, 1U);
  EXPECT_EQ(failures[0].error.server_code, 171);
  EXPECT_EQ(failures[1].index, 2U);
  EXPECT_EQ(failures[1].error.server_code, server_code::duplicate_key);
  EXPECT_EQ(failures[2].kind, OperationFailure::Kind::missing);
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 1, "u" : 1 })", R"({ "_id" : 4, "u" : 4 })"));
}

TEST_P(Apply, SpansCollectionsInOrder) {
  const Twin a = twin("a");
  const Twin b = twin("b");
  auto operations = Batch(a).upsert("1", R"({"_id":1})").operations();
  Batch in_a(a);
  in_a.upsert("1", R"({"_id":1})").upsert("2", R"({"_id":2})");
  Batch in_b(b);
  in_b.upsert("1", R"({"_id":1})").erase("1");
  operations = {in_a.operations()[0], in_b.operations()[0], in_a.operations()[1], in_b.operations()[1]};
  auto applied = target_->apply(operations);
  ASSERT_TRUE(succeeded(applied));
  EXPECT_THAT(*applied, IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")), SizeIs(2));
  EXPECT_THAT(target_server_->contents(ns("b")), IsEmpty());
}

TEST_P(Apply, ACollectionThatIsGoneRejectsItsOperationsOnly) {
  const Twin a = twin("a");
  const Twin gone = twin("gone");
  ASSERT_TRUE(succeeded(target_->drop(gone)));
  Batch in_a(a);
  in_a.upsert("1", R"({"_id":1})").upsert("2", R"({"_id":2})");
  Batch in_gone(gone);
  in_gone.upsert("1", R"({"_id":1})").upsert("2", R"({"_id":2})").upsert("3", R"({"_id":3})");
  const std::vector<TargetOperation> operations = {in_a.operations()[0], in_gone.operations()[0],
                                                   in_gone.operations()[1], in_a.operations()[1],
                                                   in_gone.operations()[2]};
  auto applied = target_->apply(operations);
  ASSERT_TRUE(succeeded(applied));
  ASSERT_THAT(*applied, SizeIs(3));
  for (const OperationFailure& failure : *applied) EXPECT_EQ(failure.error.code, ErrorCode::not_found);
  EXPECT_THAT(target_server_->contents(ns("a")), SizeIs(2));
  EXPECT_THAT(*target_->list_collections({database_}), SizeIs(1));
}

TEST_P(Apply, AKeyThatIsEqualWithoutBeingIdenticalIsReplaced) {
  const Twin a = twin("a", R"({"collation":{"locale":"en","strength":2}})");
  apply(Batch(a).upsert(R"("a")", R"({"_id":"a","x":1})"));
  EXPECT_THAT(apply(Batch(a).upsert(R"("A")", R"({"_id":"A","x":2})")), IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : "A", "x" : 2 })"));
}

TEST_P(Apply, TakesFieldNamesThatQueriesCannotExpress) {
  const Twin a = twin("a");
  const std::string odd = R"({"_id":1,"a.b":1,"":2,"x":{"$y":3}})";
  EXPECT_THAT(apply(Batch(a).upsert("1", odd)), IsEmpty());
  EXPECT_THAT(apply(Batch(a).upsert("1", odd)), IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")), SizeIs(1));
}

TEST_P(Apply, TheLargestDocumentIsWritten) {
  const Twin a = twin("a");
  bson::Builder document;
  document.append("_id", 1).append("text", std::string((16U << 20U) - 100, 'x'));
  const bson::Document large = document.take();
  EXPECT_THAT(apply(Batch(a).upsert("1", large)), IsEmpty());
  EXPECT_THAT(apply(Batch(a).upsert("1", large).upsert("2", R"({"_id":2})")), IsEmpty());
  EXPECT_EQ(target_->count_documents(ns("a")), 2);
}

TEST_P(Apply, ManyOperationsGoInSeveralCommands) {
  const Twin a = twin("a");
  Batch batch(a);
  for (int i = 0; i < 3000; ++i) batch.upsert(number(i), "{\"_id\":" + number(i) + "}");
  for (int i = 0; i < 3000; i += 2) batch.erase(number(i));
  for (int i = 0; i < 3000; ++i) batch.diff(number(i), R"({"i":{"x":1}})");
  const auto failures = apply(batch);
  EXPECT_THAT(failures, SizeIs(1500));
  for (const OperationFailure& failure : failures) {
    EXPECT_EQ(failure.kind, OperationFailure::Kind::missing);
    EXPECT_GE(failure.index, 4500U);
    EXPECT_EQ((failure.index - 4500) % 2, 0U);
  }
  EXPECT_EQ(target_->count_documents(ns("a")), 1500);
}

TEST_P(Apply, AReplacementIsWrittenWhetherItsDocumentExistsOrNot) {
  const Twin a = twin("a");
  const std::vector<std::string> documents = {
      R"({ "_id" : 1, "x" : 2, "a.b" : 1, "" : 2 })",
      R"({ "_id" : 1, "$set" : { "x" : 1 } })",
      R"({ "_id" : 1, "$v" : 2, "diff" : { "u" : { "x" : 5 } } })",
      R"({ "_id" : 1.0, "x" : 3 })",
  };
  for (const std::string& document : documents) {
    EXPECT_THAT(apply(Batch(a).erase("1").replace("1", document)), IsEmpty());
    EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(document));
    EXPECT_THAT(apply(Batch(a).upsert("1", R"({"_id":1,"old":1})").replace("1", document)), IsEmpty());
    EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(document));
  }
}

// Natural order is part of a capped collection.
TEST_P(Apply, AReplacementWithADollarFieldStaysInItsPlace) {
  const Twin a = twin("a", R"({"capped":true,"size":100000})");
  EXPECT_THAT(apply(Batch(a).upsert("1", R"({"_id":1,"old":1})").upsert("2", R"({"_id":2})")), IsEmpty());
  EXPECT_THAT(apply(Batch(a).upsert("1", R"({"_id":1,"$x":1})")), IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 1, "$x" : 1 })", R"({ "_id" : 2 })"));
  EXPECT_THAT(apply(Batch(a).replace("1", R"({"_id":1,"$y":1})")), IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 1, "$y" : 1 })", R"({ "_id" : 2 })"));
}

TEST_P(Apply, ManyErasesAtOnceRemoveKeysOfAllTypes) {
  const Twin a = twin("a");
  const std::vector<std::string> odd = {R"({"$minKey":1})",
                                        R"({"$maxKey":1})",
                                        "null",
                                        R"({"$numberDouble":"NaN"})",
                                        R"({"x":{"y":[1]}})",
                                        R"({"$timestamp":{"t":0,"i":0}})",
                                        R"("")"};
  Batch fill(a);
  Batch erases(a);
  for (int i = 0; i < 40; ++i) {
    fill.upsert(number(i), "{\"_id\":" + number(i) + "}");
    erases.erase(number(i + 1));  // the last is missing
  }
  for (const std::string& id : odd) {
    fill.upsert(id, "{\"_id\":" + id + "}");
    erases.erase(id);
  }
  EXPECT_THAT(apply(fill), IsEmpty());
  EXPECT_EQ(target_->count_documents(ns("a")), 47);
  EXPECT_THAT(apply(erases), IsEmpty());
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(R"({ "_id" : 0 })"));
}

// Together they do not fit into one command.
TEST_P(Apply, ErasesOfHugeKeys) {
  const Twin a = twin("a");
  Batch erases(a);
  for (const char letter : {'x', 'y', 'z'}) {
    const std::string id = "\"" + std::string(7U << 20U, letter) + "\"";
    ASSERT_TRUE(succeeded(target_->insert(a, array_of({json("{\"_id\":" + id + "}")}).view())));
    erases.erase(id).erase("1");
  }
  EXPECT_EQ(target_->count_documents(ns("a")), 3);
  EXPECT_THAT(apply(erases), IsEmpty());
  EXPECT_EQ(target_->count_documents(ns("a")), 0);
}

// C9: by the name alone it would be the wrong one.
TEST_P(Apply, NothingIsWrittenToAnotherCollectionOfTheName) {
  const Twin old = twin("a");
  ASSERT_TRUE(succeeded(target_->drop(old)));
  const Twin other = twin("a");
  ASSERT_TRUE(succeeded(target_->insert(other, array_of({json(R"({"_id":1,"x":1})")}).view())));
  Batch few(old);
  few.upsert("1", R"({"_id":1,"x":2})").upsert("2", R"({"_id":2})").replace("1", R"({"_id":1,"x":3})");
  few.diff("1", R"({"u":{"x":4}})").erase("1");
  EXPECT_THAT(apply(few), SizeIs(5));
  Batch many(old);
  for (int i = 0; i < 40; ++i) many.erase(number(i));
  EXPECT_THAT(apply(many), Not(IsEmpty()));
  EXPECT_FALSE(target_->insert(old, array_of({json(R"({"_id":3})")}).view()));
  EXPECT_FALSE(target_->clear_range(old, {}));
  EXPECT_THAT(target_server_->contents(ns("a")), ElementsAre(json(R"({"_id":1,"x":1})").view().json()));
}

TEST_P(Apply, ManyErasesWhereNoTransactionMayWriteAndInACollectionThatIsGone) {
  for (const Twin& a : {twin("capped", R"({"capped":true,"size":100000})"), twin("system.js")}) {
    Batch fill(a);
    Batch erases(a);
    for (int i = 0; i < 40; ++i) {
      fill.upsert(number(i), "{\"_id\":" + number(i) + "}");
      erases.erase(number(i));
    }
    EXPECT_THAT(apply(fill), IsEmpty());
    EXPECT_THAT(apply(erases), IsEmpty());
    EXPECT_EQ(target_->count_documents(a.ns), 0);
  }
  const Twin gone{ns("gone"), Uuid()};
  Batch in_vain(gone);
  for (int i = 0; i < 40; ++i) in_vain.erase(number(i));
  for (const OperationFailure& failure : apply(in_vain)) EXPECT_EQ(failure.kind, OperationFailure::Kind::rejected);
}

TEST_F(TargetSeam, ProbingFindsThisServerExactAndLeavesNothingBehind) {
  auto mode = target_->probe_apply_mode();
  ASSERT_TRUE(succeeded(mode));
  EXPECT_EQ(*mode, ApplyMode::exact);
  auto left = target_->list_collections({std::string(kStateDatabase)});
  ASSERT_TRUE(succeeded(left));
  for (const CollectionSpec& spec : *left) EXPECT_FALSE(spec.ns.collection.starts_with("probe_"));
}

// Whatever it has sent can be taken away from it, and it gets nothing else to send.
TEST_P(Apply, WritesNothingUnderALostLease) {
  const Twin a = twin("a");
  ASSERT_TRUE(succeeded(target_->insert(a, array_of({json(R"({"_id":1,"x":1})")}).view())));
  auto second = MongoTarget::connect(target_uri());
  ASSERT_TRUE(succeeded(second));
  take_over(**second);
  const bson::OwnedValue id = value("1");
  const bson::Document document = json(R"({"_id":1,"x":2})");
  const std::vector<TargetOperation> operations = {{Kind::replace, &a, id.value(), document.view()}};
  const bson::Document documents = array_of({json(R"({"_id":2})")});
  const std::vector<std::function<bool()>> writes = {
      [&] { return is_superseded(target_->apply(operations)); },
      [&] { return is_superseded(target_->insert(a, documents.view())); },
      [&] { return is_superseded(target_->clear_range(a, {})); },
  };
  // The first try may only learn that what it needs is gone.
  for (const auto& write : writes) EXPECT_TRUE(write() || write());
  EXPECT_THAT(target_server_->contents(a.ns), ElementsAre(json(R"({"_id":1,"x":1})").view().json()));
}

// A new owner shuts out the writers that it finds. Another one must not be made behind its back.
TEST_F(TargetSeam, MakesItselfNoWriterUnderALostLease) {
  const Twin a = twin("a");
  target_server_->run(std::string(kStateDatabase), R"({"delete":"sessions","deletes":[{"q":{},"limit":0}]})");
  auto old = MongoTarget::connect(target_uri());
  auto second = MongoTarget::connect(target_uri());
  take_over(**old);
  const bson::OwnedValue id = value("1");
  const bson::Document before = json(R"({"_id":1,"x":1})");
  const bson::Document behind = json(R"({"_id":1,"x":2})");
  const std::vector<TargetOperation> first = {{Kind::replace, &a, id.value(), before.view()}};
  const std::vector<TargetOperation> later = {{Kind::replace, &a, id.value(), behind.view()}};
  ASSERT_TRUE(succeeded((*old)->apply(first)));  // by the one writer that there is
  take_over(**second);
  target_server_->fail_commands(R"("mode":{"times":1},"data":
      {"failCommands":["applyOps"],"blockConnection":true,"blockTimeMS":2000,"appName":"plm"})");
  std::jthread busy([&] { EXPECT_FALSE((*old)->apply(later)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(is_superseded((*old)->apply(later)));
  busy.join();
  target_server_->fail_commands(R"("mode":"off")");
  EXPECT_THAT(target_server_->contents(a.ns), ElementsAre(before.view().json()));
}

// Commands on structure carry nothing that a later owner could take away.
TEST_F(TargetSeam, ChangesNoStructureUnderALostLease) {
  const Twin a = twin("a");
  auto second = MongoTarget::connect(target_uri());
  ASSERT_TRUE(succeeded(second));
  take_over(**second);
  std::this_thread::sleep_for(std::chrono::seconds(6));  // a confirmation is good for five
  EXPECT_EQ(target_->drop(a).error().code, ErrorCode::superseded);
  EXPECT_EQ(target_->create(ns("b"), {}).error().code, ErrorCode::superseded);
  EXPECT_EQ(target_->rename(a, ns("b")).error().code, ErrorCode::superseded);
  EXPECT_EQ(target_->modify(a, json(R"({"validationLevel":"off"})").view()).error().code, ErrorCode::superseded);
  EXPECT_EQ(target_->drop_index(a, "x_1").error().code, ErrorCode::superseded);
  const std::vector<IndexSpec> indexes = {{json(R"({"v":2,"key":{"x":1},"name":"x_1"})")},
                                          {json(R"({"v":2,"key":{"y":1},"name":"y_1"})")}};
  for (const IndexResult& result : target_->create_indexes(a, indexes)) {
    EXPECT_EQ(result.status.error().code, ErrorCode::superseded);
  }
  EXPECT_THAT(*target_->list_indexes(a), IsEmpty());
  EXPECT_EQ(target_server_->uuid_of(ns("a")), a.uuid);
}

TEST_F(TargetSeam, WithoutPipelineSupportAPortableDiffIsReportedAsMissing) {
  target_->force_mode(ApplyMode::portable);  // and no probe
  const Twin a = twin("a");
  const bson::OwnedValue id = value("1");
  const bson::Document document = json(R"({"_id":1,"x":1})");
  const bson::Document diff = json(R"({"$v":2,"diff":{"u":{"x":2}}})");
  const std::vector<TargetOperation> operations = {{Kind::upsert, &a, id.value(), document.view()},
                                                   {Kind::diff, &a, id.value(), diff.view()},
                                                   {Kind::upsert, &a, id.value(), document.view()}};
  auto applied = target_->apply(operations);
  ASSERT_TRUE(succeeded(applied));
  ASSERT_THAT(*applied, SizeIs(1));
  EXPECT_EQ(applied->front().index, 1U);
  EXPECT_EQ(applied->front().kind, OperationFailure::Kind::missing);
}

}  // namespace
}  // namespace plm
