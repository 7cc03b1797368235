// How jobs come to their end.
#include "control/test_controller.h"

namespace plm {
namespace {

// ---- Finalize while the source is written ---------------------------------------------------------

// Each update is answered by reading the document, which is newer than F then.
TEST_F(ControllerTest, FinalizeEndsThoughDocumentsWereReadBehindF) {
  target_.set_apply_mode(ApplyMode::portable);
  replicate();
  int writes = 300;
  each_turn_ = [&] {
    if (writes-- > 0) update(writes % 10, 10'000 + writes);
  };
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  each_turn_ = {};
  if (writes > 0) return;  // F lies before the last write
  expect_the_same();
}

// The one write that stops the stream behind F.
TEST_F(ControllerTest, FinalizeEndsThoughTheSourceWritesOnceMoreAfterAReadBehindF) {
  // As soon as F is fixed the source goes on: the reads for the updates are newer.
  finalize_behind_updates();
  int writes = 3;
  each_turn_ = [&] {
    const bool engine_reads = controller_->status().events_applied > 0;
    if (engine_reads && writes-- > 0) insert(100 + writes);
  };
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
}

// An index that is made while F moves belongs to the target when the stream has
// brought it; the listing must not be older than F.
TEST_F(ControllerTest, AnIndexMadeWhileFMovesIsNotLost) {
  finalize_behind_updates();
  int turns = 0;
  each_turn_ = [&] {
    if (++turns > 40) return;
    const std::string field = "f" + std::to_string(turns);
    ASSERT_TRUE(source_set_.create_indexes(
        kNs, {{json("{\"v\": 2, \"key\": {\"" + field + "\": 1}, \"name\": \"" + field + "\"}")}}));
    update(turns % 10, 600 + turns);
  };
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  each_turn_ = {};
  const std::size_t arrived = target_set_.find(kNs)->documents.size();
  EXPECT_EQ(arrived, 10U);
  EXPECT_TRUE(controller_->status().finalization->unsuccessful_indexes.empty());
  // Without a gap: the target has what the source had at one moment.
  const auto& indexes = target_set_.find(kNs)->indexes;
  const auto has = [&](int n) {
    return std::ranges::find(indexes, "f" + std::to_string(n), &IndexSpec::name) != indexes.end();
  };
  int last = 0;
  while (last < 40 && has(last + 1)) ++last;
  for (int n = last + 2; n <= 40; ++n) EXPECT_FALSE(has(n)) << n;
  EXPECT_EQ(indexes.size(), 2U + static_cast<std::size_t>(last));
}

TEST_F(ControllerTest, AnIndexThatTheSourceIsStillBuildingIsReportedAsIncomplete) {
  replicate();
  source_set_.find(kNs)->unfinished_indexes = {{json(R"({"v": 2, "key": {"s": 1}, "name": "slow"})")}};
  come_to_the_end();
  const std::vector<UnsuccessfulIndex> report = controller_->status().finalization->unsuccessful_indexes;
  ASSERT_EQ(report.size(), 1U);
  EXPECT_EQ(report[0].kind, UnsuccessfulIndex::Kind::incomplete);
  EXPECT_EQ(report[0].ns, "db.c");
  EXPECT_EQ(report[0].name, "slow");
  EXPECT_EQ(report[0].keys.view().json(), text_of(R"({"s": 1})"));
}

TEST_F(ControllerTest, TheReportCountsWhatItHasNoRoomFor) {
  replicate();
  for (int n = 0; n < 4100; ++n) {
    const std::string name = "slow" + std::to_string(n);
    source_set_.find(kNs)->unfinished_indexes.push_back(
        {json("{\"v\": 2, \"key\": {\"s\": 1}, \"name\": \"" + name + "\"}")});
  }
  come_to_the_end();
  const StatusReport::Finalization report = *controller_->status().finalization;
  EXPECT_EQ(report.unsuccessful_indexes.size(), 4000U);
  ASSERT_FALSE(report.differences.empty());
  EXPECT_EQ(report.differences.back(), "and 100 more indexes");
}

// ---- Documents that the target refuses ---------------------------------------------------------------

class ParkedTest : public ControllerTest {
 protected:
  // An index of the target alone refuses a document.
  void park_one() {
    replicate();
    ASSERT_TRUE(target_set_.create_indexes(kNs, {obstacle_}));
    ASSERT_TRUE(source_set_.insert(kNs, json(R"({"_id": 77, "u": 77, "x": [1], "y": [1]})").view()));
    ASSERT_TRUE(turn_until([&] { return controller_->status().parked.count == 1; }));
  }

  IndexSpec obstacle_{json(R"({"v": 2, "key": {"x": 1, "y": 1}, "name": "x_1_y_1"})")};
};

TEST_F(ParkedTest, FinalizeIsRefusedUntilTheyCanBeWritten) {
  park_one();
  const Status refused = controller_->finalize();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::wrong_state);
  EXPECT_NE(refused.error().message.find("77"), std::string::npos) << refused.error().message;
  EXPECT_EQ(controller_->status().state, JobState::running);
  ASSERT_TRUE(target_set_.drop_index(kNs, obstacle_.name()));
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  expect_the_same();
}

TEST_F(ParkedTest, FinalizeGoesOnWithoutThemWhenTheyAreWaived) {
  park_one();
  EXPECT_FALSE(controller_->finalize());
  ASSERT_TRUE(controller_->finalize({.waive_parked = true}));
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  const StatusReport::Finalization report = *controller_->status().finalization;
  EXPECT_EQ(report.waived_count, 1);
  ASSERT_EQ(report.waived.size(), 1U);
  EXPECT_EQ(report.waived[0].ns, "db.c");
  EXPECT_EQ(report.waived[0].id.value().as_int64(), 77);
  EXPECT_NE(report.waived[0].reason, "");
}

// Nothing is waived that can be written after all.
TEST_F(ParkedTest, WhatCanBeWrittenIsNotWaived) {
  park_one();
  ASSERT_TRUE(target_set_.drop_index(kNs, obstacle_.name()));
  ASSERT_TRUE(controller_->finalize({.waive_parked = true}));
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_EQ(controller_->status().finalization->waived_count, 0);
  expect_the_same();
}

TEST_F(ParkedTest, AFinalizeThatFailedForThemGoesOnWhenTheyAreWaived) {
  park_one();
  ASSERT_TRUE(controller_->pause());
  begin_process();
  ASSERT_TRUE(turn_until([&] { return controller_->status().parked.count == 1; }));
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::failed)) << describe();
  EXPECT_FALSE(controller_->finalize());
  ASSERT_TRUE(controller_->finalize({.waive_parked = true}));
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_EQ(controller_->status().finalization->waived_count, 1);
  EXPECT_EQ(controller_->status().error, "");
}

