#include "engine/job_start.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "engine/test_seams.h"
#include "engine/working_name.h"

namespace plm {
namespace {

class JobStartTest : public testing::Test {
 protected:
  void SetUp() override { source_uuid_ = seams_.source_set.create(kNs, {}).value(); }
  SavedJob begin(const Filter& filter = {}) {
    auto job = begin_job(seams_.source, seams_.store, filter, warnings_);
    EXPECT_TRUE(job) << (job ? "" : job.error().message);
    return job ? *std::move(job) : SavedJob();
  }
  [[nodiscard]] Result<std::optional<SavedJob>> restore() {
    return restore_job(seams_.source, seams_.target, seams_.store, filter_);
  }
  [[nodiscard]] SavedJob restored() {
    auto job = restore();
    EXPECT_TRUE(job) << (job ? "" : job.error().message);
    EXPECT_TRUE(job && *job);
    return job && *job ? **std::move(job) : SavedJob();
  }
  // The job as it is after its first collection has a twin.
  SavedJob with_twin() {
    SavedJob job = begin();
    Collection& collection = *job.catalog.find(source_uuid_);
    const Uuid twin = seams_.target.create(kNs, {}).value();
    collection.ref = collection_ref(kNs, source_uuid_, twin);
    collection.twin_state = TwinState::ready;
    job.catalog.touch(collection);
    save(job);
    return job;
  }
  void save(SavedJob& job) {
    const auto changes = changes_to_save(job.catalog, job.catalog.take_changes(), job.position);
    ASSERT_TRUE(seams_.store.save(changes));
  }

  TestSeams seams_;
  std::vector<std::string> warnings_;
  Uuid source_uuid_;
  Filter filter_;
};

// ---- For the first time ----------------------------------------------------------------

// Whatever is written from the start on is in the stream, whatever was there
// before is in the listing: nothing can fall between the two.
TEST_F(JobStartTest, TheStreamStartsBeforeTheListing) {
  const ClusterTime before = seams_.source_set.now();
  const SavedJob job = begin();
  EXPECT_GT(job.position.position.time, before);
  EXPECT_GT(job.position.listed_at, job.position.position.time);
  EXPECT_EQ(job.position.complete, job.position.position.time);
  EXPECT_FALSE(job.position.position.has_token());
}

TEST_F(JobStartTest, SavesTheWantedCollectionsBeforeAnythingIsCreated) {
  ASSERT_TRUE(seams_.source_set.create_indexes(kNs, {{json(R"({"key": {"a": 1}, "name": "a", "unique": true})")}}));
  ASSERT_TRUE(seams_.source_set.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  (void)begin();
  EXPECT_TRUE(seams_.target_set.collections().empty());
  SavedJob job = load_job(seams_.store).value().value();
  const Collection* collection = job.catalog.find(source_uuid_);
  ASSERT_NE(collection, nullptr);
  EXPECT_EQ(collection->twin_state, TwinState::wanted);
  ASSERT_EQ(collection->indexes.size(), 1U);
  EXPECT_TRUE(collection->indexes[0].spec.is_unique());
  EXPECT_EQ(collection->indexes[0].state, IndexState::waiting);
  EXPECT_NE(job.catalog.find_view({"db", "v"}), nullptr);
}

TEST_F(JobStartTest, TakesWhatTheFilterSelects) {
  ASSERT_TRUE(seams_.source_set.create({"db", "excluded"}, {}));
  SavedJob job = begin(Filter::make({}, {"db.excluded"}).value());
  EXPECT_EQ(job.catalog.collections().size(), 1U);
}

// A name that is misspelt looks like a migration of nothing that succeeds.
TEST_F(JobStartTest, WarnsWhenTheFilterSelectsNothing) {
  (void)begin(Filter::make({"DB.*"}, {}).value());
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("selects"), std::string::npos);
}

TEST_F(JobStartTest, RemovesWhatAnAttemptBeforeLeft) {
  const StoreChange left = park({uuid_of(9), {"db", "old"}, value_of("1"), "left"});
  ASSERT_TRUE(seams_.store.save({&left, 1}));
  const StoreChange collection{"collections", value_of("5"), json(R"({"_id": 5})")};
  ASSERT_TRUE(seams_.store.save({&collection, 1}));
  (void)begin();
  EXPECT_TRUE(seams_.store.load("parked")->empty());
  EXPECT_EQ(seams_.store.load("collections")->size(), 1U);
}

TEST_F(JobStartTest, CanBeRepeatedAfterAnyFailure) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(seams_.source_set.create({"db", "more" + std::to_string(i)}, {}));
  FaultPlan faults(seams_.random, {.before = 0.05, .after = 0.05, .partly = 0.5});
  MemorySource source(seams_.source_set, faults);
  for (int run = 0; run < 20; ++run) {
    MemoryStateStore store(faults);
    faults.switch_on();
    while (!begin_job(source, store, {}, warnings_)) {
    }
    faults.switch_off();
    EXPECT_EQ(load_job(store).value()->catalog.collections().size(), 11U);
  }
}

// ---- Again -----------------------------------------------------------------------------

TEST_F(JobStartTest, WithoutAPositionThereIsNoJob) { EXPECT_FALSE(restore().value()); }

TEST_F(JobStartTest, FindsItsTwinsByIdentity) {
  (void)with_twin();
  ASSERT_TRUE(seams_.target_set.rename(kNs, {"db", "renamed"}));
  SavedJob job = restored();
  EXPECT_EQ(job.catalog.find(source_uuid_)->ref->twin.ns, (Namespace{"db", "renamed"}))
      << "a rename took effect whose result was not saved";
}

// What the process before sent under the name that its twin has had must not land
// behind what this one does.
TEST_F(JobStartTest, ATwinUnderAWorkingNameGetsTheNextOne) {
  (void)with_twin();
  const Namespace name = first_working_name(seams_.source_set.find(kNs)->spec());
  ASSERT_TRUE(seams_.target_set.rename(kNs, name));
  const SavedJob job = restored();
  const Namespace now = job.catalog.collections().at(source_uuid_).ref->twin.ns;
  EXPECT_EQ(now, next_working_name(name));
  EXPECT_NE(seams_.target_set.find(now), nullptr);
  EXPECT_EQ(seams_.target_set.find(name), nullptr);
}

// An attempt to rename it, given up, comes late.
TEST_F(JobStartTest, ATwinWhoseNameChangesMeanwhileIsLookedUpAgain) {
  class RenamedLate final : public MemoryTarget {
   public:
    using MemoryTarget::MemoryTarget;
    Status rename(const Twin& from, const Namespace& to) override {
      if (std::exchange(late_, false)) (void)MemoryTarget::rename(from, to);
      return MemoryTarget::rename(from, to);
    }

   private:
    bool late_ = true;
  };
  (void)with_twin();
  const Namespace name = first_working_name(seams_.source_set.find(kNs)->spec());
  ASSERT_TRUE(seams_.target_set.rename(kNs, name));
  RenamedLate target(seams_.target_set, seams_.faults);
  const auto job = restore_job(seams_.source, target, seams_.store, filter_);
  ASSERT_TRUE(job && *job) << (job ? "" : job.error().message);
  EXPECT_EQ((*job)->catalog.collections().at(source_uuid_).ref->twin.ns, next_working_name(next_working_name(name)));
}

// What the process before wrote behind its last save is on the target; until the
// stream has passed the present, the two sides must not be called equal.
TEST_F(JobStartTest, TheTargetMayBeAheadOfARestartedStream) {
  (void)with_twin();
  const ClusterTime before = seams_.source_set.now();
  EXPECT_GT(restored().position.dirty_until, before);
}

TEST_F(JobStartTest, ATwinThatSomebodyRemovedIsAnErrorThatNamesIt) {
  (void)with_twin();
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  const auto job = restore();
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, ErrorCode::wrong_state);
  EXPECT_NE(job.error().message.find("somebody else removed db.c"), std::string::npos) << job.error().message;
}

