#include "engine/finalizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "bson/same_fields.h"
#include "engine/test_seams.h"

namespace plm {
namespace {

constexpr std::string_view kUnique = R"({"v": 2, "key": {"u": 1}, "name": "u_1", "unique": true})";
constexpr std::string_view kTtl = R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 60})";
constexpr std::string_view kHidden = R"({"v": 2, "key": {"h": 1}, "name": "h_1", "hidden": true})";
constexpr std::string_view kPlain = R"({"v": 2, "key": {"p": 1}, "name": "p_1"})";

// Both sides hold collection c; on the target its indexes are plain.
class FinalizerTest : public testing::Test {
 protected:
  void create(const std::vector<std::string_view>& indexes, std::string_view options = "{}") {
    Collection collection;
    collection.spec.uuid = seams_.source_set.create(kNs, json(options).view()).value();
    collection.spec.ns = kNs;
    collection.spec.options = json(options);
    bson::Builder kept;
    for (const bson::Element& option : collection.spec.options.view()) {
      if (option.key != "expireAfterSeconds") kept.append(option.key, option.value);
    }
    collection.ref = collection_ref(kNs, collection.spec.uuid, seams_.target_set.create(kNs, kept.view()).value());
    for (const std::string_view text : indexes) {
      const IndexSpec spec{json(text)};
      EXPECT_TRUE(seams_.source_set.create_indexes(kNs, {spec}));
      if (seams_.target_set.create_indexes(kNs, {spec.plain()})) {
        collection.indexes.push_back({spec, IndexState::built, {}});
      } else {
        collection.indexes.push_back({spec, IndexState::deferred, {}});
      }
    }
    collection_ = &catalog_.add(std::move(collection));
  }
  void insert_both(std::string_view document) {
    ASSERT_TRUE(seams_.source_set.insert(kNs, json(document).view()));
    ASSERT_TRUE(seams_.target_set.insert(kNs, json(document).view()));
  }
  FinalReport run() { return run_with(seams_.target); }
  FinalReport run_with(Target& target) {
    Finalizer finalizer(seams_.source, target, seams_.clock, seams_.progress, catalog_, {}, 1);
    for (int i = 0; i < 1000 && !finalizer.done(); ++i) {
      const auto step = finalizer.step();
      EXPECT_TRUE(step) << (step ? "" : step.error().message);
      if (!step) break;
      seams_.clock.advance(Millis(5000));
    }
    EXPECT_TRUE(finalizer.done());
    return finalizer.report();
  }
  // Of the target, as JSON; empty when there is none.
  std::string index(std::string_view name) {
    const auto& indexes = seams_.target_set.find(kNs)->indexes;
    const auto found = std::ranges::find(indexes, name, &IndexSpec::name);
    return found == indexes.end() ? "" : found->spec.view().json();
  }
  // Whether the target's index means the same as this one.
  bool has(std::string_view spec) {
    const std::string present = index(json(spec)["name"].as_string());
    return !present.empty() && same_fields(json(present).view(), json(spec).view());
  }

  TestSeams seams_;
  Catalog catalog_;
  Collection* collection_ = nullptr;
};

TEST_F(FinalizerTest, MakesIndexesWhatTheyAreOnTheSource) {
  create({kUnique, kTtl, kHidden, kPlain});
  insert_both(R"({"_id": 1, "u": 1})");
  EXPECT_TRUE(has(R"({"v": 2, "key": {"u": 1}, "name": "u_1"})"));
  const FinalReport report = run();
  for (const std::string_view spec : {kUnique, kTtl, kHidden, kPlain}) EXPECT_TRUE(has(spec)) << spec;
  EXPECT_TRUE(report.failed_indexes.empty());
  EXPECT_TRUE(report.differences.empty()) << report.differences.front();
  EXPECT_EQ(collection_->count_indexes(IndexState::built), 4U);
}

TEST_F(FinalizerTest, MakesAnIndexOfSeveralKindsReal) {
  constexpr std::string_view spec =
      R"({"v": 2, "key": {"m": 1}, "name": "m_1", "unique": true, "hidden": true, "expireAfterSeconds": 7})";
  constexpr std::string_view preparing = R"({"v": 2, "key": {"q": 1}, "name": "q_1", "prepareUnique": true})";
  create({spec, preparing});
  EXPECT_TRUE(run().differences.empty());
  EXPECT_TRUE(has(spec));
  EXPECT_TRUE(has(preparing));
}

