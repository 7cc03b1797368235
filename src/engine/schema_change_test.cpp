#include "engine/schema_change.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <string>

#include "engine/decoder.h"
#include "engine/test_seams.h"

namespace plm {
namespace {

using Kind = SchemaChange::Kind;

const Namespace kElsewhere{"db", "d"};

// The filter selects db.* without db.excluded. Events come from the oplog of a
// source, so they have the shapes of real ones.
class SchemaChangeTest : public testing::Test {
 protected:
  // Created on the source; `known` ones are in the catalog, too.
  Uuid create(const Namespace& ns, std::string_view options = "{}", bool known = true) {
    const Uuid uuid = source_.create(ns, json(options).view()).value();
    if (known) know(ns);
    return uuid;
  }
  void know(const Namespace& ns) {
    CollectionSpec spec = source_.find(ns)->spec();
    if (spec.is_view()) {
      catalog_.put_view(std::move(spec));
      return;
    }
    Collection collection;
    collection.spec = std::move(spec);
    catalog_.add(std::move(collection));
  }
  // What the newest event means; `back` events before it.
  SchemaChange plan(int back = 0) {
    std::deque<const OplogEvent*> events;
    OplogPlace place;
    while (const OplogEvent* next = source_.oplog().after(place)) {
      events.push_back(next);
      place = next->place;
    }
    bson::Builder holder;
    holder.append("0", events[events.size() - 1 - static_cast<std::size_t>(back)]->event);
    StreamReply reply;
    reply.bytes = std::make_shared<const bson::Document>(holder.take());
    reply.events = reply.bytes->view();
    const auto batch = decode(reply);
    EXPECT_TRUE(batch);
    return plan_schema_change(batch->events.front(), catalog_, filter_);
  }

  Filter filter_ = Filter::make({"db.*"}, {"db.excluded"}).value();
  MemoryDeployment source_{{}};
  Catalog catalog_;
};

// ---- create ------------------------------------------------------------------

TEST_F(SchemaChangeTest, ACollectionBeginsEmpty) {
  const Uuid uuid = create(kNs, R"({"validator": {"a": 1}})", false);
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::create);
  EXPECT_EQ(change.collection, uuid);
  EXPECT_EQ(change.ns, kNs);
  EXPECT_EQ(change.options.view().json(), text_of(R"({"validator": {"a": 1}})")) << "the _id index is not an option";
  EXPECT_TRUE(change.is_structural());
}

// convertToCapped and cloneCollectionAsCapped fill a new capped collection
// without events: taken for empty, all of its documents would be missing.
TEST_F(SchemaChangeTest, ACappedCollectionIsCopied) {
  create(kNs, R"({"capped": true, "size": 4096})", false);
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::copy);
  EXPECT_FALSE(change.needs_listing);
  EXPECT_TRUE(change.options["capped"].as_bool());
  EXPECT_TRUE(change.is_structural());
}

TEST_F(SchemaChangeTest, ConvertToCappedCopiesTheNewOnceItIsFullAndReplacesTheOld) {
  const Uuid old = create(kNs);
  ASSERT_TRUE(source_.convert_to_capped(kNs, 4096));
  EXPECT_EQ(plan(1).kind, Kind::none) << "it is still being filled, without events";
  const SchemaChange renamed = plan();
  EXPECT_EQ(renamed.kind, Kind::copy);
  EXPECT_TRUE(renamed.needs_listing);
  EXPECT_EQ(renamed.collection, source_.find(kNs)->uuid);
  EXPECT_EQ(renamed.ns, kNs);
  EXPECT_EQ(renamed.replaced, old);
}

TEST_F(SchemaChangeTest, WhatTheFilterExcludesIsNotCreated) {
  create({"db", "excluded"}, "{}", false);
  EXPECT_EQ(plan().kind, Kind::none);
  create({"other", "c"}, "{}", false);
  EXPECT_EQ(plan().kind, Kind::none);
}