// A new collection of the old name is not the twin: to write there would mix two
// collections, and it may hold somebody's documents.
TEST_F(JobStartTest, AnotherCollectionOfTheNameIsNotTheTwin) {
  (void)with_twin();
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  ASSERT_TRUE(seams_.target_set.create(kNs, {}));
  EXPECT_EQ(restore().error().code, ErrorCode::wrong_state);
  EXPECT_NE(seams_.target_set.find(kNs), nullptr);
}

// The drop behind the saved position took effect, then the process died: this is
// no third party's work.
TEST_F(JobStartTest, ATwinThatWeWereAboutToDropIsForgotten) {
  SavedJob saved = with_twin();
  saved.position.dropping = {source_uuid_};
  save(saved);
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  SavedJob job = restored();
  EXPECT_EQ(job.catalog.find(source_uuid_), nullptr);
  EXPECT_EQ(job.catalog.take_changes().removed.count(source_uuid_), 1U) << "the store still has it";
}

TEST_F(JobStartTest, ATwinWhoseDropDidNotTakeEffectIsKept) {
  SavedJob saved = with_twin();
  saved.position.dropping = {source_uuid_};
  save(saved);
  EXPECT_NE(restored().catalog.find(source_uuid_), nullptr);
}

// Its name may be another's already: to prepare it would meet that one's documents.
TEST_F(JobStartTest, ACollectionWithoutATwinThatIsAboutToBeDroppedIsForgotten) {
  SavedJob saved = begin();
  saved.position.dropping = {source_uuid_};
  save(saved);
  EXPECT_EQ(restored().catalog.find(source_uuid_), nullptr);
}