// In a process without an engine it is found out on the way; the resume tries again.
TEST_F(ParkedTest, AResumeFromFailureTriesThemAgain) {
  park_one();
  ASSERT_TRUE(controller_->pause());
  begin_process();
  ASSERT_TRUE(turn_until([&] { return controller_->status().parked.count == 1; }));
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::failed)) << describe();
  EXPECT_NE(controller_->status().error.find("77"), std::string::npos);
  ASSERT_TRUE(controller_->resume({.from_failure = true}));
  ASSERT_TRUE(comes_to(JobState::failed)) << "the obstacle is still there";
  ASSERT_TRUE(target_set_.drop_index(kNs, obstacle_.name()));
  ASSERT_TRUE(controller_->resume({.from_failure = true}));
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  expect_the_same();
}

// ---- Indexes that the target refuses -----------------------------------------------------------------

class RefusedIndexTest : public ControllerTest {
 protected:
  // A document of the target alone stands in the way.
  void refuse_one() {
    replicate();
    ASSERT_TRUE(target_set_.insert(kNs, json(R"({"_id": "foreign", "u": 77, "x": [1], "y": [1]})").view()));
    ASSERT_TRUE(source_set_.create_indexes(kNs, {{json(R"({"v": 2, "key": {"x": 1, "y": 1}, "name": "x_1_y_1"})")}}));
    ASSERT_TRUE(turn_until([&] { return controller_->status().initial_sync.indexes_failed.size() == 1; }));
  }
  void mend() { ASSERT_TRUE(target_set_.erase(kNs, json(R"({"_id": "foreign"})")["_id"])); }
};

