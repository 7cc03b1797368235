#include "engine/index_scheduler.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

class IndexSchedulerTest : public testing::Test {
 protected:
  Collection& add(std::uint8_t number, const std::vector<std::string>& indexes) {
    Collection collection;
    collection.spec.uuid = uuid_of(number);
    collection.spec.ns = {"db", "c" + std::to_string(number)};
    collection.twin_state = TwinState::ready;
    collection.ref =
        collection_ref(collection.spec.ns, uuid_of(number), uuid_of(static_cast<std::uint8_t>(number + 100)));
    collection.planned = true;
    for (const std::string& name : indexes) add_index(collection, name);
    return catalog_.add(std::move(collection));
  }
  static void add_index(Collection& collection, const std::string& name) {
    collection.indexes.push_back(
        {{json(R"({"key": {"a": 1}, "unique": true, "expireAfterSeconds": 5, "name": ")" + name + "\"}")},
         IndexState::waiting,
         {}});
  }
  std::optional<IndexJob> hand_out() {
    scheduler_.hand_out();
    return jobs_.take(signal_);
  }
  void end(const IndexJob& job, const Status& status = {}) {
    IndexesBuilt message{job.collection, {}};
    for (const IndexSpec& index : job.indexes) message.results.push_back({index.name(), status});
    scheduler_.ended(*catalog_.find(job.collection), message);
  }
  static Status server(int code) { return fail(Error{ErrorCode::server, code, {}, "why"}); }

  Catalog catalog_;
  Signal signal_;  // of a worker
  JobQueue<IndexJob> jobs_;
  IndexScheduler scheduler_{catalog_, jobs_, 2};
};

// Real ones could reject or remove documents that the source holds.
TEST_F(IndexSchedulerTest, HandsOutAllIndexesOfACollectionInTheirPlainForm) {
  Collection& collection = add(1, {"a", "b"});
  scheduler_.add(collection);
  const auto job = hand_out();
  ASSERT_TRUE(job);
  ASSERT_EQ(job->indexes.size(), 2U);
  EXPECT_FALSE(job->indexes[0].is_unique());
  EXPECT_EQ(job->indexes[0].spec["expireAfterSeconds"].as_int64(), kNeverExpires);
  EXPECT_EQ(job->twin, collection.ref->twin);
  EXPECT_EQ(collection.indexes[0].state, IndexState::building);
  EXPECT_TRUE(collection.building);
  end(*job);
  EXPECT_EQ(collection.count_indexes(IndexState::built), 2U);
  EXPECT_TRUE(collection.indexes[0].spec.is_unique()) << "the source's own form is remembered";
  EXPECT_FALSE(collection.building);
  EXPECT_EQ(scheduler_.outstanding(), 0U);
}

TEST_F(IndexSchedulerTest, WaitsForTheDataAndTheTwin) {
  Collection& collection = add(1, {"a"});
  collection.ranges_unfinished = 1;
  scheduler_.add(collection);
  EXPECT_FALSE(hand_out());
  collection.ranges_unfinished = 0;
  collection.twin_state = TwinState::unsaved;
  scheduler_.add(collection);
  EXPECT_FALSE(hand_out());
  collection.twin_state = TwinState::ready;
  scheduler_.add(collection);
  EXPECT_TRUE(hand_out());
}

TEST_F(IndexSchedulerTest, KeepsAllWorkersBusyAndNoMore) {
  for (int number = 1; number <= 3; ++number) scheduler_.add(add(static_cast<std::uint8_t>(number), {"a"}));
  const auto first = hand_out();
  EXPECT_TRUE(jobs_.take(signal_));
  EXPECT_FALSE(jobs_.take(signal_));
  EXPECT_EQ(scheduler_.outstanding(), 2U);
  end(*first);
  EXPECT_TRUE(hand_out());
}