// Twins whose UUID was not saved before the crash: their names must be free for
// what the stream brings, and nobody may mistake them for his own.
TEST_F(JobStartTest, AnEmptyLeftoverOfAWantedNameGoes) {
  (void)begin();
  ASSERT_TRUE(seams_.target_set.create(kNs, {}));
  EXPECT_EQ(restored().catalog.find(source_uuid_)->twin_state, TwinState::wanted);
  EXPECT_EQ(seams_.target_set.find(kNs), nullptr);
}

TEST_F(JobStartTest, AnEmptyLeftoverUnderAWorkingNameGoes) {
  (void)begin();
  const Namespace name = first_working_name(seams_.source_set.find(kNs)->spec());
  ASSERT_TRUE(seams_.target_set.create(name, {}));
  EXPECT_EQ(restored().catalog.find(source_uuid_)->twin_state, TwinState::wanted);
  EXPECT_EQ(seams_.target_set.find(name), nullptr);
}

TEST_F(JobStartTest, ACollectionWithDocumentsIsNoLeftover) {
  (void)begin();
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": "theirs"})").view()));
  const auto job = restore();
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, ErrorCode::wrong_state);
  EXPECT_NE(job.error().message.find("db.c exists on the target"), std::string::npos) << job.error().message;
  EXPECT_EQ(seams_.target_set.find(kNs)->documents.size(), 1U);
}

// A wanted name that the twin of another collection still holds is not a leftover.
TEST_F(JobStartTest, ATwinUnderAWantedNameIsKept) {
  SavedJob saved = with_twin();
  Collection wanted;
  wanted.spec.uuid = uuid_of(9);
  wanted.spec.ns = kNs;
  saved.catalog.add(std::move(wanted));
  saved.catalog.find(source_uuid_)->spec.ns = {"db", "to_be_renamed"};
  saved.catalog.touch(*saved.catalog.find(source_uuid_));
  save(saved);
  SavedJob job = restored();
  EXPECT_EQ(job.catalog.find(source_uuid_)->ref->twin.ns, kNs);
  EXPECT_NE(seams_.target_set.find(kNs), nullptr);
}

// A view of a later time may keep an earlier one from being made. Others' views,
// and those that are as saved, stay.
TEST_F(JobStartTest, ViewsOfALaterTimeGo) {
  const bson::Document known = json(R"({"viewOn": "c", "pipeline": []})");
  const bson::Document later = json(R"({"viewOn": "known", "pipeline": []})");
  for (const char* name : {"known", "changed"}) ASSERT_TRUE(seams_.source_set.create({"db", name}, known.view()));
  filter_ = Filter::make({"db.*"}, {}).value();
  (void)begin(filter_);
  ASSERT_TRUE(seams_.target_set.create({"db", "known"}, known.view()));
  ASSERT_TRUE(seams_.target_set.create({"db", "changed"}, later.view()));
  ASSERT_TRUE(seams_.target_set.create({"db", "unknown"}, later.view()));
  ASSERT_TRUE(seams_.target_set.create({"other", "view"}, later.view()));
  SavedJob job = restored();
  EXPECT_NE(seams_.target_set.find({"db", "known"}), nullptr);
  EXPECT_EQ(seams_.target_set.find({"db", "changed"}), nullptr);
  EXPECT_EQ(seams_.target_set.find({"db", "unknown"}), nullptr);
  EXPECT_NE(seams_.target_set.find({"other", "view"}), nullptr);
  EXPECT_NE(job.catalog.find_view({"db", "changed"}), nullptr);
}

TEST_F(JobStartTest, RestoringCanBeRepeated) {
  (void)with_twin();
  EXPECT_NE(restored().catalog.find(source_uuid_), nullptr);
  EXPECT_NE(restored().catalog.find(source_uuid_), nullptr);
}

TEST_F(JobStartTest, ListsWhatIsInTheWayOnTheTarget) {
  const Namespace left = first_working_name({{"db", "any"}, CollectionKind::collection, uuid_of(7), {}, {}});
  for (const Namespace& ns : {Namespace{"db", "c"}, Namespace{"db", "excluded"}, Namespace{"other", "c"}, left}) {
    ASSERT_TRUE(seams_.target_set.create(ns, {}));
  }
  ASSERT_TRUE(seams_.target_set.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  ASSERT_TRUE(seams_.target_set.create({std::string(kStateDatabase), "state"}, {}));
  const auto present = present_on_target(seams_.target, Filter::make({"db.*"}, {"db.excluded"}).value());
  ASSERT_TRUE(present);
  ASSERT_EQ(present->size(), 3U);
  EXPECT_EQ((*present)[0].ns, (Namespace{"db", "c"}));
  EXPECT_EQ((*present)[1].ns, left);
  EXPECT_TRUE((*present)[2].is_view());
}

}  // namespace
}  // namespace plm