// One index that cannot be made must not cost the others, and it must not be
// left half made: it would reject documents under a name that is not unique.
TEST_F(FinalizerTest, ReportsAViolatedUniqueIndexAndMakesTheOthers) {
  create({kUnique, kTtl, kHidden});
  insert_both(R"({"_id": 1, "u": 1})");
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 2, "u": 1})").view()));
  const FinalReport report = run();
  ASSERT_EQ(report.failed_indexes.size(), 1U);
  EXPECT_EQ(report.failed_indexes[0].ns, kNs);
  EXPECT_EQ(report.failed_indexes[0].name, "u_1");
  EXPECT_NE(report.failed_indexes[0].reason, "");
  EXPECT_TRUE(has(kTtl));
  EXPECT_TRUE(has(kHidden));
  EXPECT_TRUE(has(R"({"v": 2, "key": {"u": 1}, "name": "u_1"})")) << index("u_1");
  EXPECT_EQ(collection_->find_index("u_1")->state, IndexState::failed);
  EXPECT_NE(collection_->find_index("u_1")->reason, "");
}

// Side by side on the source, their plain forms were one index.
TEST_F(FinalizerTest, MakesIndexesWhosePlainFormsCollided) {
  create({R"({"v": 2, "key": {"a": 1}, "name": "a_1"})", R"({"v": 2, "key": {"a": 1}, "name": "a_u", "unique": true})",
          R"({"v": 2, "key": {"a": 1}, "name": "a_s", "sparse": true})"});
  EXPECT_EQ(seams_.target_set.find(kNs)->indexes.size(), 2U);
  const FinalReport report = run();
  EXPECT_TRUE(report.failed_indexes.empty());
  EXPECT_TRUE(report.differences.empty());
  EXPECT_TRUE(has(R"({"v": 2, "key": {"a": 1}, "name": "a_u", "unique": true})"));
  EXPECT_EQ(seams_.target_set.find(kNs)->indexes.size(), 3U);
}

// The first one cannot be made while the second one is still plain.
TEST_F(FinalizerTest, MakesIndexesWhosePlainFormsCollidedInAnyOrder) {
  create(
      {R"({"v": 2, "key": {"a": 1}, "name": "a_u", "unique": true})", R"({"v": 2, "key": {"a": 1}, "name": "a_1"})"});
  std::ranges::reverse(collection_->indexes);
  ASSERT_EQ(collection_->indexes[0].spec.name(), "a_1");
  ASSERT_EQ(collection_->indexes[0].state, IndexState::deferred);
  const FinalReport report = run();
  EXPECT_TRUE(report.failed_indexes.empty()) << report.failed_indexes.front().reason;
  EXPECT_TRUE(report.differences.empty());
  EXPECT_EQ(seams_.target_set.find(kNs)->indexes.size(), 2U);
}

TEST_F(FinalizerTest, DropsAnIndexThatTheSourceDoesNotHave) {
  create({kPlain});
  ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"v": 2, "key": {"x": 1}, "name": "x_1"})")}}));
  EXPECT_TRUE(run().differences.empty());
  EXPECT_EQ(index("x_1"), "");
  EXPECT_NE(index("p_1"), "");
}

TEST_F(FinalizerTest, BuildsAnIndexThatFailedOrIsMissing) {
  create({kUnique, kPlain});
  ASSERT_TRUE(seams_.target_set.drop_index(kNs, "*"));
  collection_->indexes[1].state = IndexState::failed;
  collection_->indexes[1].reason = "once";
  EXPECT_TRUE(run().differences.empty());
  EXPECT_TRUE(has(kUnique));
  EXPECT_TRUE(has(kPlain));
  EXPECT_EQ(collection_->indexes[1].state, IndexState::built);
}

TEST_F(FinalizerTest, ReplacesAnIndexOfTheNameWithOtherKeys) {
  create({kPlain});
  ASSERT_TRUE(seams_.target_set.drop_index(kNs, "p_1"));
  ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"v": 2, "key": {"other": 1}, "name": "p_1"})")}}));
  EXPECT_TRUE(run().differences.empty());
  EXPECT_TRUE(has(kPlain));
}

