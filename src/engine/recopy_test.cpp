#include "engine/recopy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/job_start.h"
#include "engine/test_seams.h"

namespace plm {
namespace {

// A job that has copied what the source held, in an engine that is gone: twins
// under their names, with the documents of then.
class RecopyTest : public testing::Test {
 protected:
  static Namespace ns(const std::string& name) { return {"db", name}; }
  Uuid create(const std::string& name, std::string_view options = "{}") {
    return seams_.source_set.create(ns(name), json(options).view()).value();
  }
  // The job as it is when everything has a twin.
  void copied() {
    SavedJob job = begin_job(seams_.source, seams_.store, {}, warnings_).value();
    for (auto& [uuid, collection] : job.catalog.collections()) {
      const Uuid twin = seams_.target.create(collection.spec.ns, collection.spec.options.view()).value();
      ASSERT_TRUE(seams_.target_set.insert(collection.spec.ns, json(R"({"_id": "old"})").view()));
      collection.ref = make_ref(collection.spec, {collection.spec.ns, twin});
      collection.twin_state = TwinState::ready;
      collection.planned = true;
      collection.ranges.emplace_back().state = RangeState::copied;
      job.catalog.touch_all(collection);
    }
    for (const auto& [name, view] : job.catalog.views()) {
      ASSERT_TRUE(seams_.target.create(name, view.options.view()));
    }
    job.position.events_read = 7;
    job.position.events_applied = 6;
    job.position.clone_completed = true;
    job.position.sync_completed = true;
    save(job);
  }
  void save(SavedJob& job) {
    const auto changes = changes_to_save(job.catalog, job.catalog.take_changes(), job.position);
    ASSERT_TRUE(seams_.store.save(changes));
  }
  SavedJob recopy(Recopy how = Recopy::changed) {
    auto job = begin_recopy(seams_.source, seams_.target, seams_.store, {}, how, warnings_);
    EXPECT_TRUE(job) << (job ? "" : job.error().message);
    EXPECT_TRUE(job && *job);
    return job && *job ? **std::move(job) : SavedJob();
  }
  static const Collection& of(const SavedJob& job, const Uuid& uuid) { return job.catalog.collections().at(uuid); }
  [[nodiscard]] bool on_target(const std::string& name) { return seams_.target_set.find(ns(name)) != nullptr; }

