#include "engine/copy_scheduler.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

const ClusterTime kNow{50, 1};

class CopySchedulerTest : public testing::Test {
 protected:
  Collection& add(std::uint8_t number, std::size_t ranges, std::int64_t bytes = 0) {
    Collection collection;
    collection.spec.uuid = uuid_of(number);
    collection.spec.ns = {"db", "c" + std::to_string(number)};
    collection.twin_state = TwinState::ready;
    collection.ref =
        collection_ref(collection.spec.ns, uuid_of(number), uuid_of(static_cast<std::uint8_t>(number + 100)));
    collection.planned = true;
    collection.ranges.resize(ranges);
    collection.ranges_unfinished = ranges;
    collection.ranges_unconfirmed = ranges;
    collection.estimate.size_bytes = bytes;
    Collection& added = catalog_.add(std::move(collection));
    scheduler_->add(added);
    return added;
  }
  // The jobs that can be handed out now, as "c1/0"; "prepare c1".
  std::vector<std::string> hand_out() {
    scheduler_->hand_out(kNow);
    std::vector<std::string> out;
    while (auto job = preparations_.take(signal_)) {
      out.push_back("prepare " + job->spec.ns.collection);
      prepare_ = *std::move(job);
    }
    while (auto job = copies_.take(signal_)) {
      out.push_back(catalog_.find(job->range.collection)->spec.ns.collection + "/" + std::to_string(job->range.index));
      copy_ = *std::move(job);
    }
    return out;
  }
  void use(std::size_t copiers, std::size_t parallel_collections = 0, std::size_t keep_bytes = 1'000'000,
           std::size_t prepared_ahead = 64) {
    scheduler_ = std::make_unique<CopyScheduler>(
        CopyScheduler::Parts{catalog_, preparations_, copies_, sender_, seams_.progress, seams_.clock},
        CopyScheduler::Settings{2, copiers, parallel_collections, 1000, 5000, keep_bytes, prepared_ahead});
  }
  // The copier is done with a range. The namespace that is complete by it.
  std::string end(const Collection& collection, std::size_t index, RangeEnded::How how = RangeEnded::How::copied,
                  std::string_view resume_at = "null") {
    RangeEnded message;
    message.range = {collection.uuid(), index};
    message.how = how;
    message.resume_at = value_of(resume_at);
    message.copied = {10, 1000};
    seams_.progress.copied_documents += 10;
    seams_.progress.copied_bytes += 1000;
    const Collection* complete = scheduler_->ended(message, kNow);
    return complete == nullptr ? "" : complete->spec.ns.text();
  }
  static Operation event(const Collection& collection, std::string_view id) {
    return operation(OperationKind::insert, collection.ref, id,
                     R"({"_id": 1, "text": "about a hundred bytes of text"})");
  }
  // Everything that was sent to the applier, as ids; acknowledged.
  std::vector<std::string> sent() {
    sender_.flush();
    std::vector<std::string> out;
    for (const Operation& operation : applier_.take()) {
      out.push_back((operation.kind == OperationKind::reread ? "reread " : "") + bson::to_json(operation.id));
      applier_.acknowledge(operation.sequence);
    }
    sender_.poll();
    return out;
  }
  void SetUp() override { use(1); }

  TestSeams seams_;
  Catalog catalog_;
  JobQueue<PrepareJob> preparations_;
  JobQueue<CopyJob> copies_;
  Signal signal_;
  ApplierQueue applier_{signal_};
  Sender sender_{{&applier_}, {}, 1'000'000};
  std::unique_ptr<CopyScheduler> scheduler_;
  PrepareJob prepare_;  // the last ones
  CopyJob copy_;
};

using Jobs = std::vector<std::string>;

TEST_F(CopySchedulerTest, CopiesTheBiggestCollectionFirstAndItsRangesInOrder) {
  Collection& small = add(1, 1, 10);
  Collection& big = add(2, 2, 1000);
  Collection& middle = add(3, 1, 100);
  EXPECT_EQ(hand_out(), Jobs{"c2/0"});
  end(big, 0);
  EXPECT_EQ(hand_out(), Jobs{"c2/1"});
  end(big, 1);
  EXPECT_EQ(hand_out(), Jobs{"c3/0"});
  end(middle, 0);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  end(small, 0);
  EXPECT_EQ(hand_out(), Jobs{});
}

TEST_F(CopySchedulerTest, KeepsAllWorkersBusy) {
  use(3);
  add(1, 2, 10);
  add(2, 2, 100);
  EXPECT_EQ(hand_out(), (Jobs{"c2/0", "c2/1", "c1/0"}));
  EXPECT_EQ(scheduler_->outstanding(), 3U);
  EXPECT_EQ(scheduler_->copying(), (Jobs{"db.c1", "db.c2"}));
  EXPECT_EQ(hand_out(), Jobs{});
}