TEST_F(SchemaChangeTest, AnIdIndexOfVersionOneStaysOne) {
  const std::string options = R"({"idIndex": {"v": 1, "key": {"_id": 1}, "name": "_id_"}})";
  create(kNs, options, false);
  EXPECT_EQ(plan().options.view().json(), text_of(options));
}

TEST_F(SchemaChangeTest, WhatIsKnownIsNotCreatedAgain) {
  create(kNs);
  EXPECT_EQ(plan().kind, Kind::none);
}

// Events of views carry no UUID. A rule that drops what has an unknown UUID
// would lose every view.
TEST_F(SchemaChangeTest, AViewIsCreatedByName) {
  create({"db", "v"}, R"({"viewOn": "c", "pipeline": []})", false);
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::create_view);
  EXPECT_EQ(change.ns, (Namespace{"db", "v"}));
  EXPECT_TRUE(change.collection.is_nil());
  EXPECT_EQ(change.options["viewOn"].as_string(), "c");
  EXPECT_FALSE(change.is_structural());
}

TEST_F(SchemaChangeTest, AViewOfWhatIsNotReplicatedIsReported) {
  create({"db", "v"}, R"({"viewOn": "excluded", "pipeline": []})", false);
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::create_view);
  EXPECT_NE(change.warning.find("db.excluded"), std::string::npos);
}

// ---- time-series -------------------------------------------------------------

const Namespace kSeries{"db", "t"};
const Namespace kBuckets{"db", "system.buckets.t"};
const Uuid kUnknown{std::array<std::uint8_t, 16>{1}};

TEST_F(SchemaChangeTest, ATimeSeriesCollectionIsCreatedByTheEventOfItsBuckets) {
  const Uuid uuid = create(kSeries, R"({"timeseries": {"timeField": "t"}, "expireAfterSeconds": 60})", false);
  const SchemaChange of_buckets = plan(1);
  EXPECT_EQ(of_buckets.kind, Kind::create);
  EXPECT_EQ(of_buckets.collection, uuid);
  EXPECT_EQ(of_buckets.ns, kBuckets);
  EXPECT_EQ(of_buckets.options.view().json(),
            text_of(R"({"timeseries": {"timeField": "t"}, "expireAfterSeconds": 60})"));
  know(kBuckets);
  EXPECT_EQ(plan(0).kind, Kind::none) << "the event of its view";
}

TEST_F(SchemaChangeTest, ATimeSeriesCollectionIsDroppedByTheEventOfItsBuckets) {
  const Uuid uuid = create(kSeries, R"({"timeseries": {"timeField": "t"}})", false);
  know(kBuckets);
  ASSERT_TRUE(source_.drop(kSeries));
  EXPECT_EQ(plan(1).kind, Kind::none) << "the event of its view";
  const SchemaChange of_buckets = plan(0);
  EXPECT_EQ(of_buckets.kind, Kind::drop);
  EXPECT_EQ(of_buckets.collection, uuid);
}

TEST_F(SchemaChangeTest, ATimeSeriesCollectionIsSelectedByItsOwnName) {
  create({"db", "excluded"}, R"({"timeseries": {"timeField": "t"}})", false);
  EXPECT_EQ(plan(1).kind, Kind::none);
}

// Between the drop of a view and that of its buckets somebody may take the name.
TEST_F(SchemaChangeTest, WhoTakesTheNameOfATimeSeriesCollectionPutsAnEndToIt) {
  const Uuid uuid = create(kSeries, R"({"timeseries": {"timeField": "t"}})", false);
  know(kBuckets);
  ChangeEvent event;
  event.kind = EventKind::create;
  event.uuid = kUnknown;
  event.database = "db";
  event.collection = "t";
  const SchemaChange created = plan_schema_change(event, catalog_, filter_);
  EXPECT_EQ(created.kind, Kind::create);
  EXPECT_EQ(created.replaced, uuid);
  const bson::Document view = json(R"({"viewOn": "c", "pipeline": []})");
  event.uuid = Uuid();
  event.description = view.view();
  const SchemaChange viewed = plan_schema_change(event, catalog_, filter_);
  EXPECT_EQ(viewed.kind, Kind::create_view);
  EXPECT_EQ(viewed.replaced, uuid);
  EXPECT_TRUE(viewed.is_structural());
  ASSERT_TRUE(source_.drop(kSeries));
  create(kNs);
  ASSERT_TRUE(source_.rename(kNs, kSeries));
  EXPECT_EQ(plan().replaced, uuid);
}

