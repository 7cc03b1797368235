// The oplog window of a job, and copying again when it was left.
#include "control/test_controller.h"

namespace plm {
namespace {

// ---- The source's oplog ------------------------------------------------------------------

class OplogTest : public ControllerTest {
 protected:
  // Notes only: nothing that the job has to do.
  void write_for_seconds(std::uint32_t seconds) {
    for (const std::uint32_t end = source_set_.now().seconds + seconds; source_set_.now().seconds < end;) {
      ASSERT_TRUE(source_.append_note("time goes on"));
    }
  }
  void lose_the_position() {
    write_for_seconds(1);
    source_set_.truncate_oplog(source_set_.now());
  }
  [[nodiscard]] bool comes_to(OplogLevel level) {
    return turn_until([&] {
      const auto oplog = controller_->status().oplog;
      return oplog && oplog->level == level;
    });
  }
  [[nodiscard]] bool warns_of(const std::string& what) const {
    return std::ranges::any_of(controller_->status().warnings,
                               [&](const std::string& warning) { return warning.find(what) != std::string::npos; });
  }
  static void expect_lost(const Status& refused) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::wrong_state);
    ASSERT_FALSE(refused.error().labels.empty());
    EXPECT_EQ(refused.error().labels.front(), "plm:position_lost");
    EXPECT_NE(refused.error().message.find("plm resume --recopy changed"), std::string::npos);
  }
};

TEST_F(OplogTest, IsWatchedWhileAPausedJobDependsOnIt) {
  EXPECT_FALSE(controller_->status().oplog);
  replicate();
  source_set_.truncate_oplog(source_set_.now());
  ASSERT_TRUE(controller_->pause());
  begin_process();
  write_for_seconds(10);
  ASSERT_TRUE(comes_to(OplogLevel::critical)) << describe();
  EXPECT_TRUE(warns_of("resume it before")) << describe();
  ASSERT_TRUE(controller_->resume({}));
  ASSERT_TRUE(comes_to(OplogLevel::fine)) << describe();
  EXPECT_FALSE(warns_of("oplog")) << describe();
  come_to_the_end();
  EXPECT_FALSE(controller_->status().oplog) << "nothing depends on it any more";
}

TEST_F(OplogTest, APausedJobWhosePositionIsLostStaysAsItIs) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  lose_the_position();
  expect_lost(controller_->resume({}));
  expect_lost(controller_->finalize({}));
  ASSERT_TRUE(comes_to(OplogLevel::lost));
  EXPECT_TRUE(warns_of("no longer in the source's oplog")) << describe();
  EXPECT_EQ(controller_->status().state, JobState::paused);
  EXPECT_EQ(saved_state(), JobState::paused);
  ASSERT_TRUE(controller_->reset());
  EXPECT_FALSE(controller_->status().oplog);
}

TEST_F(OplogTest, AJobThatFailedForItCannotBeResumed) {
  replicate();
  begin_process();
  lose_the_position();
  ASSERT_TRUE(ControllerTest::comes_to(JobState::failed));
  const std::string error = controller_->status().error;
  EXPECT_NE(error.find("plm resume --recopy changed"), std::string::npos) << error;
  expect_lost(controller_->resume({.from_failure = true}));
  EXPECT_EQ(controller_->status().state, JobState::failed);
  EXPECT_EQ(controller_->status().error, error);
}

// ---- Copying again ------------------------------------------------------------------------

class RecopyTest : public OplogTest, public testing::WithParamInterface<Recopy> {
 protected:
  // Things happen that nobody will ever read of.
  void lose_changes() {
    insert(10);
    update(3, 33);
    ASSERT_TRUE(source_set_.erase(kNs, value_of("5").value()));
    ASSERT_TRUE(source_set_.rename({"db", "d"}, {"db", "e"}));
    ASSERT_TRUE(source_set_.insert({"db", "new"}, json(R"({"_id": 1})").view()));
    lose_the_position();
  }
  [[nodiscard]] Status resume() { return controller_->resume({.recopy = GetParam()}); }
  void expect_a_good_end() {
    ASSERT_TRUE(turn_until([&] { return synchronized(); })) << describe();
    EXPECT_EQ(load_record(memory_store_)->recopy, Recopy::none);
    insert(11);
    come_to_the_end();
    EXPECT_TRUE(controller_->status().finalization->differences.empty());
    expect_the_same();
  }
};