TEST_F(CopySchedulerTest, CopiesNoMoreCollectionsAtATimeThanAsked) {
  use(4, 1);
  Collection& big = add(1, 2, 100);
  add(2, 2, 10);
  EXPECT_EQ(hand_out(), (Jobs{"c1/0", "c1/1"}));
  end(big, 0);
  EXPECT_EQ(hand_out(), Jobs{});
  end(big, 1);
  EXPECT_EQ(hand_out(), (Jobs{"c2/0", "c2/1"}));
}

// From its start on every event of the range is kept, so what is read must not
// be older.
TEST_F(CopySchedulerTest, ARangeStartsAtTheStreamsPosition) {
  Collection& collection = add(1, 1);
  (void)catalog_.take_changes();
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  const Range& range = collection.ranges[0];
  EXPECT_EQ(range.state, RangeState::copying);
  EXPECT_EQ(range.start, kNow);
  EXPECT_NE(range.keep, nullptr);
  EXPECT_EQ(copy_.after, kNow);
  EXPECT_FALSE(copy_.clear_first);
  EXPECT_FALSE(copy_.resume_at);
  EXPECT_EQ(copy_.collection, collection.ref);
  EXPECT_EQ(catalog_.take_changes().ranges.size(), 1U);
}

TEST_F(CopySchedulerTest, ACappedCollectionIsReadInNaturalOrder) {
  Collection& collection = add(1, 1);
  collection.spec.options = json(R"({"capped": true, "size": 100})");
  (void)hand_out();
  EXPECT_TRUE(copy_.natural_order);
}

// What the process before copied may hold documents that are deleted since.
TEST_F(CopySchedulerTest, ARangeThatWasTouchedIsClearedFirst) {
  Collection& collection = add(1, 1);
  collection.ranges[0].touched = true;
  (void)hand_out();
  EXPECT_TRUE(copy_.clear_first);
}

// Stopped before it began, it still has to be cleared; documents that are deleted
// since would stay for ever.
TEST_F(CopySchedulerTest, AStopBeforeTheClearingDoesNotReplaceIt) {
  Collection& collection = add(1, 1);
  collection.ranges[0].touched = true;
  (void)hand_out();
  RangeEnded stopped;
  stopped.range = {collection.uuid(), 0};
  stopped.how = RangeEnded::How::stopped;
  stopped.to_clear = true;
  (void)scheduler_->ended(stopped, kNow);
  (void)hand_out();
  EXPECT_TRUE(copy_.clear_first);
  stopped.to_clear = false;
  (void)scheduler_->ended(stopped, kNow);
  (void)hand_out();
  EXPECT_FALSE(copy_.clear_first);
}

// What it held before the job was copied again is what it is compared with.
TEST_F(CopySchedulerTest, ARangeOfATwinThatWasKeptIsComparedAndNeverCleared) {
  Collection& collection = add(1, 1);
  collection.merges = true;
  collection.ranges[0].touched = true;
  (void)hand_out();
  EXPECT_TRUE(copy_.merge);
  EXPECT_FALSE(copy_.clear_first);
}

TEST_F(CopySchedulerTest, StopsAndGoesOnWhereItWas) {
  use(2);
  Collection& collection = add(1, 2, 100);
  add(2, 1);
  (void)hand_out();
  const auto stop = copy_.stop;
  scheduler_->stop(uuid_of(2));
  EXPECT_FALSE(stop->load());
  scheduler_->stop(uuid_of(1));
  EXPECT_TRUE(stop->load());
  end(collection, 0, RangeEnded::How::stopped, "3");
  end(collection, 1, RangeEnded::How::stopped, "7");
  EXPECT_FALSE(scheduler_->busy(uuid_of(1)));
  scheduler_->hand_out({60, 1});
  (void)copies_.take(signal_);
  const auto job = *copies_.take(signal_);
  EXPECT_EQ(job.range.index, 1U);
  EXPECT_EQ(job.resume_at.value().as_int64(), 7);
  EXPECT_EQ(job.after, kNow) << "its events are kept from its own start on";
  EXPECT_FALSE(job.clear_first);
  EXPECT_FALSE(job.stop->load()) << "the old request to stop is over";
  end(collection, 1);
  EXPECT_EQ(collection.copied.documents, 20) << "of both jobs";
}

TEST_F(CopySchedulerTest, StopsEverything) {
  use(4);
  add(1, 1);
  add(2, 1);
  scheduler_->hand_out(kNow);
  scheduler_->stop_all();
  while (auto job = copies_.take(signal_)) EXPECT_TRUE(job->stop->load());
}

// ---- The end of a range -----------------------------------------------------------