// Two creations of one name, side by side, leave buckets without a view.
TEST_F(SchemaChangeTest, BucketsWhoseNameAnotherHasDoNotCountUntilTheirViewIsCreated) {
  create(kSeries);
  ChangeEvent event;
  event.kind = EventKind::create;
  event.uuid = kUnknown;
  event.database = "db";
  event.collection = "system.buckets.t";
  const bson::Document options = json(R"({"timeseries": {"timeField": "t"}})");
  event.description = options.view();
  EXPECT_EQ(plan_schema_change(event, catalog_, filter_).kind, Kind::none);
  event.uuid = Uuid();
  event.collection = "t";
  const bson::Document view = json(R"({"viewOn": "system.buckets.t", "pipeline": []})");
  event.description = view.view();
  const SchemaChange change = plan_schema_change(event, catalog_, filter_);
  EXPECT_EQ(change.kind, Kind::copy);
  EXPECT_EQ(change.ns, kBuckets);
  EXPECT_TRUE(change.needs_listing);
}

// The server wants the length of buckets that belongs to the granularity, or none.
TEST_F(SchemaChangeTest, ANewGranularityTakesTheLengthOfBucketsWithIt) {
  Collection collection;
  collection.spec.options =
      json(R"({"timeseries": {"timeField": "t", "granularity": "seconds", "bucketMaxSpanSeconds": 3600}})");
  apply_modification(json(R"({"timeseries": {"granularity": "hours"}})").view(), collection);
  EXPECT_EQ(collection.spec.options.view().json(),
            text_of(R"({"timeseries": {"timeField": "t", "granularity": "hours"}})"));
}

// ---- rename ------------------------------------------------------------------

TEST_F(SchemaChangeTest, ARenameWithinTheFilterIsARename) {
  const Uuid uuid = create(kNs);
  ASSERT_TRUE(source_.rename(kNs, kElsewhere));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::rename);
  EXPECT_EQ(change.collection, uuid);
  EXPECT_EQ(change.ns, kElsewhere);
  EXPECT_FALSE(change.replaced);
  EXPECT_TRUE(change.is_structural());
}

TEST_F(SchemaChangeTest, ARenameOutOfTheFilterIsADrop) {
  const Uuid uuid = create(kNs);
  ASSERT_TRUE(source_.rename(kNs, {"db", "excluded"}));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::drop);
  EXPECT_EQ(change.collection, uuid);
}

// Its documents were written before it was selected, so no event brings them.
TEST_F(SchemaChangeTest, ARenameIntoTheFilterIsACopy) {
  const Uuid uuid = create({"db", "excluded"}, "{}", false);
  ASSERT_TRUE(source_.rename({"db", "excluded"}, kNs));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::copy);
  EXPECT_TRUE(change.needs_listing);
  EXPECT_EQ(change.collection, uuid);
  EXPECT_EQ(change.ns, kNs);
}

TEST_F(SchemaChangeTest, ARenameOutsideTheFilterIsNothing) {
  create({"db", "excluded"}, "{}", false);
  ASSERT_TRUE(source_.rename({"db", "excluded"}, {"db", "system.profile"}));
  EXPECT_EQ(plan().kind, Kind::none);
}

TEST_F(SchemaChangeTest, ARenameDropsTheKnownCollectionInItsWay) {
  create(kNs);
  const Uuid occupant = create(kElsewhere);
  ASSERT_TRUE(source_.rename(kNs, kElsewhere, true));
  EXPECT_EQ(plan().replaced, occupant);
}