TEST_F(RefusedIndexTest, FinalizeIsRefusedUntilTheyCanBeBuilt) {
  refuse_one();
  const Status refused = controller_->finalize();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::wrong_state);
  EXPECT_NE(refused.error().message.find("db.c x_1_y_1: "), std::string::npos) << refused.error().message;
  EXPECT_EQ(controller_->status().state, JobState::running);
  mend();
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_TRUE(controller_->status().finalization->unsuccessful_indexes.empty());
  expect_the_same();
}

TEST_F(RefusedIndexTest, FinalizeGoesOnWithoutThemWhenTheyAreWaived) {
  refuse_one();
  ASSERT_TRUE(controller_->finalize({.waive_parked = true}));
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  const StatusReport::Finalization report = *controller_->status().finalization;
  ASSERT_EQ(report.unsuccessful_indexes.size(), 1U);
  EXPECT_EQ(report.unsuccessful_indexes[0].name, "x_1_y_1");
  EXPECT_EQ(report.waived_count, 0);
}

// In a process without an engine it is found out on the way.
TEST_F(RefusedIndexTest, AFinalizeThatFailedForThemGoesOnWhenTheyCanBeBuilt) {
  refuse_one();
  ASSERT_TRUE(controller_->pause());
  begin_process();
  ASSERT_TRUE(turn_until([&] { return controller_->status().initial_sync.indexes_failed.size() == 1; }));
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::failed)) << describe();
  EXPECT_NE(controller_->status().error.find("x_1_y_1"), std::string::npos);
  mend();
  ASSERT_TRUE(controller_->resume({.from_failure = true}));
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  expect_the_same();
}

// ---- What is told of it ----------------------------------------------------------------

TEST_F(ControllerTest, TellsHowManyCollectionsAreMadeRealAndCompared) {
  replicate();
  const auto total = static_cast<std::int64_t>(source_set_.collections().size());
  ASSERT_GT(total, 1);
  ASSERT_TRUE(controller_->finalize());
  std::vector<std::int64_t> seen;
  each_turn_ = [&] {
    const StatusReport report = controller_->status();
    if (report.state != JobState::finalizing || report.finalization->collections_total == 0) return;
    EXPECT_EQ(report.finalization->collections_total, total);
    if (seen.empty() || seen.back() != report.finalization->collections_done) {
      seen.push_back(report.finalization->collections_done);
    }
  };
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(seen.back(), total);
  EXPECT_EQ(controller_->status().finalization->collections_total, 0);
}

// What was found out before the first index became real is not forgotten by the
// process that goes on.
TEST_F(ControllerTest, DifferencesThatAreKnownBeforeTheConversionOutliveACrash) {
  replicate();
  ASSERT_TRUE(source_set_.create({"db", "late"}, {}));
  source_set_.find(kNs)->unfinished_indexes = {{json(R"({"v": 2, "key": {"s": 1}, "name": "slow"})")}};
  store_.arm(of_record(JobState::finalizing, true), Trouble::crashes_after, 1);
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_TRUE(store_.happened());
  const StatusReport report = controller_->status();
  ASSERT_EQ(report.finalization->unsuccessful_indexes.size(), 1U);
  EXPECT_EQ(report.finalization->unsuccessful_indexes[0].kind, UnsuccessfulIndex::Kind::incomplete);
}

}  // namespace
}  // namespace plm
