// The life of a job: its states, requests, restarts, a second process.
#include "control/test_controller.h"

namespace plm {
namespace {

// ---- Two processes ---------------------------------------------------------------------

class TwoProcesses : public ControllerTest {
 protected:
  TwoProcesses() { others_are_gone_ = false; }
  // A second plm for the same servers.
  std::unique_ptr<Controller> second_process() {
    Controller::Settings settings = settings_;
    settings.drive = Drive::by_hand;
    settings.self.owner = {"second", "elsewhere", "other machine", 4711};
    return std::make_unique<Controller>(Controller::Parts{source_, target_, second_store_, clock_}, settings);
  }
  MemoryStateStore second_store_ = memory_store_.of_another_process();
};

TEST_F(TwoProcesses, TheSecondStandsByAndRefusesRequests) {
  replicate();
  const auto second = second_process();
  for (int i = 0; i < 20; ++i) second->turn();
  EXPECT_EQ(second->status().state_name(), "standby");
  EXPECT_EQ(second->status().standby_for, "host (process 1)");
  EXPECT_TRUE(second->status().state_problem.empty());
  for (const Status& refused : {second->start({}), second->pause(), second->resume({.from_failure = true}),
                                second->finalize(), second->reset()}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::superseded);
    EXPECT_NE(refused.error().message.find("host (process 1)"), std::string::npos);
  }
  EXPECT_EQ(controller_->status().state_name(), "running");
}

// Rights that were taken away while no plm ran: no engine comes to be, and none tells.
TEST_F(ControllerTest, AJobThatCannotGoOnIsNeverCalledHealthy) {
  class Refusing final : public MemorySource {
   public:
    using MemorySource::MemorySource;
    Result<ClusterTime> append_note(const std::string& text) override {
      if (!refuses) return MemorySource::append_note(text);
      return fail(server_error(server_code::unauthorized, "not authorized"));
    }
    bool refuses = true;
  };
  replicate();
  Refusing source(source_set_, faults_);
  begin_process(source);
  ASSERT_TRUE(turn_until([&] { return !controller_->status().stall.empty(); }));
  EXPECT_EQ(controller_->status().state, JobState::running);
  EXPECT_THAT(controller_->status().stall, testing::HasSubstr("not authorized"));
  source.refuses = false;
  insert(100);
  ASSERT_TRUE(turn_until([&] { return controller_->status().stall.empty() && synchronized(); }));
  come_to_the_end();
  expect_the_same();
}

TEST_F(TwoProcesses, TheSecondGoesOnWhenTheFirstFallsSilent) {
  replicate();
  const auto second = second_process();
  insert(20);
  ASSERT_FALSE(second->start({}));
  clock_.advance(kLeaseTime + Millis(2000));
  for (int i = 0; i < 5000 && second->status().state_name() != "running"; ++i) second->turn();
  ASSERT_EQ(second->status().state, JobState::running);
  // The first one wakes up, has changes to apply and a request to serve, and notices.
  insert(21);
  EXPECT_FALSE(controller_->pause());
  clock_.advance(kRenewInterval);
  turn();
  EXPECT_EQ(controller_->status().state_name(), "standby");
  EXPECT_EQ(saved_state(), JobState::running);
  for (int i = 0; i < 5000 && target_set_.find(kNs)->documents.size() < 12; ++i) second->turn();
  EXPECT_EQ(target_set_.find(kNs)->documents.size(), 12U);
  EXPECT_EQ(controller_->status().error, "");
}

// Frozen between the creation of a collection and the look at its UUID, for so
// long that another one took over and removed what was not saved.
TEST_F(TwoProcesses, WhatAnotherOneDoesIsNoFailureOfTheJob) {
  replicate();
  target_.instead_of_the_next_create([&]() -> Result<Uuid> {
    EXPECT_TRUE(second_store_.take_lease({"second", "elsewhere", "other machine", 4711}, 1));
    return fail(ErrorCode::not_found, "db.later does not exist");
  });
  std::set<JobState> said;  // while a save is under way
  const auto look = [&](std::span<const StoreChange>) {
    said.insert(controller_->status().state);
    return false;
  };
  store_.arm(look, Trouble::fails_before, 1);
  ASSERT_TRUE(source_set_.create({"db", "later"}, {}));
  for (int i = 0; i < 5000 && controller_->status().state_name() != "standby"; ++i) turn();
  EXPECT_EQ(controller_->status().state_name(), "standby");
  EXPECT_EQ(said, std::set{JobState::running});
  EXPECT_EQ(saved_state(), JobState::running);
}

TEST_F(TwoProcesses, AFreshProcessThatShouldForgetTheStateDoesNotForgetAnothersJob) {
  replicate();
  settings_.reset_state = true;
  const auto second = second_process();
  second->turn();
  clock_.advance(kRenewInterval);
  turn();  // the first one lives
  second->turn();
  clock_.advance(kLeaseTime + Millis(2000));
  for (int i = 0; i < 5000 && second->status().state_name() != "running"; ++i) second->turn();
  EXPECT_EQ(second->status().state, JobState::running);
}

// ---- The plain way ---------------------------------------------------------------------

TEST_F(ControllerTest, ReplicatesAndFinalizes) {
  replicate();
  EXPECT_EQ(controller_->status().state, JobState::running);
  EXPECT_EQ(controller_->status().mode, ApplyMode::exact);
  insert(10);
  update(3, 33);
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  expect_the_same();
  const StatusReport report = controller_->status();
  ASSERT_TRUE(report.finalization);
  EXPECT_TRUE(report.finalization->completed);
  EXPECT_TRUE(report.finalization->completed_at);
  EXPECT_TRUE(report.finalization->differences.empty());
  EXPECT_TRUE(report.finalization->unsuccessful_indexes.empty());
  EXPECT_EQ(saved_state(), JobState::finalized);
}

TEST_F(ControllerTest, APauseHoldsEverythingUntilTheResume) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  EXPECT_EQ(saved_state(), JobState::paused);
  insert(10);
  for (int i = 0; i < 200; ++i) turn();
  EXPECT_EQ(target_set_.find(kNs)->documents.size(), 10U);
  ASSERT_TRUE(controller_->resume({}));
  EXPECT_TRUE(turn_until([&] { return target_set_.find(kNs)->documents.size() == 11; }));
  ASSERT_TRUE(controller_->pause());
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized));
  expect_the_same();
}