TEST_F(FinalizerTest, MakesHeldBackOptionsReal) {
  create({}, R"({"expireAfterSeconds": 60, "clusteredIndex": true})");
  EXPECT_TRUE(run().differences.empty());
  EXPECT_EQ(seams_.target_set.find(kNs)->options["expireAfterSeconds"].as_int64(), 60);
}

TEST_F(FinalizerTest, ReportsWhatDiffers) {
  create({kPlain}, R"({"validator": {"a": 1}})");
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 1})").view()));
  ASSERT_TRUE(seams_.target_set.modify(kNs, json(R"({"validator": {"b": 1}})").view()));
  CollectionSpec view;
  view.kind = CollectionKind::view;
  view.ns = {"db", "v"};
  catalog_.put_view(view);
  const FinalReport report = run();
  ASSERT_EQ(report.differences.size(), 3U);
  EXPECT_NE(report.differences[0].find("db.c has 1 documents, on the source 0"), std::string::npos)
      << report.differences[0];
  EXPECT_NE(report.differences[1].find("db.c has options"), std::string::npos) << report.differences[1];
  EXPECT_NE(report.differences[2].find("db.v is not on the target"), std::string::npos) << report.differences[2];
}

// Everything in it is old.
class ExpiringTarget : public MemoryTarget {
 public:
  ExpiringTarget(MemoryDeployment& deployment, FaultPlan& faults)
      : MemoryTarget(deployment, faults), deployment_(deployment) {}
  Status modify(const Twin& twin, bson::View change) override {
    auto modified = MemoryTarget::modify(twin, change);
    if (change["index"].as_document()["expireAfterSeconds"]) {
      MemoryCollection& collection = *deployment_.find(twin.ns);
      while (!collection.documents.empty()) {
        deployment_.remove(collection, bson::OwnedValue(collection.documents.begin()->first).value());
      }
    }
    return modified;
  }

 private:
  MemoryDeployment& deployment_;
};

TEST_F(FinalizerTest, WhatExpiresOnTheTargetAfterwardsIsNoDifference) {
  create({R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 5})"});
  insert_both(R"({"_id": 1})");
  ExpiringTarget target(seams_.target_set, seams_.faults);
  EXPECT_TRUE(run_with(target).differences.empty());
  EXPECT_TRUE(seams_.target_set.find(kNs)->documents.empty());
}

// It may have expired in the hands of a process that is gone.
TEST_F(FinalizerTest, WhatMayHaveExpiredBeforeARestartIsNotCounted) {
  create({R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 5})"});
  ASSERT_TRUE(seams_.source_set.insert(kNs, json(R"({"_id": 1})").view()));
  const auto differences = [&](Finalizer::Turn turn) {
    Finalizer finalizer(seams_.source, seams_.target, seams_.clock, seams_.progress, catalog_, {}, 1, turn);
    while (!finalizer.done()) EXPECT_TRUE(finalizer.step());
    return finalizer.report().differences.size();
  };
  EXPECT_EQ(differences(Finalizer::Turn::first), 1U);
  EXPECT_EQ(differences(Finalizer::Turn::later), 0U);
}

// Its second attempt finds that documents have expired on the target since.
TEST_F(FinalizerTest, DocumentsAreCountedOnce) {
  create({R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 5})"});
  insert_both(R"({"_id": 1})");
  class FailsOnceBehindExpiry final : public ExpiringTarget {
   public:
    using ExpiringTarget::ExpiringTarget;
    Status modify(const Twin& twin, bson::View change) override {
      auto modified = ExpiringTarget::modify(twin, change);
      return std::exchange(failed_, true) ? modified : Status(fail(ErrorCode::network, "connection lost"));
    }

   private:
    bool failed_ = false;
  };
  FailsOnceBehindExpiry target(seams_.target_set, seams_.faults);
  EXPECT_TRUE(run_with(target).differences.empty());
}

