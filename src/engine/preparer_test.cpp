#include "engine/preparer.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"
#include "engine/working_name.h"

namespace plm {
namespace {

class PreparerTest : public testing::Test {
 protected:
  void create_source(int documents, std::string_view options = "{}") {
    source_uuid_ = seams_.source_set.create(kNs, json(options).view()).value();
    for (int i = 0; i < documents; ++i) {
      ASSERT_TRUE(seams_.source_set.insert(kNs, json("{\"_id\": " + std::to_string(i) + ", \"a\": 1}").view()));
    }
  }
  [[nodiscard]] PrepareJob job(std::int64_t range_bytes) {
    return job(seams_.source_set.find(kNs)->spec(), range_bytes);
  }
  [[nodiscard]] PrepareJob job(CollectionSpec spec, std::int64_t range_bytes) const {
    PrepareJob out;
    out.spec = std::move(spec);
    out.create_twin = true;
    out.range_bytes = range_bytes;
    out.small_weight = 1'000'000;
    out.stop = stop_;
    return out;
  }
  // What comes of a job.
  Prepared run(PrepareJob job) {
    jobs_.put(std::move(job));
    for (int i = 0; i < 100; ++i) {
      const auto step = preparer_.step();
      EXPECT_TRUE(step) << (step ? "" : step.error().message);
      seams_.clock.advance(Millis(5000));
      for (RouterMessage& message : router_.take()) return std::get<Prepared>(std::move(message));
    }
    ADD_FAILURE() << "no message";
    return {};
  }

  TestSeams seams_;
  Signal signal_;
  JobQueue<PrepareJob> jobs_;
  Mailbox<RouterMessage> router_{signal_};
  Preparer preparer_{{seams_.source, seams_.target, seams_.clock, jobs_, router_, seams_.progress}, 1};
  Uuid source_uuid_;
  std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
};

TEST_F(PreparerTest, PreparesACollection) {
  create_source(40, R"({"validator": {"a": 1}})");
  const auto out = run(job(200));
  EXPECT_EQ(out.collection, source_uuid_);
  EXPECT_EQ(out.twin, (Twin{kNs, seams_.target_set.find(kNs)->uuid}));
  EXPECT_EQ(out.estimate.documents, 40);
  EXPECT_GT(out.ranges.size(), 2U);
  EXPECT_TRUE(seams_.target_set.find(kNs)->options["validator"].exists());
}

TEST_F(PreparerTest, LeavesATwinThatIsThereAlone) {
  create_source(4);
  PrepareJob planning = job(1'000'000);
  planning.create_twin = false;
  planning.twin = {kNs, uuid_of(5)};
  const auto out = run(planning);
  EXPECT_EQ(out.twin.uuid, uuid_of(5));
  EXPECT_EQ(out.ranges.size(), 1U);
  EXPECT_EQ(seams_.target_set.find(kNs), nullptr);
}

// The stream will tell of its end; until then it is prepared like any other.
TEST_F(PreparerTest, PreparesACollectionThatIsGone) {
  create_source(4);
  const CollectionSpec spec = seams_.source_set.find(kNs)->spec();
  ASSERT_TRUE(seams_.source_set.drop(kNs));
  EXPECT_EQ(run(job(spec, 200)).ranges.size(), 1U);
}

// A view may have taken the name meanwhile: it has no statistics.
TEST_F(PreparerTest, PreparesACollectionWhoseNameIsAViewNow) {
  create_source(4);
  const CollectionSpec spec = seams_.source_set.find(kNs)->spec();
  ASSERT_TRUE(seams_.source_set.drop(kNs));
  ASSERT_TRUE(seams_.source_set.create(kNs, json(R"({"viewOn": "x", "pipeline": []})").view()));
  EXPECT_EQ(run(job(spec, 200)).ranges.size(), 1U);
}

// A pause must not wait for a source that does not answer.
TEST_F(PreparerTest, StopsPreparingBetweenAttempts) {
  create_source(4);
  stop_->store(true);
  const auto out = run(job(200));
  EXPECT_TRUE(out.stopped);
  EXPECT_TRUE(out.twin.uuid.is_nil());
  EXPECT_EQ(seams_.target_set.find(kNs), nullptr);
}

TEST_F(PreparerTest, TakesAnEmptyCollectionOfTheNameForALostAttempt) {
  create_source(1);
  const Uuid leftover = seams_.target.create(kNs, {}).value();
  const auto out = run(job(1000));
  EXPECT_NE(out.twin.uuid, leftover);
  EXPECT_EQ(out.twin, (Twin{kNs, seams_.target_set.find(kNs)->uuid}));
}

// A collection with documents was created by somebody else: to adopt it would mix
// its documents with the source's, to drop it would lose them.
TEST_F(PreparerTest, NeverTakesACollectionWithDocumentsForItsOwn) {
  create_source(1);
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": "theirs"})").view()));
  jobs_.put(job(1000));
  const auto step = preparer_.step();
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, ErrorCode::wrong_state);
  EXPECT_NE(step.error().message.find("db.c"), std::string::npos);
  EXPECT_EQ(seams_.target_set.find(kNs)->documents.size(), 1U);
}

TEST_F(PreparerTest, NeverTakesAViewForItsOwn) {
  create_source(1);
  ASSERT_TRUE(seams_.target_set.create(kNs, json(R"({"viewOn": "x", "pipeline": []})").view()));
  jobs_.put(job(1000));
  EXPECT_EQ(preparer_.step().error().code, ErrorCode::wrong_state);
  EXPECT_NE(seams_.target_set.find(kNs), nullptr);
}

// ---- Indexes -----------------------------------------------------------------------

TEST_F(PreparerTest, MakesTheIndexesOfASmallCollection) {
  create_source(2);
  PrepareJob small = job(200);
  small.indexes = {{json(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})")},
                   {json(R"({"v": 2, "key": {"b": 1}, "name": "b_1"})")}};
  small.small_weight = 2000;
  const Prepared out = run(small);
  ASSERT_EQ(out.indexes.size(), 2U);
  EXPECT_TRUE(out.indexes[0].status);
  EXPECT_EQ(seams_.target_set.find(kNs)->indexes.size(), 2U);
}

TEST_F(PreparerTest, LeavesTheIndexesOfALargeCollectionForLater) {
  create_source(40);
  PrepareJob large = job(200);
  large.indexes = {{json(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})")}};
  large.small_weight = 2000;
  const Prepared out = run(large);
  EXPECT_TRUE(out.indexes.empty());
  EXPECT_TRUE(seams_.target_set.find(out.twin.ns)->indexes.empty());
}

TEST_F(PreparerTest, ALargeCollectionGetsAWorkingName) {
  create_source(40);
  PrepareJob large = job(200);
  large.small_weight = 2000;
  const Namespace name = first_working_name(large.spec);
  const Prepared out = run(large);
  EXPECT_EQ(out.twin, (Twin{name, seams_.target_set.find(name)->uuid}));
  EXPECT_EQ(seams_.target_set.find(kNs), nullptr);
}

TEST_F(PreparerTest, ALargeCappedCollectionGetsNone) {
  create_source(40, R"({"capped": true, "size": 100000})");
  PrepareJob large = job(200);
  large.small_weight = 2000;
  EXPECT_EQ(run(large).twin.ns, kNs);
}

}  // namespace
}  // namespace plm