TEST_F(ControllerTest, PausesByItselfAfterTheInitialSync) {
  JobOptions options;
  options.pause_on_initial_sync = true;
  ASSERT_TRUE(controller_->start(options));
  ASSERT_TRUE(comes_to(JobState::paused));
  EXPECT_TRUE(synchronized());
  ASSERT_TRUE(controller_->resume({}));
  for (int i = 0; i < 200; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::running);
}

TEST_F(ControllerTest, RefusesWhatTheStateForbids) {
  const auto refuses = [&](const std::string& what, const Status& answer) {
    ASSERT_FALSE(answer) << what;
    EXPECT_EQ(answer.error().code, ErrorCode::wrong_state) << what;
    EXPECT_NE(answer.error().message.find(name_of(controller_->status().state)), std::string::npos)
        << what << ": " << answer.error().message;
  };
  turn();
  refuses("pause", controller_->pause());
  refuses("resume", controller_->resume({}));
  refuses("resume from failure", controller_->resume({.from_failure = true}));
  refuses("finalize", controller_->finalize());
  EXPECT_TRUE(controller_->reset()) << "nothing to forget";

  ASSERT_TRUE(controller_->start({}));
  refuses("start", controller_->start({}));
  refuses("resume", controller_->resume({.from_failure = true}));
  refuses("reset", controller_->reset());
  const Status early = controller_->finalize();
  ASSERT_FALSE(early);
  EXPECT_NE(early.error().message.find("initial sync"), std::string::npos);
  ASSERT_TRUE(turn_until([&] { return synchronized(); }));

  ASSERT_TRUE(controller_->pause());
  refuses("start", controller_->start({}));
  refuses("pause", controller_->pause());

  ASSERT_TRUE(controller_->finalize());
  refuses("start", controller_->start({}));
  refuses("pause", controller_->pause());
  refuses("resume", controller_->resume({.from_failure = true}));
  refuses("finalize", controller_->finalize());
  refuses("reset", controller_->reset());
  ASSERT_TRUE(comes_to(JobState::finalized));

  refuses("pause", controller_->pause());
  refuses("resume", controller_->resume({.from_failure = true}));
  refuses("finalize", controller_->finalize());
  EXPECT_EQ(controller_->status().state, JobState::finalized);
}