// Rights that were taken away may come back.
TEST_F(FinalizerTest, ACountThatIsRefusedToTheUserIsWaitedFor) {
  class RefusingOnce final : public MemorySource {
   public:
    using MemorySource::MemorySource;
    Result<std::int64_t> count_documents(const Namespace& ns) override {
      if (std::exchange(refused_, true)) return MemorySource::count_documents(ns);
      return fail(server_error(server_code::unauthorized, "not allowed"));
    }

   private:
    bool refused_ = false;
  };
  create({kPlain});
  RefusingOnce source(seams_.source_set, seams_.faults);
  Finalizer finalizer(source, seams_.target, seams_.clock, seams_.progress, catalog_, {}, 1);
  EXPECT_EQ(finalizer.step().value(), Step::waiting);
  seams_.clock.advance(Millis(10'000));
  while (!finalizer.done()) ASSERT_TRUE(finalizer.step());
  EXPECT_TRUE(finalizer.report().differences.empty());
}

TEST_F(FinalizerTest, EveryStepCanBeRepeated) {
  create({kUnique, kTtl, kHidden, kPlain}, R"({"expireAfterSeconds": 60})");
  FaultPlan faults(seams_.random, {.before = 0.1, .after = 0.1});
  MemoryTarget target(seams_.target_set, faults);
  const FinalReport report = run_with(target);
  EXPECT_TRUE(report.failed_indexes.empty());
  EXPECT_TRUE(report.differences.empty());
  for (const std::string_view spec : {kUnique, kTtl, kHidden, kPlain}) EXPECT_TRUE(has(spec)) << spec;
  EXPECT_GT(seams_.progress.retries, 0);
}

// A call fails behind some differences: the step is repeated, its findings are not.
TEST_F(FinalizerTest, WhatARepeatedStepFindsAgainIsListedOnce) {
  create({kUnique, kPlain}, R"({"validator": {"a": 1}})");
  insert_both(R"({"_id": 1, "u": 1})");
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 2, "u": 1})").view()));
  ASSERT_TRUE(seams_.target_set.modify(kNs, json(R"({"validator": {"b": 1}})").view()));
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    FaultPlan faults(random, {.before = 0.2, .after = 0.2});
    MemoryTarget target(seams_.target_set, faults);
    const FinalReport report = run_with(target);
    EXPECT_EQ(report.failed_indexes.size(), 1U) << seed;
    EXPECT_EQ(report.differences.size(), 2U) << seed;
  }
}

// What cannot be counted is a difference, not the end of finalize.
TEST_F(FinalizerTest, ASourceThatRefusesToCountIsReported) {
  class Refusing final : public MemorySource {
   public:
    using MemorySource::MemorySource;
    Result<std::int64_t> count_documents(const Namespace& /*ns*/) override {
      return fail(server_error(server_code::failed_to_parse, "not understood"));
    }
  };
  create({kPlain});
  Refusing source(seams_.source_set, seams_.faults);
  Finalizer finalizer(source, seams_.target, seams_.clock, seams_.progress, catalog_, {}, 1);
  while (!finalizer.done()) ASSERT_TRUE(finalizer.step());
  ASSERT_EQ(finalizer.report().differences.size(), 1U);
  EXPECT_NE(finalizer.report().differences[0].find("db.c could not be counted on the source: not understood"),
            std::string::npos);
}

TEST_F(FinalizerTest, ACappedCollectionGetsItsSize) {
  create({}, R"({"capped": true, "size": 4096, "max": 5})");
  ASSERT_TRUE(seams_.target_set.modify(kNs, json(R"({"cappedSize": 1000000, "cappedMax": 1000000})").view()));
  insert_both(R"({"_id": 2})");
  insert_both(R"({"_id": 1})");
  EXPECT_TRUE(run().differences.empty());
  EXPECT_TRUE(same_fields(seams_.target_set.find(kNs)->options.view(),
                          json(R"({"capped": true, "size": 4096, "max": 5})").view()));
}

TEST_F(FinalizerTest, AnotherNaturalOrderIsReported) {
  create({}, R"({"capped": true, "size": 4096})");
  ASSERT_TRUE(seams_.source_set.insert(kNs, json(R"({"_id": 1})").view()));
  insert_both(R"({"_id": 2})");
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 1})").view()));
  const FinalReport report = run();
  ASSERT_EQ(report.differences.size(), 1U);
  EXPECT_NE(report.differences[0].find("another natural order"), std::string::npos) << report.differences[0];
}

