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
    collection.estimate.size_bytes = bytes;
    Collection& added = catalog_.add(std::move(collection));
    scheduler_->add(added);
    return added;
  }
  // The jobs that can be handed out now, as "c1/0"; "prepare c1".
  std::vector<std::string> hand_out() {
    scheduler_->hand_out(kNow);
    std::vector<std::string> out;
    while (auto job = jobs_.take()) {
      if (const auto* prepare = std::get_if<PrepareJob>(&*job)) {
        out.push_back("prepare " + prepare->spec.ns.collection);
        prepare_ = *prepare;
      } else {
        copy_ = std::get<CopyJob>(*job);
        out.push_back(catalog_.find(copy_.range.collection)->spec.ns.collection + "/" +
                      std::to_string(copy_.range.index));
      }
    }
    return out;
  }
  void use(std::size_t workers, std::size_t parallel_collections = 0) {
    scheduler_ = std::make_unique<CopyScheduler>(
        catalog_, jobs_, CopyScheduler::Settings{workers, parallel_collections, 1000, 1'000'000});
  }
  // The copier is done with a range, as the Router takes it in.
  void end(Collection& collection, std::size_t index, RangeState state) {
    scheduler_->ended(collection);
    collection.ranges[index].assigned = false;
    collection.ranges[index].state = state;
  }
  void SetUp() override { use(1); }

  Catalog catalog_;
  JobQueue<CopierJob> jobs_;
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
  end(big, 0, RangeState::copied);
  EXPECT_EQ(hand_out(), Jobs{"c2/1"});
  end(big, 1, RangeState::copied);
  EXPECT_EQ(hand_out(), Jobs{"c3/0"});
  end(middle, 0, RangeState::copied);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  end(small, 0, RangeState::copied);
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
  end(big, 0, RangeState::copied);
  EXPECT_EQ(hand_out(), Jobs{});
  end(big, 1, RangeState::copied);
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
  EXPECT_TRUE(range.assigned);
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
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) end(collection, index, RangeState::copying);
  collection.ranges[1].resume_at = value_of("7");
  EXPECT_FALSE(scheduler_->busy(uuid_of(1)));
  scheduler_->resume(collection);
  scheduler_->hand_out({60, 1});
  (void)jobs_.take();
  const auto job = std::get<CopyJob>(*jobs_.take());
  EXPECT_EQ(job.range.index, 1U);
  EXPECT_EQ(job.resume_at.value().as_int64(), 7);
  EXPECT_EQ(job.after, kNow) << "its events are kept from its own start on";
  EXPECT_FALSE(job.clear_first);
  EXPECT_FALSE(job.stop->load()) << "the old request to stop is over";
}

TEST_F(CopySchedulerTest, StopsEverything) {
  use(4);
  add(1, 1);
  add(2, 1);
  scheduler_->hand_out(kNow);
  scheduler_->stop_all();
  while (auto job = jobs_.take()) EXPECT_TRUE(std::get<CopyJob>(*job).stop->load());
}

// Kept events of a collection that changed under the copy are worth nothing, and
// what waits for the copy would wait for ever.
TEST_F(CopySchedulerTest, ADiscardedRangeIsCopiedAnew) {
  Collection& collection = add(1, 1);
  (void)hand_out();
  scheduler_->stop(uuid_of(1));
  end(collection, 0, RangeState::copying);
  collection.ranges[0].resume_at = value_of("7");
  (void)catalog_.take_changes();
  scheduler_->discard(collection, collection.ranges[0]);
  EXPECT_EQ(collection.ranges[0].state, RangeState::pending);
  EXPECT_EQ(collection.ranges[0].keep, nullptr);
  // Saved as pending before the position passes the change: else it would read
  // as copied after a crash, although its events were dropped.
  EXPECT_EQ(catalog_.take_changes().ranges.size(), 1U);
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  EXPECT_TRUE(copy_.clear_first);
  EXPECT_FALSE(copy_.resume_at);
}

TEST_F(CopySchedulerTest, ARangeIsHandedOutOnce) {
  use(4);
  Collection& collection = add(1, 1);
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
  scheduler_->twin_is_ready(collection);
  scheduler_->resume(collection);
  EXPECT_EQ(hand_out(), Jobs{});
}

TEST_F(CopySchedulerTest, PreparesWhatIsWantedAndWaitsForItsTwin) {
  use(4);
  Collection wanted;
  wanted.spec.uuid = uuid_of(1);
  wanted.spec.ns = {"db", "c1"};
  Collection& collection = catalog_.add(std::move(wanted));
  scheduler_->add(collection);
  scheduler_->add(collection);
  EXPECT_EQ(hand_out(), Jobs{"prepare c1"});
  EXPECT_TRUE(prepare_.create_twin);
  EXPECT_EQ(collection.twin_state, TwinState::preparing);
  EXPECT_TRUE(scheduler_->busy(uuid_of(1)));
  scheduler_->ended(collection);
  collection.planned = true;
  collection.ranges.resize(1);
  collection.twin_state = TwinState::unsaved;
  scheduler_->add(collection);
  EXPECT_EQ(hand_out(), Jobs{}) << "a crash would forget which twin holds the documents";
  collection.twin_state = TwinState::ready;
  scheduler_->twin_is_ready(collection);
  EXPECT_EQ(hand_out(), Jobs{"c1/0"});
}

TEST_F(CopySchedulerTest, PlansAgainWithoutCreatingATwin) {
  Collection& collection = add(1, 1);
  (void)hand_out();
  end(collection, 0, RangeState::pending);
  collection.planned = false;
  scheduler_->add(collection);
  EXPECT_EQ(hand_out(), Jobs{"prepare c1"});
  EXPECT_FALSE(prepare_.create_twin);
  EXPECT_EQ(collection.twin_state, TwinState::ready);
}

TEST_F(CopySchedulerTest, ForgetsCollectionsThatAreGone) {
  use(4);
  add(1, 1);
  Collection wanted;
  wanted.spec.uuid = uuid_of(2);
  wanted.spec.ns = {"db", "c2"};
  scheduler_->add(catalog_.add(std::move(wanted)));
  catalog_.remove(uuid_of(1));
  catalog_.remove(uuid_of(2));
  EXPECT_EQ(hand_out(), Jobs{});
}

}  // namespace
}  // namespace plm