TEST_F(ControllerTest, AStartOverForeignDataIsRefusedAndForgotten) {
  ASSERT_TRUE(target_set_.insert(kNs, json(R"({"_id": "foreign"})").view()));
  const Status started = controller_->start({});
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("db.c"), std::string::npos);
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::idle);
  EXPECT_EQ(target_set_.find(kNs)->documents.size(), 1U);
  JobOptions options;
  options.replace_target = true;
  ASSERT_TRUE(controller_->start(options));
  come_to_the_end();
  expect_the_same();
}

TEST_F(ControllerTest, ResetForgetsTheJobAndKeepsTheData) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  ASSERT_TRUE(controller_->reset());
  EXPECT_EQ(controller_->status().state, JobState::idle);
  EXPECT_EQ(controller_->status().events_read, 0);
  begin_process();
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::idle);
  EXPECT_EQ(target_set_.find(kNs)->documents.size(), 10U);
  EXPECT_FALSE(controller_->start({})) << "the target is not empty";
}

// The second job asks the target anew what it allows.
TEST_F(ControllerTest, EachJobFindsOutWhatTheTargetAllows) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  ASSERT_TRUE(controller_->reset());
  target_.set_apply_mode(ApplyMode::portable);
  JobOptions options;
  options.replace_target = true;
  ASSERT_TRUE(controller_->start(options));
  ASSERT_TRUE(turn_until([&] { return synchronized(); }));
  EXPECT_EQ(controller_->status().mode, ApplyMode::portable);
}

// ---- Restarts ----------------------------------------------------------------------------

TEST_F(ControllerTest, ARunningJobGoesOnByItself) {
  ASSERT_TRUE(controller_->start({}));
  for (int i = 0; i < 30; ++i) turn();
  begin_process();
  EXPECT_TRUE(turn_until([&] { return synchronized(); }));
  insert(10);
  EXPECT_TRUE(turn_until([&] { return target_set_.find(kNs)->documents.size() == 11; }));
}

TEST_F(ControllerTest, APausedJobStaysPaused) {
  replicate();
  ASSERT_TRUE(controller_->pause());
  begin_process();
  insert(10);
  for (int i = 0; i < 200; ++i) turn();
  const StatusReport report = controller_->status();
  EXPECT_EQ(report.state, JobState::paused);
  EXPECT_TRUE(report.initial_sync.completed);
  EXPECT_EQ(report.initial_sync.cloned_documents, 11);
  EXPECT_EQ(target_set_.find(kNs)->documents.size(), 10U);
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized));
  expect_the_same();
}

TEST_F(ControllerTest, AFinalizedJobStaysSoWithItsReport) {
  replicate();
  ASSERT_TRUE(target_set_.insert(kNs, json(R"({"_id": "foreign", "u": 3})").view()));
  come_to_the_end();
  const StatusReport before = controller_->status();
  begin_process();
  for (int i = 0; i < 50; ++i) turn();
  const StatusReport after = controller_->status();
  EXPECT_EQ(after.state, JobState::finalized);
  ASSERT_TRUE(after.finalization);
  EXPECT_TRUE(after.finalization->completed);
  EXPECT_EQ(after.finalization->completed_at, before.finalization->completed_at);
  EXPECT_EQ(after.finalization->differences, before.finalization->differences);
  ASSERT_EQ(after.finalization->unsuccessful_indexes.size(), 1U);
  EXPECT_EQ(after.finalization->unsuccessful_indexes[0].name, "u_1");
}

TEST_F(ControllerTest, AFailedJobTellsWhyAlsoInTheNextProcess) {
  replicate();
  begin_process();
  insert(10);
  insert(11);
  source_set_.truncate_oplog(source_set_.now());
  ASSERT_TRUE(comes_to(JobState::failed));
  EXPECT_EQ(saved_state(), JobState::failed);
  const std::string error = controller_->status().error;
  EXPECT_NE(error, "");
  const Status refused = controller_->resume({});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(error), std::string::npos);
  begin_process();
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::failed);
  EXPECT_EQ(controller_->status().error, error);
  ASSERT_TRUE(controller_->reset());
  EXPECT_EQ(controller_->status().error, "");
}

