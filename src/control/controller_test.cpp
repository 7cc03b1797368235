// The Controller with everything else in memory and without threads: a test calls
// turn(), which is one step of everything. The clock moves with each look at it,
// so that whatever waits for a time comes to it.
#include "control/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "engine/test_seams.h"
#include "memory/snapshot.h"

namespace plm {
namespace {

class MovingClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return SteadyTime{} + (now_ += Millis(1)); }
  [[nodiscard]] WallTime wall_now() const override { return WallTime{std::chrono::seconds{1'700'000'000}} + now_; }
  void advance(Millis by) { now_ += by; }

 private:
  mutable Millis now_{0};
};

// A store of which some saves go wrong.
class TroubledStore final : public StateStore {
 public:
  enum class Trouble { fails_before, fails_after, fails_between, crashes_before, crashes_after };
  using Which = std::function<bool(std::span<const StoreChange>)>;

  explicit TroubledStore(StateStore& store) : store_(store) {}

  // The next `times` saves of this kind.
  void arm(Which which, Trouble trouble, int times) {
    which_ = std::move(which);
    trouble_ = trouble;
    left_ = times;
    happened_ = false;
  }
  // The n-th save from here on, from 1.
  void arm(int n, Trouble trouble) {
    arm([n](std::span<const StoreChange>) mutable { return --n == 0; }, trouble, 1);
  }
  [[nodiscard]] bool happened() const { return happened_; }

  Result<std::vector<bson::Document>> load(const std::string& set) override { return store_.load(set); }
  Status clear() override { return store_.clear(); }
  Result<LeaseSight> look_at_lease() override { return store_.look_at_lease(); }
  Result<Epoch> take_lease(const LeaseOwner& owner, Epoch seen) override { return store_.take_lease(owner, seen); }
  Status renew_lease() override { return store_.renew_lease(); }
  Status release_lease() override { return store_.release_lease(); }
  Status save(std::span<const StoreChange> changes) override {
    if (left_ == 0 || !which_(changes)) return store_.save(changes);
    --left_;
    happened_ = true;
    switch (trouble_) {
      case Trouble::fails_before:
        break;
      case Trouble::fails_after:
        if (auto saved = store_.save(changes); !saved) return saved;
        break;
      case Trouble::fails_between:
        if (auto saved = store_.save(changes.first(changes.size() / 2)); !saved) return saved;
        break;
      case Trouble::crashes_before:
        throw SimulatedCrash();
      case Trouble::crashes_after:
        if (auto saved = store_.save(changes); !saved) return saved;
        throw SimulatedCrash();
    }
    return fail(ErrorCode::network, "connection lost");
  }

 private:
  StateStore& store_;
  Which which_;
  int left_ = 0;
  Trouble trouble_ = Trouble::fails_before;
  bool happened_ = false;
};

// Saves of the job's own document in this state.
TroubledStore::Which of_record(JobState state, bool converting = false) {
  return [=](std::span<const StoreChange> changes) {
    return std::ranges::any_of(changes, [&](const StoreChange& change) {
      if (change.set != "state" || !change.document) return false;
      const auto record = job_record_from(change.document->view());
      return record && record->state == state && record->converting == converting;
    });
  };
}

using Trouble = TroubledStore::Trouble;

// Notices documents that are written though an index is real already (I9).
class WatchedTarget final : public MemoryTarget {
 public:
  using MemoryTarget::MemoryTarget;

  [[nodiscard]] int writes_over_real_indexes() const { return late_; }
  void refuse_the_next_apply() { refuses_ = true; }
  void instead_of_the_next_create(std::function<Result<Uuid>()> what) { create_ = std::move(what); }

  Result<Uuid> create(const Namespace& ns, bson::View options) override {
    return create_ ? std::exchange(create_, nullptr)() : MemoryTarget::create(ns, options);
  }

  Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents, InsertFence fence) override {
    if (!strict_parts_seen().empty()) ++late_;
    return MemoryTarget::insert(twin, documents, fence);
  }
  Result<std::vector<OperationFailure>> apply(std::span<const TargetOperation> operations) override {
    if (!operations.empty() && !strict_parts_seen().empty()) ++late_;
    if (std::exchange(refuses_, false)) return fail(Error{ErrorCode::server, 2, {}, "bad value"});
    return MemoryTarget::apply(operations);
  }

 private:
  int late_ = 0;
  bool refuses_ = false;
  std::function<Result<Uuid>()> create_;
};

const Namespace kNs{"db", "c"};
const IndexSpec kUnique{json(R"({"v": 2, "key": {"u": 1}, "name": "u_1", "unique": true})")};
const IndexSpec kTtl{json(R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 60})")};

class ControllerTest : public testing::Test {
 protected:
  explicit ControllerTest(FaultRates rates = {}, std::uint64_t seed = 1) : random_(seed), faults_(random_, rates) {}

  void SetUp() override {
    for (int i = 0; i < 10; ++i) insert(i);
    ASSERT_TRUE(source_set_.create_indexes(kNs, {kUnique, kTtl}));
    ASSERT_TRUE(source_set_.insert({"db", "d"}, json(R"({"_id": "x"})").view()));
    begin_process();
  }

  // ---- Processes
  void begin_process() { begin_process(source_); }
  void begin_process(Source& source) {
    controller_.reset();
    Controller::Settings settings = settings_;
    settings.drive = Drive::by_hand;
    settings.self.owner = {"process " + std::to_string(++processes_), "host", "machine", processes_};
    settings.self.is_gone = [this](const LeaseOwner&) { return others_are_gone_; };
    controller_ = std::make_unique<Controller>(Controller::Parts{source, target_, store_, clock_}, settings);
  }
  // Every call may be the last of a process.
  template <typename Call>
  auto surviving(Call&& call) -> std::optional<decltype(call())> {
    try {
      return call();
    } catch (const SimulatedCrash&) {
      begin_process();
      return std::nullopt;
    }
  }
  void turn() {
    (void)surviving([&] {
      controller_->turn();
      return true;
    });
    if (each_turn_) each_turn_();
  }
  [[nodiscard]] bool turn_until(const std::function<bool()>& condition, int most = 20'000) {
    for (int i = 0; i < most; ++i) {
      if (condition()) return true;
      turn();
    }
    return condition();
  }
  [[nodiscard]] bool comes_to(JobState state) {
    return turn_until([&] { return controller_->status().state == state; });
  }
  // The state that the next process would find.
  JobState saved_state() { return load_record(memory_store_)->state; }

  // ---- The life of a job
  void replicate() {
    ASSERT_TRUE(turn_until([&] { return controller_->start({}).has_value(); }));
    ASSERT_TRUE(turn_until([&] { return synchronized(); })) << describe();
  }
  // Finalizes behind updates that are answered by reading their documents.
  void finalize_behind_updates() {
    target_.set_apply_mode(ApplyMode::portable);
    replicate();
    ASSERT_TRUE(controller_->pause());
    for (int i = 0; i < 10; ++i) update(i, 500 + i);
    ASSERT_TRUE(controller_->finalize());
  }
  [[nodiscard]] bool synchronized() const { return controller_->status().initial_sync.completed; }
  void come_to_the_end() {
    ASSERT_TRUE(turn_until([&] {
      const JobState state = controller_->status().state;
      if (state == JobState::running || state == JobState::paused) {
        (void)surviving([&] { return controller_->finalize().has_value(); });
      }
      return controller_->status().state == JobState::finalized;
    })) << describe();
  }
  std::string describe() {
    const StatusReport report = controller_->status();
    std::string out(name_of(report.state));
    out += ", " + report.info + ", error: " + report.error + ", replicated " + report.last_replicated.text();
    for (const std::string& warning : report.warnings) out += "\n  " + warning;
    return out;
  }
  void expect_the_same() {
    EXPECT_EQ(first_difference(take_snapshot(source_set_, {}), take_snapshot(target_set_, {}),
                               {.options = true, .indexes = true}),
              "");
    EXPECT_EQ(target_.writes_over_real_indexes(), 0) << "I9";
  }

  // ---- The source
  void insert(int id) {
    const std::string n = std::to_string(id);
    ASSERT_TRUE(source_set_.insert(kNs, json("{\"_id\": " + n + ", \"u\": " + n + "}").view()));
  }
  void update(int id, int value) {
    const bson::OwnedValue key = value_of(std::to_string(id));
    ASSERT_TRUE(source_set_.update(kNs, key.value(), json("{\"u\": {\"n\": " + std::to_string(value) + "}}").view()));
  }
  // A value of the unique index goes from one document to another: replayed in
  // part over the result, it is a duplicate.
  void swap_values() {
    const int base = 1000 * ++swaps_;
    for (int i = 0; i < 10; ++i) update(i, base + i);
    for (int i = 0; i < 10; ++i) update(i, base + 500 + (i + 1) % 10);
    for (int i = 0; i < 10; ++i) update(i, base + i);
  }

  Random random_;
  FaultPlan faults_;
  MemoryDeployment source_set_{{.set_name = "source", .seed = 1}};
  MemoryDeployment target_set_{{.set_name = "target", .seed = 2, .keeps_events = false}};
  MemorySource source_{source_set_, faults_};
  WatchedTarget target_{target_set_, faults_};
  MemoryStateStore memory_store_{faults_};
  TroubledStore store_{memory_store_};
  MovingClock clock_;
  Controller::Settings settings_;
  std::function<void()> each_turn_;
  int swaps_ = 0;
  int processes_ = 0;
  bool others_are_gone_ = true;  // only the last process of a test lives
  std::unique_ptr<Controller> controller_;
};

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

// ---- Saves that fail -----------------------------------------------------------------------------------

class FailingSaveTest : public ControllerTest, public testing::WithParamInterface<Trouble> {};

// The request is refused; what the store says in the end is the truth of the process.
TEST_P(FailingSaveTest, LeavesTheStateAsItWas) {
  const auto fails = [&](const std::string& what, JobState after, const std::function<Status()>& request) {
    const JobState before = controller_->status().state;
    store_.arm(of_record(after), GetParam(), 1);
    EXPECT_FALSE(request()) << what;
    EXPECT_EQ(controller_->status().state, before) << what;
    for (int i = 0; i < 100; ++i) turn();
    EXPECT_EQ(controller_->status().state, before) << what;
    EXPECT_EQ(saved_state(), before) << what;
  };
  fails("start", JobState::running, [&] { return controller_->start({}); });
  replicate();
  fails("pause", JobState::paused, [&] { return controller_->pause(); });
  ASSERT_TRUE(controller_->pause());
  fails("resume", JobState::running, [&] { return controller_->resume({}); });
  fails("finalize", JobState::finalizing, [&] { return controller_->finalize(); });
  fails("reset", JobState::idle, [&] { return controller_->reset(); });
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  expect_the_same();
}

INSTANTIATE_TEST_SUITE_P(Outcomes, FailingSaveTest, testing::Values(Trouble::fails_before, Trouble::fails_after));

// I9: whether the save that begins the conversion was done cannot be told, so
// the engine, which would replay, must not come back.
TEST_P(FailingSaveTest, TheOneThatBeginsTheConversionIsRepeatedUntilItSucceeds) {
  replicate();
  store_.arm(of_record(JobState::finalizing, true), GetParam(), 5);
  ASSERT_TRUE(controller_->finalize());
  each_turn_ = [&] {
    if (store_.happened() && swaps_ < 3) swap_values();
  };
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_EQ(swaps_, 3);
  EXPECT_EQ(target_.writes_over_real_indexes(), 0);
  EXPECT_TRUE(controller_->status().finalization->unsuccessful_indexes.empty());
}

TEST_P(FailingSaveTest, TheLastOneIsRepeatedUntilItSucceeds) {
  replicate();
  store_.arm(of_record(JobState::finalized, true), GetParam(), 5);
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_TRUE(store_.happened());
  expect_the_same();
}

TEST_P(FailingSaveTest, AFailureIsSaidAtOnceAndSavedLater) {
  replicate();
  store_.arm(of_record(JobState::failed), GetParam(), 5);
  ASSERT_TRUE(target_set_.drop({"db", "d"}));
  ASSERT_TRUE(source_set_.insert({"db", "d"}, json(R"({"_id": "y"})").view()));
  ASSERT_TRUE(comes_to(JobState::failed)) << describe();
  ASSERT_TRUE(turn_until([&] { return saved_state() == JobState::failed; }));
}

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

// ---- Crashes, and failures anywhere -------------------------------------------------------------------

// One job from start to end, by a user who asks again until it is done. The n-th
// save goes wrong, for every n until there is no such save any more.
class EverySaveTest : public testing::TestWithParam<Trouble> {};

class WholeJob : public ControllerTest {
 public:
  explicit WholeJob(FaultRates rates = {}, std::uint64_t seed = 1) : ControllerTest(rates, seed) { SetUp(); }
  void TestBody() override {}

  [[nodiscard]] TroubledStore& store() { return store_; }
  void portable() { target_.set_apply_mode(ApplyMode::portable); }
  void faults_end() { faults_.switch_off(); }

  void run() {
    int turns = 0;
    bool paused = false;
    bool wrote = false;
    while (controller_->status().state != JobState::finalized) {
      ASSERT_LT(++turns, 30'000) << describe();
      if (turns == 15'000) faults_.switch_off();
      turn();
      const StatusReport report = controller_->status();
      switch (report.state) {
        case JobState::idle:
          (void)surviving([&] { return controller_->start({}).has_value(); });
          break;
        case JobState::running:
          if (!report.initial_sync.completed) break;
          if (!std::exchange(wrote, true)) swap_values();
          if (!paused) {
            paused = surviving([&] { return controller_->pause().has_value(); }).value_or(false);
          } else {
            (void)surviving([&] { return controller_->finalize().has_value(); });
          }
          break;
        case JobState::paused:
          paused = true;
          (void)surviving([&] { return controller_->resume({}).has_value(); });
          break;
        case JobState::finalizing:
          // The unique values change hands again: whoever replays this over real indexes breaks them.
          if (swaps_ < 4 && turns % 7 == 0) swap_values();
          break;
        case JobState::failed:
          FAIL() << describe();
        case JobState::finalized:
          break;
      }
    }
  }
  void check() {
    EXPECT_EQ(target_.writes_over_real_indexes(), 0) << "I9";
    const StatusReport report = controller_->status();
    ASSERT_TRUE(report.finalization);
    EXPECT_TRUE(report.finalization->unsuccessful_indexes.empty());
    EXPECT_TRUE(report.finalization->differences.empty()) << report.finalization->differences.front();
    for (const IndexSpec& wanted : {kUnique, kTtl}) {
      const auto& indexes = target_set_.find(kNs)->indexes;
      const auto found = std::ranges::find(indexes, wanted.name(), &IndexSpec::name);
      ASSERT_NE(found, indexes.end());
      EXPECT_TRUE(same_fields(found->spec.view(), wanted.spec.view())) << found->spec.view().json();
    }
    EXPECT_EQ(target_set_.find(kNs)->documents.size(), 10U);
  }
};

TEST_P(EverySaveTest, TheJobComesToItsEnd) {
  int n = 0;
  for (bool happened = true; happened;) {
    SCOPED_TRACE("save " + std::to_string(++n));
    WholeJob job;
    job.store().arm(n, GetParam());
    job.run();
    job.check();
    happened = job.store().happened();
    if (HasFailure()) return;
  }
  EXPECT_GT(n, 8);
}

INSTANTIATE_TEST_SUITE_P(Troubles, EverySaveTest,
                         testing::Values(Trouble::fails_before, Trouble::fails_after, Trouble::fails_between,
                                         Trouble::crashes_before, Trouble::crashes_after));

TEST(ControllerFaults, AnyCallMayFailOrBeTheLastOfAProcess) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    WholeJob job({.before = 0.02,
                  .after = 0.02,
                  .partly = 0.02,
                  .reader_dies = 0.02,
                  .stream_dies = 0.02,
                  .crash = seed % 2 == 0 ? 0.002 : 0.0},
                 seed);
    if (seed % 3 == 0) job.portable();
    job.run();
    job.check();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace plm