TEST_F(IndexSchedulerTest, GivesACollectionToOneBuilderAtATime) {
  Collection& collection = add(1, {"a"});
  scheduler_.add(collection);
  const auto job = hand_out();
  add_index(collection, "b");
  scheduler_.add(collection);
  EXPECT_FALSE(hand_out());
  end(*job);
  const auto next = hand_out();
  ASSERT_TRUE(next);
  ASSERT_EQ(next->indexes.size(), 1U);
  EXPECT_EQ(next->indexes[0].name(), "b");
}

// The source may have {a: 1}, {a: 1} unique and {a: 1} sparse side by side. Their
// plain forms are the same index: the second one is made at the end.
TEST_F(IndexSchedulerTest, DefersAnIndexWhosePlainFormCollides) {
  for (const int code : {server_code::index_options_conflict, server_code::index_key_specs_conflict}) {
    Collection& collection = add(static_cast<std::uint8_t>(code), {"a"});
    scheduler_.add(collection);
    end(*hand_out(), server(code));
    EXPECT_EQ(collection.indexes[0].state, IndexState::deferred);
    EXPECT_FALSE(hand_out());
  }
}

// Documents of a transitional mix of versions may not fit an index that fits the
// source: no reason to fail, it is tried again at the end.
TEST_F(IndexSchedulerTest, RemembersWhyAnIndexFailed) {
  Collection& collection = add(1, {"a"});
  scheduler_.add(collection);
  end(*hand_out(), server(171));
  EXPECT_EQ(collection.indexes[0].state, IndexState::failed);
  EXPECT_EQ(collection.indexes[0].reason, "why");
  EXPECT_FALSE(hand_out());
}

TEST_F(IndexSchedulerTest, TriesThoseThatFailedAgainWhenAsked) {
  Collection& collection = add(1, {"a", "b"});
  scheduler_.add(collection);
  const auto job = hand_out();
  scheduler_.retry_failed(collection);  // none has failed
  end(*job, server(171));
  collection.find_index("b")->state = IndexState::built;
  (void)catalog_.take_changes();
  scheduler_.retry_failed(collection);
  EXPECT_EQ(catalog_.take_changes().collections.size(), 1U);
  const auto again = hand_out();
  ASSERT_TRUE(again);
  ASSERT_EQ(again->indexes.size(), 1U);
  EXPECT_EQ(again->indexes[0].name(), "a");
  end(*again);
  EXPECT_EQ(collection.indexes[0].state, IndexState::built);
  EXPECT_EQ(collection.indexes[0].reason, "");
}

// A change of the collection goes first, and the build comes back behind it.
TEST_F(IndexSchedulerTest, ABuildThatGaveWayWaitsAgain) {
  Collection& collection = add(1, {"a"});
  scheduler_.add(collection);
  const auto job = hand_out();
  EXPECT_FALSE(job->stop->load());
  scheduler_.stop(uuid_of(2));
  EXPECT_FALSE(job->stop->load());
  scheduler_.stop(uuid_of(1));
  EXPECT_TRUE(job->stop->load());
  end(*job, fail(ErrorCode::cancelled, "gave way"));
  EXPECT_EQ(collection.indexes[0].state, IndexState::waiting);
  const auto again = hand_out();
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->stop->load());
}

// Dropped while it was being built: the result must not bring it back.
TEST_F(IndexSchedulerTest, ForgetsIndexesAndCollectionsThatAreGone) {
  Collection& collection = add(1, {"a", "b"});
  scheduler_.add(collection);
  const auto job = hand_out();
  collection.indexes.erase(collection.indexes.begin());
  end(*job);
  ASSERT_EQ(collection.indexes.size(), 1U);
  EXPECT_EQ(collection.indexes[0].state, IndexState::built);

  scheduler_.add(add(2, {"a"}));
  catalog_.remove(uuid_of(2));
  EXPECT_FALSE(hand_out());
}

TEST_F(IndexSchedulerTest, TheResultIsSaved) {
  Collection& collection = add(1, {"a"});
  scheduler_.add(collection);
  const auto job = hand_out();
  (void)catalog_.take_changes();
  end(*job);
  EXPECT_EQ(catalog_.take_changes().collections.size(), 1U);
}

}  // namespace
}  // namespace plm