TEST_F(SchemaChangeTest, ARenameOutOfTheFilterOverAnExcludedOneDropsItselfOnly) {
  const Uuid uuid = create(kNs);
  create({"db", "excluded"}, "{}", false);
  ASSERT_TRUE(source_.rename(kNs, {"db", "excluded"}, true));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::drop);
  EXPECT_EQ(change.collection, uuid);
  EXPECT_FALSE(change.replaced);
}

// Whatever has that name on the target is not what the source dropped.
TEST_F(SchemaChangeTest, ARenameDropsNothingThatIsUnknown) {
  create(kNs);
  create(kElsewhere, "{}", false);
  ASSERT_TRUE(source_.rename(kNs, kElsewhere, true));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::rename);
  EXPECT_FALSE(change.replaced);
}

TEST_F(SchemaChangeTest, ARenameIntoTheFilterMayDropAKnownCollection) {
  create({"db", "excluded"}, "{}", false);
  const Uuid occupant = create(kNs);
  ASSERT_TRUE(source_.rename({"db", "excluded"}, kNs, true));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::copy);
  EXPECT_EQ(change.replaced, occupant);
}

// The stream tells of the past: by then another collection may have the name
// that the event gives. The UUID says who is meant.
TEST_F(SchemaChangeTest, TheUuidDecidesWhoIsRenamed) {
  const Uuid uuid = create(kNs);
  catalog_.find(uuid)->spec.ns = {"db", "elsewhere"};
  ASSERT_TRUE(source_.rename(kNs, kElsewhere));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::rename);
  EXPECT_EQ(change.collection, uuid);
}

// ---- drop --------------------------------------------------------------------

TEST_F(SchemaChangeTest, AKnownCollectionIsDropped) {
  const Uuid uuid = create(kNs);
  ASSERT_TRUE(source_.drop(kNs));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::drop);
  EXPECT_EQ(change.collection, uuid);
  EXPECT_TRUE(change.is_structural());
}

TEST_F(SchemaChangeTest, AnUnknownCollectionOfAKnownNameIsNotDropped) {
  create(kNs, "{}", false);
  ASSERT_TRUE(source_.drop(kNs));
  Collection other;
  other.spec.uuid = uuid_of(9);
  other.spec.ns = kNs;
  catalog_.add(std::move(other));
  EXPECT_EQ(plan().kind, Kind::none);
}

TEST_F(SchemaChangeTest, AViewIsDroppedByName) {
  create({"db", "v"}, R"({"viewOn": "c", "pipeline": []})");
  ASSERT_TRUE(source_.drop({"db", "v"}));
  EXPECT_EQ(plan().kind, Kind::drop_view);
  catalog_.remove_view({"db", "v"});
  EXPECT_EQ(plan().kind, Kind::none);
}

// Its collections have drop events of their own; its views have none.
TEST_F(SchemaChangeTest, ADroppedDatabaseLosesItsViews) {
  create(kNs);
  ASSERT_TRUE(source_.drop_database("db"));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::drop_views);
  EXPECT_EQ(change.ns.database, "db");
  EXPECT_EQ(plan(1).kind, Kind::drop);
}

// A dropDatabase that was interrupted has dropped the view.
TEST_F(SchemaChangeTest, WhatHasTheNameOfAViewReplacesIt) {
  catalog_.put_view({kNs, CollectionKind::view, {}, {}, {}});
  create(kNs, "{}", false);
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::create);
  EXPECT_TRUE(change.replaces_view);
  (void)apply_to_catalog(change, {}, catalog_);
  EXPECT_EQ(catalog_.find_view(kNs), nullptr);
  create({"db", "d"}, "{}", false);
  EXPECT_FALSE(plan().replaces_view);
}

// ---- collMod and indexes --------------------------------------------------------

