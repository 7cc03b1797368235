#include "engine/index_builder.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

// Builds until nobody waits any more.
class Slow final : public MemoryTarget {
 public:
  using MemoryTarget::MemoryTarget;
  std::vector<IndexResult> create_indexes(const Twin& twin, const std::vector<IndexSpec>& indexes,
                                          const Cancelled& cancelled) override {
    while (!cancelled()) during();
    return MemoryTarget::create_indexes(twin, indexes, patient ? Cancelled() : cancelled);
  }
  bool patient = false;
  std::function<void()> during;
};

class IndexBuilderTest : public testing::Test {
 protected:
  void SetUp() override {
    twin_ = {kNs, seams_.target.create(kNs, {}).value()};
    jobs_.put({uuid_of(1), twin_, {index("a"), index("b")}, stop_});
  }
  static IndexSpec index(const std::string& field) {
    return {json("{\"key\": {\"" + field + "\": 1}, \"name\": \"" + field + "\"}")};
  }
  // The report of the job; it may take a few steps.
  std::vector<IndexResult> run(IndexBuilder& builder) {
    for (int i = 0; i < 200; ++i) {
      EXPECT_TRUE(builder.step());
      seams_.clock.advance(Millis(5000));
      for (RouterMessage& message : router_.take()) return std::get<IndexesBuilt>(std::move(message)).results;
    }
    ADD_FAILURE() << "no report";
    return {};
  }

  TestSeams seams_;
  Signal signal_;
  JobQueue<IndexJob> jobs_;
  Mailbox<RouterMessage> router_{signal_};
  IndexBuilder builder_{seams_.target, seams_.clock, jobs_, router_, seams_.progress, 1};
  std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
  Twin twin_;
};

TEST_F(IndexBuilderTest, BuildsTheIndexesOfAJob) {
  const auto results = run(builder_);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_TRUE(results[0].status);
  EXPECT_TRUE(results[1].status);
  EXPECT_EQ(seams_.target_set.find(kNs)->indexes.size(), 2U);
  EXPECT_EQ(builder_.step().value(), Step::waiting);
}

TEST_F(IndexBuilderTest, OneIndexThatFailsLeavesTheOthers) {
  ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"key": {"other": 1}, "name": "a"})")}}));
  const auto results = run(builder_);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].status.error().server_code, server_code::index_key_specs_conflict);
  EXPECT_TRUE(results[1].status);
}

// A change of the collection goes first: it is refused while a build runs.
TEST_F(IndexBuilderTest, GivesWayBeforeItBegins) {
  stop_->store(true);
  const auto results = run(builder_);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].status.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(seams_.target_set.find(kNs)->indexes.empty());
}

// While it waits to try again nothing is under way: whoever waits for the
// collection must not wait for the pause, or for ever.
TEST_F(IndexBuilderTest, GivesWayBetweenTwoTries) {
  FaultPlan failing(seams_.random, {.before = 1});
  MemoryTarget target(seams_.target_set, failing);
  IndexBuilder builder(target, seams_.clock, jobs_, router_, seams_.progress, 1);
  EXPECT_EQ(builder.step().value(), Step::waiting);
  EXPECT_TRUE(router_.take().empty());
  stop_->store(true);
  EXPECT_EQ(builder.step().value(), Step::worked);
  EXPECT_EQ(router_.take().size(), 1U);
}

TEST_F(IndexBuilderTest, RetriesOnlyWhatIsNotYetBuilt) {
  FaultPlan faults(seams_.random, {.before = 0.3, .after = 0.3});
  MemoryTarget target(seams_.target_set, faults);
  IndexBuilder builder(target, seams_.clock, jobs_, router_, seams_.progress, 1);
  const auto results = run(builder);
  ASSERT_EQ(results.size(), 2U);
  for (const IndexResult& result : results) EXPECT_TRUE(result.status);
  EXPECT_EQ(seams_.target_set.find(kNs)->indexes.size(), 2U);
}

// A server that builds for hours does not hold up the end of the engine.
TEST_F(IndexBuilderTest, DoesNotWaitForABuildWhenTheEngineEnds) {
  Slow target(seams_.target_set, seams_.faults);
  IndexBuilder builder(target, seams_.clock, jobs_, router_, seams_.progress, 1);
  target.during = [&] { builder.stop(); };
  EXPECT_TRUE(builder.step());
  EXPECT_EQ(builder.step().value(), Step::waiting);
  EXPECT_TRUE(seams_.target_set.find(kNs)->indexes.empty());
}

// The one who wants the way drops the indexes by name: which of them were there
// before and which after, nobody knows.
TEST_F(IndexBuilderTest, WhatIsFinishedWhenItShouldGiveWayDoesNotCount) {
  Slow target(seams_.target_set, seams_.faults);
  target.patient = true;
  target.during = [&] { stop_->store(true); };
  IndexBuilder builder(target, seams_.clock, jobs_, router_, seams_.progress, 1);
  const auto results = run(builder);
  ASSERT_EQ(results.size(), 2U);
  for (const IndexResult& result : results) EXPECT_EQ(result.status.error().code, ErrorCode::cancelled);
}

TEST_F(IndexBuilderTest, DoesNotWaitForABuildThatGivesWay) {
  Slow target(seams_.target_set, seams_.faults);
  target.during = [&] { stop_->store(true); };
  IndexBuilder builder(target, seams_.clock, jobs_, router_, seams_.progress, 1);
  const auto results = run(builder);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].status.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace plm