  TestSeams seams_;
  std::vector<std::string> warnings_;
};

TEST_F(RecopyTest, KeepsATwinWhoseCollectionIsTheSame) {
  const Uuid uuid = create("c");
  copied();
  const Uuid twin = seams_.target_set.find(ns("c"))->uuid;
  const SavedJob job = recopy();
  EXPECT_EQ(of(job, uuid).ref->twin, (Twin{ns("c"), twin}));
  EXPECT_EQ(of(job, uuid).twin_state, TwinState::ready);
  EXPECT_TRUE(of(job, uuid).merges);
  EXPECT_FALSE(of(job, uuid).planned);
  EXPECT_EQ(seams_.target_set.find(ns("c"))->documents.size(), 1U);
  SavedJob saved = load_job(seams_.store).value().value();
  EXPECT_TRUE(of(saved, uuid).merges);
  EXPECT_TRUE(of(saved, uuid).ranges.empty());
}

TEST_F(RecopyTest, BeginsAtANewPositionAndCountsOn) {
  create("c");
  copied();
  const ClusterTime before = seams_.source_set.now();
  const SavedPosition position = recopy().position;
  EXPECT_GT(position.position.time, before);
  EXPECT_EQ(position.complete, position.position.time);
  EXPECT_GT(position.listed_at, position.position.time);
  EXPECT_GE(position.dirty_until, position.position.time);
  EXPECT_EQ(position.events_read, 7);
  EXPECT_EQ(position.events_applied, 6);
  EXPECT_FALSE(position.clone_completed);
  EXPECT_FALSE(position.sync_completed);
}

TEST_F(RecopyTest, CopiesAnewWhatCannotBeCompared) {
  const Uuid capped = create("capped", R"({"capped": true, "size": 100000})");
  const Uuid collated = create("collated", R"({"collation": {"locale": "en", "strength": 2}})");
  const Uuid modified = create("modified");
  create("replaced");
  copied();
  ASSERT_TRUE(seams_.source_set.modify(ns("modified"), json(R"({"validationLevel": "off"})").view()));
  ASSERT_TRUE(seams_.source_set.drop(ns("replaced")));
  const Uuid replaced = create("replaced");
  const SavedJob job = recopy();
  for (const Uuid& uuid : {capped, collated, modified, replaced}) {
    EXPECT_EQ(of(job, uuid).twin_state, TwinState::wanted);
    EXPECT_FALSE(of(job, uuid).merges);
    EXPECT_FALSE(of(job, uuid).ref);
  }
  EXPECT_TRUE(seams_.target_set.collections().empty());
}

TEST_F(RecopyTest, DropsWhatIsGoneFromTheSource) {
  create("gone");
  create("v", R"({"viewOn": "gone", "pipeline": []})");
  copied();
  ASSERT_TRUE(seams_.source_set.drop(ns("gone")));
  ASSERT_TRUE(seams_.source_set.drop(ns("v")));
  const SavedJob job = recopy();
  EXPECT_TRUE(job.catalog.collections().empty());
  EXPECT_TRUE(seams_.target_set.collections().empty());
}

TEST_F(RecopyTest, SwappedNamesAreFreed) {
  const Uuid a = create("a");
  const Uuid b = create("b");
  copied();
  const Uuid twin_of_a = seams_.target_set.find(ns("a"))->uuid;
  for (const auto& [from, to] : {std::pair{"a", "t"}, std::pair{"b", "a"}, std::pair{"t", "b"}}) {
    ASSERT_TRUE(seams_.source_set.rename(ns(from), ns(to)));
  }
  const SavedJob job = recopy();
  EXPECT_FALSE(on_target("a"));
  EXPECT_FALSE(on_target("b"));
  EXPECT_EQ(of(job, a).spec.ns, ns("b"));
  EXPECT_EQ(of(job, a).ref->twin.uuid, twin_of_a);
  EXPECT_TRUE(of(job, a).ref->under_working_name);
  EXPECT_TRUE(of(job, b).ref->under_working_name);
  EXPECT_EQ(seams_.target_set.find(twin_of_a)->ns, of(job, a).ref->twin.ns);
}

// An insert by name of an earlier copy may still be under way.
TEST_F(RecopyTest, AWorkingNameIsOneThatTheTwinNeverHad) {
  const Uuid uuid = create("c");
  copied();
  ASSERT_TRUE(seams_.source_set.rename(ns("c"), ns("d")));
  const Namespace first = of(recopy(), uuid).ref->twin.ns;
  EXPECT_TRUE(is_working_name(first));
  EXPECT_NE(first, first_working_name(seams_.source_set.find(uuid)->spec()));
  const Namespace second = of(recopy(), uuid).ref->twin.ns;
  EXPECT_EQ(second, next_working_name(first));
  ASSERT_TRUE(seams_.target_set.rename(second, ns("d")));
  ASSERT_TRUE(seams_.source_set.rename(ns("d"), ns("e")));
  const Namespace third = of(recopy(), uuid).ref->twin.ns;
  EXPECT_NE(third, first);
  EXPECT_NE(third, second);
}

TEST_F(RecopyTest, KeepsIndexesThatAreWantedInTheirPlainForm) {
  const Uuid uuid = create("c");
  const IndexSpec unique{json(R"({"v": 2, "key": {"u": 1}, "name": "u_1", "unique": true})")};
  const IndexSpec dropped{json(R"({"v": 2, "key": {"d": 1}, "name": "d_1"})")};
  const IndexSpec other{json(R"({"v": 2, "key": {"o": 1}, "name": "o_1"})")};
  const IndexSpec changed{json(R"({"v": 2, "key": {"o": -1}, "name": "o_1"})")};
  ASSERT_TRUE(seams_.source_set.create_indexes(ns("c"), {unique, dropped, other}));
  copied();
  ASSERT_TRUE(seams_.target_set.create_indexes(ns("c"), {unique.plain(), dropped, other}));
  ASSERT_TRUE(seams_.source_set.drop_index(ns("c"), "d_1"));
  ASSERT_TRUE(seams_.source_set.drop_index(ns("c"), "o_1"));
  ASSERT_TRUE(seams_.source_set.create_indexes(ns("c"), {changed}));
  const SavedJob job = recopy();
  ASSERT_EQ(seams_.target_set.find(ns("c"))->indexes.size(), 1U);
  EXPECT_EQ(seams_.target_set.find(ns("c"))->indexes[0], unique.plain());
  EXPECT_EQ(of(job, uuid).count_indexes(IndexState::waiting), 2U);
}

// A real one would refuse documents, or remove them (I7).
TEST_F(RecopyTest, AnIndexThatIsRealAlreadyIsDropped) {
  create("c");
  const IndexSpec ttl{json(R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 60})")};
  ASSERT_TRUE(seams_.source_set.create_indexes(ns("c"), {ttl}));
  copied();
  ASSERT_TRUE(seams_.target_set.create_indexes(ns("c"), {ttl}));
  (void)recopy();
  EXPECT_TRUE(seams_.target_set.find(ns("c"))->indexes.empty());
}

TEST_F(RecopyTest, ATwinThatSomebodyRemovedIsCopiedAnew) {
  const Uuid uuid = create("c");
  copied();
  ASSERT_TRUE(seams_.target_set.drop(ns("c")));
  EXPECT_EQ(of(recopy(), uuid).twin_state, TwinState::wanted);
}

TEST_F(RecopyTest, LeftoversGoAndDocumentsOfOthersStay) {
  create("c");
  copied();
  ASSERT_TRUE(seams_.target_set.create(ns("left"), {}));
  ASSERT_TRUE(seams_.target_set.insert(ns("foreign"), json(R"({"_id": 1})").view()));
  (void)recopy();
  EXPECT_FALSE(on_target("left")) << "a creation whose result was not saved";
  EXPECT_TRUE(on_target("foreign"));
  EXPECT_TRUE(on_target("c"));
}

TEST_F(RecopyTest, AllDropsEverythingThatIsSelected) {
  const Uuid uuid = create("c");
  copied();
  ASSERT_TRUE(seams_.target_set.insert(ns("foreign"), json(R"({"_id": 1})").view()));
  ASSERT_TRUE(seams_.target_set.insert({std::string(kStateDatabase), "state"}, json(R"({"_id": 1})").view()));
  const SavedJob job = recopy(Recopy::all);
  EXPECT_EQ(of(job, uuid).twin_state, TwinState::wanted);
  EXPECT_EQ(job.position.events_read, 7);
  EXPECT_EQ(seams_.target_set.collections().size(), 1U) << "plm's own";
}

TEST_F(RecopyTest, ForgetsParkedDocuments) {
  const Uuid uuid = create("c");
  copied();
  const StoreChange parked = park({uuid, ns("c"), value_of("1"), "too large"});
  ASSERT_TRUE(seams_.store.save({&parked, 1}));
  EXPECT_TRUE(recopy().parked.empty());
  EXPECT_TRUE(seams_.store.load("parked")->empty());
}

TEST_F(RecopyTest, WithoutAJobThereIsNothingToCopyAgain) {
  create("c");
  EXPECT_FALSE(*begin_recopy(seams_.source, seams_.target, seams_.store, {}, Recopy::changed, warnings_));
}

TEST_F(RecopyTest, CanBeRepeatedAfterAnyFailure) {
  for (const std::string name : {"a", "b", "c", "d"}) create(name);
  create("v", R"({"viewOn": "a", "pipeline": []})");
  copied();
  for (const auto& [from, to] : {std::pair{"a", "t"}, std::pair{"b", "a"}, std::pair{"t", "b"}}) {
    ASSERT_TRUE(seams_.source_set.rename(ns(from), ns(to)));
  }
  ASSERT_TRUE(seams_.source_set.drop(ns("d")));
  FaultPlan faults(seams_.random, {.before = 0.05, .after = 0.05, .partly = 0.5});
  MemorySource source(seams_.source_set, faults);
  MemoryTarget target(seams_.target_set, faults);
  for (int run = 0; run < 20; ++run) {
    faults.switch_on();
    while (!begin_recopy(source, target, seams_.store, {}, Recopy::changed, warnings_)) {
    }
    faults.switch_off();
    SavedJob job = load_job(seams_.store).value().value();
    EXPECT_EQ(job.catalog.collections().size(), 3U);
    for (const auto& [uuid, collection] : job.catalog.collections()) {
      ASSERT_TRUE(collection.merges);
      EXPECT_EQ(seams_.target_set.find(collection.ref->twin.uuid)->ns, collection.ref->twin.ns);
    }
    EXPECT_EQ(seams_.target_set.collections().size(), 3U);
  }
}

TEST(RecopyNames, AreReadBack) {
  for (const Recopy recopy : {Recopy::none, Recopy::changed, Recopy::all}) {
    EXPECT_EQ(recopy_named(name_of(recopy)), recopy);
  }
  EXPECT_FALSE(recopy_named("some"));
}

}  // namespace
}  // namespace plm