TEST_F(SchemaChangeTest, KnownCollectionsAndViewsAreModified) {
  const Uuid uuid = create(kNs);
  ASSERT_TRUE(source_.modify(kNs, json(R"({"validationLevel": "off"})").view()));
  const SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::modify);
  EXPECT_EQ(change.collection, uuid);
  EXPECT_EQ(change.options["validationLevel"].as_string(), "off");
  EXPECT_FALSE(change.is_structural());

  create({"db", "v"}, R"({"viewOn": "c", "pipeline": []})");
  ASSERT_TRUE(source_.modify({"db", "v"}, json(R"({"viewOn": "d", "pipeline": []})").view()));
  EXPECT_EQ(plan().kind, Kind::modify_view);
  ASSERT_TRUE(source_.modify({"db", "v"}, json(R"({"viewOn": "excluded", "pipeline": []})").view()));
  EXPECT_NE(plan().warning.find("db.excluded"), std::string::npos);

  create(kElsewhere, "{}", false);
  ASSERT_TRUE(source_.modify(kElsewhere, json(R"({"validationLevel": "off"})").view()));
  EXPECT_EQ(plan().kind, Kind::none);
}

TEST_F(SchemaChangeTest, IndexesOfKnownCollectionsAreChanged) {
  const Uuid uuid = create(kNs);
  ASSERT_TRUE(source_.create_indexes(kNs, {{json(R"({"v": 2, "key": {"a": 1}, "name": "a", "ns": "db.c"})")},
                                           {json(R"({"v": 2, "key": {"b": 1}, "name": "b", "unique": true})")}}));
  SchemaChange change = plan();
  EXPECT_EQ(change.kind, Kind::create_indexes);
  EXPECT_EQ(change.collection, uuid);
  ASSERT_EQ(change.indexes.size(), 2U);
  EXPECT_FALSE(change.indexes[0].spec["ns"].exists());
  EXPECT_TRUE(change.indexes[1].is_unique());
  ASSERT_TRUE(source_.drop_index(kNs, "b"));
  change = plan();
  EXPECT_EQ(change.kind, Kind::drop_indexes);
  EXPECT_EQ(change.indexes.at(0).name(), "b");

  create(kElsewhere, "{}", false);
  ASSERT_TRUE(source_.create_indexes(kElsewhere, {{json(R"({"key": {"a": 1}, "name": "a"})")}}));
  EXPECT_EQ(plan().kind, Kind::none);
}

class ModificationTest : public testing::Test {
 protected:
  void SetUp() override {
    add_index(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})");
    add_index(R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 60})");
  }
  void add_index(std::string_view spec) { collection_.indexes.push_back({{json(spec)}, IndexState::built, {}}); }
  void apply(std::string_view modification) { apply_modification(json(modification).view(), collection_); }
  [[nodiscard]] std::string index(const std::string& name) {
    return collection_.find_index(name)->spec.spec.view().json();
  }
  [[nodiscard]] std::string options() const { return collection_.spec.options.view().json(); }
  static std::string for_target(std::string_view modification) {
    const auto out = modification_for_target(json(modification).view());
    return out ? out->view().json() : "none";
  }

  Collection collection_;
};

TEST_F(ModificationTest, HidesAndShowsAnIndex) {
  apply(R"({"index": {"name": "a_1", "hidden": true}})");
  EXPECT_EQ(index("a_1"), text_of(R"({"v": 2, "key": {"a": 1}, "name": "a_1", "hidden": true})"));
  apply(R"({"index": {"name": "a_1", "hidden": false}})");
  EXPECT_EQ(index("a_1"), text_of(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})"));
  EXPECT_EQ(options(), text_of("{}")) << "an index is not an option";
}

TEST_F(ModificationTest, MakesAnIndexUniqueInTwoSteps) {
  apply(R"({"index": {"keyPattern": {"a": 1}, "prepareUnique": true}})");
  EXPECT_TRUE(collection_.find_index("a_1")->spec.is_prepare_unique());
  apply(R"({"index": {"keyPattern": {"a": 1}, "unique": true}})");
  EXPECT_EQ(index("a_1"), text_of(R"({"v": 2, "key": {"a": 1}, "name": "a_1", "unique": true})"));
}