TEST_P(RecopyTest, GoesOnFromPausedThoughThePositionIsLost) {
  replicate();
  const std::int64_t read = controller_->status().events_read;
  ASSERT_TRUE(controller_->pause());
  lose_changes();
  expect_lost(controller_->resume({}));
  ASSERT_TRUE(resume());
  EXPECT_FALSE(synchronized());
  EXPECT_FALSE(controller_->finalize()) << "not before it is copied again";
  ASSERT_TRUE(turn_until([&] { return synchronized(); })) << describe();
  EXPECT_GE(controller_->status().events_read, read);
  EXPECT_FALSE(warns_of("oplog")) << describe();
  expect_a_good_end();
}

TEST_P(RecopyTest, GoesOnFromAFailure) {
  replicate();
  begin_process();
  lose_changes();
  ASSERT_TRUE(ControllerTest::comes_to(JobState::failed));
  ASSERT_TRUE(resume());
  EXPECT_EQ(controller_->status().state, JobState::running);
  EXPECT_EQ(controller_->status().error, "");
  expect_a_good_end();
}

// Nothing was converted yet: the job runs again, its finalization is forgotten.
TEST_P(RecopyTest, GoesOnFromAFailureWhileFinalizing) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  ASSERT_TRUE(controller_->finalize());
  begin_process();
  lose_changes();
  ASSERT_TRUE(ControllerTest::comes_to(JobState::failed)) << describe();
  ASSERT_TRUE(resume());
  EXPECT_EQ(controller_->status().state, JobState::running);
  EXPECT_FALSE(controller_->status().finalization);
  expect_a_good_end();
}

TEST_P(RecopyTest, RepairsAJobWhosePositionIsKept) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  ASSERT_TRUE(target_set_.drop({"db", "d"}));
  ASSERT_TRUE(target_set_.erase(kNs, value_of("7").value()));
  ASSERT_TRUE(target_set_.insert(kNs, json(R"({"_id": "foreign"})").view()));
  ASSERT_TRUE(resume());
  ASSERT_TRUE(turn_until([&] { return synchronized(); })) << describe();
  expect_a_good_end();
}

TEST_P(RecopyTest, IsRefusedWhileTheJobRunsAndWhenThereIsNone) {
  turn();
  EXPECT_EQ(resume().error().code, ErrorCode::wrong_state);
  replicate();
  EXPECT_EQ(resume().error().code, ErrorCode::wrong_state);
  come_to_the_end();
  EXPECT_EQ(resume().error().code, ErrorCode::wrong_state);
}

// What was asked for is done by the next process, too.
TEST_P(RecopyTest, OutlivesTheProcessThatWasAskedForIt) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  lose_changes();
  ASSERT_TRUE(resume());
  EXPECT_EQ(load_record(memory_store_)->recopy, GetParam());
  begin_process();
  ASSERT_TRUE(turn_until([&] { return controller_->status().state == JobState::running; }));
  EXPECT_FALSE(synchronized()) << "what was copied is to be copied again";
  ASSERT_TRUE(turn_until([&] { return load_record(memory_store_)->recopy == Recopy::none; })) << describe();
  expect_a_good_end();
}

INSTANTIATE_TEST_SUITE_P(Ways, RecopyTest, testing::Values(Recopy::changed, Recopy::all));

// I9: behind that nothing is read from the source any more.
TEST_F(OplogTest, NothingIsCopiedAgainOnceIndexesAreMadeReal) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  JobRecord record = *load_record(memory_store_);
  record.state = JobState::failed;
  record.failed_finalizing = true;
  record.converting = true;
  const StoreChange change = change_of(record);
  controller_.reset();
  ASSERT_TRUE(memory_store_.save({&change, 1}));
  begin_process();
  ASSERT_TRUE(ControllerTest::comes_to(JobState::failed));
  const Status refused = controller_->resume({.recopy = Recopy::changed});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::wrong_state);
  EXPECT_NE(refused.error().message.find("made real"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace plm