// The program ends while an index is built: nothing is said of that index.
TEST_F(FinalizerTest, ABuildThatIsNotWaitedForHasNotFailed) {
  create({kPlain});
  ASSERT_TRUE(seams_.target_set.drop_index(kNs, "*"));
  bool stop = true;
  Finalizer finalizer(seams_.source, seams_.target, seams_.clock, seams_.progress, catalog_, {}, 1,
                      Finalizer::Turn::first, [&] { return stop; });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(finalizer.step().value(), Step::waiting);
  stop = false;
  while (!finalizer.done()) ASSERT_TRUE(finalizer.step());
  EXPECT_TRUE(finalizer.report().failed_indexes.empty());
  EXPECT_TRUE(has(kPlain));
}

// After a crash in the middle the whole of it runs again, over what is real already.
TEST_F(FinalizerTest, RunsAgainOverItsOwnResult) {
  create({kUnique, kTtl, kHidden, kPlain}, R"({"expireAfterSeconds": 60})");
  (void)run();
  const FinalReport again = run();
  EXPECT_TRUE(again.failed_indexes.empty());
  EXPECT_TRUE(again.differences.empty());
}

// It cannot be repaired any more; the others still can.
TEST_F(FinalizerTest, ReportsACollectionThatSomebodyRemoved) {
  create({kUnique}, R"({"expireAfterSeconds": 60})");
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  const FinalReport report = run();
  ASSERT_EQ(report.differences.size(), 1U);
  EXPECT_EQ(report.differences[0], "db.c is not on the target");
}

TEST_F(FinalizerTest, WithoutCollectionsItOnlyCompares) { EXPECT_TRUE(run().differences.empty()); }

TEST(SameFields, IgnoresOrderAndTypesOfNumbers) {
  const auto same = [](std::string_view left, std::string_view right) {
    return same_fields(json(left).view(), json(right).view());
  };
  EXPECT_TRUE(same(R"({"a": 1, "b": {"c": 2}})", R"({"b": {"c": 2.0}, "a": {"$numberLong": "1"}})"));
  EXPECT_FALSE(same(R"({"a": 1})", R"({"a": 1, "b": 2})"));
  EXPECT_FALSE(same(R"({"a": 1, "b": 2})", R"({"a": 1})"));
  EXPECT_FALSE(same(R"({"a": 1})", R"({"a": "1"})"));
  EXPECT_FALSE(same(R"({"key": {"a": 1, "b": 1}})", R"({"key": {"b": 1, "a": 1}})")) << "the order of keys matters";
}

TEST(AdoptFinalListing, TakesTheSourcesRealForm) {
  Catalog catalog;
  const auto add = [&](std::uint8_t number, const std::string& name) {
    Collection collection;
    collection.spec.uuid = uuid_of(number);
    collection.spec.ns = {"db", name};
    collection.indexes = {{{json(R"({"key": {"old": 1}, "name": "old"})")}, IndexState::built, {}}};
    catalog.add(std::move(collection));
  };
  add(1, "same");
  add(2, "renamed");
  add(3, "gone");
  Listing listing;
  const auto list = [&](std::uint8_t number, const std::string& name) {
    CollectionSpec spec;
    spec.uuid = uuid_of(number);
    spec.ns = {"db", name};
    spec.options = json(R"({"validator": {"a": 1}})");
    spec.indexes = {{json(R"({"key": {"new": 1}, "name": "new"})")}};
    listing.collections.push_back(spec);
  };
  list(1, "same");
  list(2, "other");
  list(4, "unknown");
  FinalReport report;
  (void)catalog.take_changes();
  EXPECT_TRUE(adopt_final_listing(listing, catalog, report).empty());
  const Collection& same = *catalog.find(uuid_of(1));
  ASSERT_EQ(same.indexes.size(), 1U);
  EXPECT_EQ(same.indexes[0].spec.name(), "new");
  EXPECT_TRUE(same.spec.options["validator"].exists());
  EXPECT_EQ(catalog.take_changes().collections.size(), 2U);
  EXPECT_EQ(report.differences, (std::vector<std::string>{"db.other of the source is db.renamed on the target",
                                                          "db.unknown is on the source and was not replicated",
                                                          "db.gone is on the target and not on the source"}));
}