TEST_F(ModificationTest, GivesUpPreparingUniqueness) {
  apply(R"({"index": {"name": "a_1", "prepareUnique": true}})");
  apply(R"({"index": {"name": "a_1", "prepareUnique": false}})");
  EXPECT_EQ(index("a_1"), text_of(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})"));
}

TEST_F(ModificationTest, ChangesTheTtlOfAnIndexInPlace) {
  apply(R"({"index": {"name": "t_1", "expireAfterSeconds": {"$numberLong": "7200"}}})");
  EXPECT_EQ(collection_.find_index("t_1")->spec.spec["expireAfterSeconds"].as_int64(), 7200);
  EXPECT_FALSE(collection_.spec.options["expireAfterSeconds"].exists());
  apply(R"({"index": {"name": "a_1", "expireAfterSeconds": 5}})");
  EXPECT_TRUE(collection_.find_index("a_1")->spec.is_ttl());
}

TEST_F(ModificationTest, AnUnknownIndexIsLeftOut) {
  apply(R"({"index": {"name": "none", "hidden": true}})");
  EXPECT_EQ(collection_.indexes.size(), 2U);
  EXPECT_FALSE(collection_.indexes[0].spec.is_hidden());
}

// "off" means "none" for expireAfterSeconds alone; a validation level is called so.
TEST_F(ModificationTest, OffIsAValidationLevelAndTheEndOfExpiry) {
  collection_.spec.options = json(R"({"expireAfterSeconds": 60, "clusteredIndex": true})");
  apply(R"({"validationLevel": "off", "validationAction": "warn"})");
  apply(R"({"expireAfterSeconds": "off"})");
  EXPECT_EQ(options(), text_of(R"({"clusteredIndex": true, "validationLevel": "off", "validationAction": "warn"})"));
}

TEST_F(ModificationTest, ReplacesOptionsInPlace) {
  collection_.spec.options = json(R"({"capped": true, "size": 100, "max": 5, "validator": {"a": 1}})");
  apply(R"({"cappedSize": 200, "cappedMax": 7, "validator": {"b": 1}})");
  EXPECT_EQ(options(), text_of(R"({"capped": true, "size": 200, "max": 7, "validator": {"b": 1},
                                   "validationLevel": "strict", "validationAction": "error"})"));
}

// As the server does; a twin that is created later would lack them otherwise.
TEST_F(ModificationTest, ChangingOnePartOfTheValidationSetsAllParts) {
  apply(R"({"validator": {}})");
  EXPECT_EQ(options(), text_of(R"({"validationLevel": "strict", "validationAction": "error"})"));
  apply(R"({"validationLevel": "off"})");
  EXPECT_EQ(options(), text_of(R"({"validationLevel": "off", "validationAction": "error"})"));
}

// What the target gets at once: nothing that would reject or remove documents
// while events of the past are still applied.
TEST_F(ModificationTest, TheTargetGetsNothingThatRemovesDocuments) {
  EXPECT_EQ(for_target(R"({"validator": {"a": 1}, "validationLevel": "off"})"),
            text_of(R"({"validator": {"a": 1}, "validationLevel": "off"})"));
  EXPECT_EQ(for_target(R"({"validator": {"a": 1}, "expireAfterSeconds": 5, "cappedSize": 7, "cappedMax": 1})"),
            text_of(R"({"validator": {"a": 1}})"));
  EXPECT_EQ(for_target(R"({"index": {"name": "a_1", "expireAfterSeconds": 5}})"), "none");
  EXPECT_EQ(for_target("{}"), "none");
}

TEST(SchemaChange, EveryKindHasAName) {
  for (int kind = 0; kind <= static_cast<int>(Kind::drop_views); ++kind) {
    EXPECT_FALSE(name_of(static_cast<Kind>(kind)).empty());
  }
}

}  // namespace
}  // namespace plm