TEST_F(CopySchedulerTest, SendsWhatWasKeptAndThenCountsTheRange) {
  use(2);
  Collection& collection = add(1, 2);
  (void)hand_out();
  for (const std::string_view id : {"1", "2", "1"}) scheduler_->keep(collection.ranges[0], event(collection, id));
  EXPECT_EQ(end(collection, 0), "");
  EXPECT_EQ(collection.ranges[0].state, RangeState::confirming);
  scheduler_->confirm();
  EXPECT_EQ(collection.ranges[0].state, RangeState::confirming) << "its events are not acknowledged (I4)";
  EXPECT_EQ(sent(), (Jobs{"1", "2", "1"}));
  scheduler_->confirm();
  EXPECT_EQ(collection.ranges[0].state, RangeState::copied);
  EXPECT_FALSE(collection.confirmed());
  EXPECT_EQ(end(collection, 1), "db.c1") << "the last one completes the collection";
  scheduler_->confirm();
  EXPECT_TRUE(collection.confirmed());
}

TEST_F(CopySchedulerTest, ARangeWhoseCollectionIsGoneWaitsForTheStream) {
  Collection& collection = add(1, 2);
  (void)hand_out();
  end(collection, 0, RangeEnded::How::gone);
  EXPECT_EQ(collection.ranges[0].state, RangeState::pending);
  EXPECT_EQ(hand_out(), Jobs{});
}

TEST_F(CopySchedulerTest, ABrokenRangeIsCopiedAnew) {
  Collection& collection = add(1, 1);
  (void)hand_out();
  (void)catalog_.take_changes();
  end(collection, 0, RangeEnded::How::broken);
  EXPECT_EQ(collection.ranges[0].keep, nullptr);
  // Saved as pending before the position passes on: else it would read as copied
  // after a crash, although its events were dropped.
  EXPECT_EQ(catalog_.take_changes().ranges.size(), 1U);
  EXPECT_EQ(seams_.progress.copied_documents, 0);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  EXPECT_TRUE(copy_.clear_first);
  EXPECT_FALSE(copy_.resume_at);
}

TEST_F(CopySchedulerTest, ReadsRejectedDocumentsAgain) {
  Collection& collection = add(1, 1);
  (void)hand_out();
  Rejected message{{collection.uuid(), 0}, {}};
  message.ids.push_back(value_of("5"));
  scheduler_->rejected(message, kNow);
  end(collection, 0, RangeEnded::How::stopped, "7");
  EXPECT_EQ(sent(), Jobs{"reread 5"}) << "also when the copy stops here";
}

// ---- Keeping -----------------------------------------------------------------------

TEST_F(CopySchedulerTest, TheLargestKeepMakesRoomFirst) {
  use(2, 0, 2000);
  Collection& busy = add(1, 1, 100);
  Collection& quiet = add(2, 1, 10);
  (void)hand_out();
  scheduler_->keep(quiet.ranges[0], event(quiet, "1"));
  int id = 0;
  while (!busy.ranges[0].keep->reduced() && id < 100) {
    scheduler_->keep(busy.ranges[0], event(busy, std::to_string(id++)));
  }
  EXPECT_LT(id, 100);
  EXPECT_FALSE(quiet.ranges[0].keep->reduced());
  EXPECT_EQ(quiet.ranges[0].state, RangeState::copying);
}

// Whichever copier has it or not: a range that was given up is copied again.
TEST_F(CopySchedulerTest, ARangeThatIsGivenUpForRoomComesAgain) {
  use(2, 0, 2000);
  Collection& collection = add(1, 2, 100);
  (void)hand_out();
  end(collection, 0, RangeEnded::How::stopped, "3");
  const auto other = copy_.stop;
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    Range& range = collection.ranges[index];
    for (int id = 0; id < 100 && range.state == RangeState::copying; ++id) {
      scheduler_->keep(range, event(collection, std::to_string(id)));
    }
    EXPECT_EQ(range.state, RangeState::pending) << index;
  }
  EXPECT_TRUE(other->load()) << "there is no use in going on with its copy";
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  EXPECT_TRUE(copy_.clear_first);
  EXPECT_FALSE(copy_.resume_at) << "from its front";
  end(collection, 1, RangeEnded::How::stopped, "9");
  EXPECT_EQ(hand_out(), Jobs{"c1/1"});
  EXPECT_FALSE(copy_.resume_at);
}

TEST_F(CopySchedulerTest, ARangeIsHandedOutOnce) {
  use(4);
  Collection& collection = add(1, 1);
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{});
}

// ---- Preparing ---------------------------------------------------------------------