TEST(AdoptFinalListing, TellsTheViewsThatTheSourceHasLost) {
  const auto view = [](const char* database, const char* name, const char* on) {
    return CollectionSpec{
        {database, name}, CollectionKind::view, {}, json(std::string(R"({"viewOn": ")") + on + R"("})"), {}};
  };
  Catalog catalog;
  for (const char* name : {"kept", "lost"}) catalog.put_view(view("db", name, "a"));
  catalog.put_view(view("busy", "perhaps", "a"));
  (void)catalog.take_changes();
  Listing listing;
  listing.collections = {view("db", "kept", "b"), view("db", "new", "a")};
  listing.unsettled = {"busy"};
  FinalReport report;
  EXPECT_EQ(adopt_final_listing(listing, catalog, report).views, (std::vector<Namespace>{{"db", "lost"}}));
  EXPECT_EQ(report.differences, (std::vector<std::string>{"view db.new is on the source and was not replicated"}));
  EXPECT_EQ(catalog.find_view({"db", "lost"}), nullptr);
  EXPECT_EQ(catalog.find_view({"db", "kept"})->options["viewOn"].as_string(), "b");
  EXPECT_NE(catalog.find_view({"busy", "perhaps"}), nullptr);
}

TEST(AdoptFinalListing, TellsTheTimeSeriesOfWhichTheSourceHasLostHalf) {
  Catalog catalog;
  const auto replicated = [&](std::uint8_t number, const char* name) {
    Collection collection;
    collection.spec.uuid = uuid_of(number);
    collection.spec.ns = {"db", std::string("system.buckets.") + name};
    collection.spec.kind = CollectionKind::time_series;
    collection.ref = collection_ref(collection.spec.ns, uuid_of(number), uuid_of(100 + number));
    catalog.add(std::move(collection));
  };
  replicated(1, "half");
  replicated(2, "gone");
  Listing listing;
  listing.lost_parts = {{"db", "system.buckets.half"}, {"db", "system.buckets.other"}};
  FinalReport report;
  const LostOnSource lost = adopt_final_listing(listing, catalog, report);
  ASSERT_EQ(lost.time_series.size(), 1U);
  EXPECT_EQ(lost.time_series[0].uuid, uuid_of(101));
  EXPECT_EQ(catalog.find(uuid_of(1)), nullptr);
  EXPECT_EQ(report.differences,
            std::vector<std::string>{"db.system.buckets.gone is on the target and not on the source"});
}

TEST(AdoptFinalListing, BelievesTheStreamWhereTheListingIsNotSettled) {
  Catalog catalog;
  Collection collection;
  collection.spec.uuid = uuid_of(1);
  collection.spec.ns = {"busy", "c"};
  collection.indexes = {{{json(R"({"key": {"a": 1}, "name": "a"})")}, IndexState::built, {}}};
  catalog.add(std::move(collection));
  Listing listing;
  listing.unsettled = {"busy"};
  FinalReport report;
  EXPECT_TRUE(adopt_final_listing(listing, catalog, report).empty());
  EXPECT_TRUE(report.differences.empty());
  EXPECT_EQ(catalog.find(uuid_of(1))->indexes.size(), 1U);
}

TEST(AdoptFinalListing, ReportsWhatTheSourceIsStillBuilding) {
  Catalog catalog;
  Listing listing;
  CollectionSpec spec;
  spec.uuid = uuid_of(1);
  spec.ns = {"db", "c"};
  spec.unfinished_indexes = {{json(R"({"key": {"s": 1}, "name": "slow"})")}};
  Collection collection;
  collection.spec.uuid = spec.uuid;
  collection.spec.ns = spec.ns;
  catalog.add(std::move(collection));
  listing.collections.push_back(spec);
  FinalReport report;
  EXPECT_TRUE(adopt_final_listing(listing, catalog, report).empty());
  ASSERT_EQ(report.failed_indexes.size(), 1U);
  EXPECT_EQ(report.failed_indexes[0].kind, FailedIndex::Kind::incomplete);
  EXPECT_EQ(report.failed_indexes[0].name, "slow");
  EXPECT_TRUE(catalog.find(uuid_of(1))->indexes.empty());
}

}  // namespace
}  // namespace plm