// Somebody gave another source when the process was started again: its positions
// and UUIDs mean nothing there.
TEST_F(ControllerTest, AJobDoesNotGoOnFromAnotherSource) {
  MemoryDeployment other_set{{.set_name = "third", .seed = 3}};
  MemorySource other(other_set, faults_);
  replicate();
  ASSERT_TRUE(controller_->pause());
  begin_process(other);
  ASSERT_TRUE(turn_until([&] { return controller_->status().state == JobState::paused; }));
  const Status refused = controller_->resume({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::wrong_state);
  EXPECT_NE(refused.error().message.find("another replica set, third"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(controller_->finalize());
  begin_process();
  ASSERT_TRUE(turn_until([&] { return controller_->status().state == JobState::paused; }));
  ASSERT_TRUE(controller_->resume({}));
  begin_process(other);
  ASSERT_TRUE(comes_to(JobState::failed)) << "it would have gone on by itself";
  begin_process();
  ASSERT_TRUE(turn_until([&] { return controller_->status().state == JobState::failed; }));
  ASSERT_TRUE(controller_->resume({.from_failure = true}));
  come_to_the_end();
}

TEST_F(ControllerTest, CountersDoNotGoBackWhenAnEngineBeginsAtAnOlderSave) {
  replicate();
  for (int i = 10; i < 60; ++i) insert(i);
  ASSERT_TRUE(turn_until([&] { return target_set_.find(kNs)->documents.size() == 60; }));
  target_.refuse_the_next_apply();  // which ends the engine without a last save
  insert(60);
  ASSERT_TRUE(comes_to(JobState::failed)) << describe();
  const StatusReport before = controller_->status();
  EXPECT_GE(before.events_read, 50);
  const auto saved = load_job(store_);
  ASSERT_TRUE(saved);
  ASSERT_LT((*saved)->position.events_applied, before.events_applied) << "it is not older";
  each_turn_ = [&] {
    const StatusReport now = controller_->status();
    EXPECT_GE(now.events_read, before.events_read);
    EXPECT_GE(now.events_applied, before.events_applied);
    EXPECT_GE(now.initial_sync.cloned_bytes, before.initial_sync.cloned_bytes);
    EXPECT_GE(now.initial_sync.cloned_documents, before.initial_sync.cloned_documents);
    EXPECT_GE(now.retries, before.retries);
  };
  ASSERT_TRUE(controller_->resume({.from_failure = true}));
  ASSERT_TRUE(turn_until([&] { return target_set_.find(kNs)->documents.size() == 61; }));
}

TEST_F(ControllerTest, WarningsStayWithTheJob) {
  ASSERT_TRUE(source_set_.create({"db", "capped"}, json(R"({"capped": true, "size": 4096})").view()));
  replicate();
  const std::vector<std::string> before = controller_->status().warnings;
  ASSERT_TRUE(controller_->pause());
  for (int i = 0; i < 50; ++i) turn();
  begin_process();
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_EQ(controller_->status().warnings, before);
}

// ---- What is wanted at the start of the process -----------------------------------------------

class StartByOptionTest : public ControllerTest {
 protected:
  StartByOptionTest() : ControllerTest({.before = 1}) { settings_.start = JobOptions(); }
};

TEST_F(StartByOptionTest, WaitsForItsServers) {
  for (int i = 0; i < 200; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::idle);
  faults_.switch_off();
  EXPECT_TRUE(turn_until([&] { return synchronized(); }));
}

TEST_F(StartByOptionTest, IsRefusedForGoodWhereTheTargetIsNotEmpty) {
  faults_.switch_off();
  ASSERT_TRUE(target_set_.insert(kNs, json(R"({"_id": "foreign"})").view()));
  for (int i = 0; i < 50; ++i) turn();
  ASSERT_TRUE(target_set_.drop(kNs));
  for (int i = 0; i < 200; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::idle);
}

TEST_F(StartByOptionTest, GoesOnWithASavedJobInstead) {
  faults_.switch_off();
  ASSERT_TRUE(turn_until([&] { return synchronized(); }));
  ASSERT_TRUE(controller_->pause());
  begin_process();
  for (int i = 0; i < 100; ++i) turn();
  EXPECT_EQ(controller_->status().state, JobState::paused);
}

}  // namespace
}  // namespace plm