TEST_F(CopySchedulerTest, PreparesWhatIsWantedAndWaitsForItsTwin) {
  use(4);
  Collection wanted;
  wanted.spec.uuid = uuid_of(1);
  wanted.spec.ns = {"db", "c1"};
  Collection& collection = catalog_.add(std::move(wanted));
  scheduler_->add(collection);
  EXPECT_EQ(hand_out(), Jobs{"prepare c1"});
  EXPECT_TRUE(prepare_.create_twin);
  EXPECT_EQ(collection.twin_state, TwinState::preparing);
  EXPECT_TRUE(scheduler_->busy(uuid_of(1)));
  Prepared message;
  message.collection = uuid_of(1);
  message.twin = {kNs, uuid_of(9)};
  message.ranges.resize(1);
  EXPECT_TRUE(scheduler_->ended(message)) << "to be saved";
  EXPECT_EQ(collection.twin_state, TwinState::unsaved);
  EXPECT_EQ(hand_out(), Jobs{}) << "a crash would forget which twin holds the documents";
  collection.twin_state = TwinState::ready;
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
}

TEST_F(CopySchedulerTest, PlansLaterWhatWasStoppedBehindItsTwin) {
  Collection wanted;
  wanted.spec.uuid = uuid_of(1);
  wanted.spec.ns = {"db", "c1"};
  Collection& collection = catalog_.add(std::move(wanted));
  scheduler_->add(collection);
  (void)hand_out();
  scheduler_->stop_all();
  EXPECT_TRUE(prepare_.stop->load());
  Prepared message;
  message.collection = uuid_of(1);
  message.stopped = true;
  message.twin = {kNs, uuid_of(9)};
  EXPECT_TRUE(scheduler_->ended(message));
  collection.twin_state = TwinState::ready;
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"prepare c1"});
  EXPECT_FALSE(prepare_.create_twin);
  EXPECT_FALSE(prepare_.stop->load());
  message.stopped = false;
  message.ranges.resize(1);
  EXPECT_TRUE(scheduler_->ended(message)) << "the plan is to be saved";
  EXPECT_EQ(hand_out(), Jobs{}) << "a crash would forget which ranges were copied";
  collection.twin_state = TwinState::ready;
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
}

// A server closes the files of what waits for long.
TEST_F(CopySchedulerTest, DoesNotPrepareFarAheadOfTheCopiers) {
  use(1, 0, 1'000'000, 2);
  for (std::uint8_t number = 1; number <= 4; ++number) {
    Collection wanted;
    wanted.spec.uuid = uuid_of(number);
    wanted.spec.ns = {"db", "c" + std::to_string(number)};
    scheduler_->add(catalog_.add(std::move(wanted)));
  }
  const auto prepared = [&](std::uint8_t number) {
    Prepared message;
    message.collection = uuid_of(number);
    message.twin = {kNs, uuid_of(static_cast<std::uint8_t>(number + 100))};
    message.ranges.resize(1);
    EXPECT_TRUE(scheduler_->ended(message));
  };
  const auto saved = [&](std::uint8_t number) {
    Collection& collection = *catalog_.find(uuid_of(number));
    collection.twin_state = TwinState::ready;
    scheduler_->twin_is_ready(collection);
  };
  EXPECT_EQ(hand_out(), (Jobs{"prepare c1", "prepare c2"}));
  prepared(1);
  prepared(2);
  EXPECT_EQ(hand_out(), Jobs{}) << "being saved";
  saved(1);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  EXPECT_EQ(hand_out(), Jobs{"prepare c3"}) << "the one that a copier has is none of those that wait";
  saved(2);
  prepared(3);
  saved(3);
  EXPECT_EQ(hand_out(), Jobs{});
  end(*catalog_.find(uuid_of(1)), 0);
  EXPECT_EQ(hand_out().size(), 1U);
  EXPECT_EQ(hand_out(), Jobs{"prepare c4"});
}

TEST_F(CopySchedulerTest, PreparesAgainWhatWasStoppedBefore) {
  Collection wanted;
  wanted.spec.uuid = uuid_of(1);
  wanted.spec.ns = {"db", "c1"};
  scheduler_->add(catalog_.add(std::move(wanted)));
  (void)hand_out();
  Prepared message;
  message.collection = uuid_of(1);
  message.stopped = true;
  EXPECT_FALSE(scheduler_->ended(message));
  EXPECT_EQ(hand_out(), Jobs{"prepare c1"});
  EXPECT_TRUE(prepare_.create_twin);
}

TEST_F(CopySchedulerTest, ForgetsCollectionsThatAreGone) {
  use(4);
  add(1, 1);
  Collection wanted;
  wanted.spec.uuid = uuid_of(2);
  wanted.spec.ns = {"db", "c2"};
  scheduler_->add(catalog_.add(std::move(wanted)));
  for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}}) {
    scheduler_->forget(uuid_of(number));
    catalog_.remove(uuid_of(number));
  }
  EXPECT_EQ(hand_out(), Jobs{});
}

}  // namespace
}  // namespace plm
