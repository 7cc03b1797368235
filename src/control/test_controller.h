// The Controller with everything else in memory and without threads: a test calls
// turn(), which is one step of everything. The clock moves with each look at it,
// so that whatever waits for a time comes to it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "control/controller.h"
#include "engine/test_seams.h"
#include "memory/snapshot.h"

namespace plm {

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
inline TroubledStore::Which of_record(JobState state, bool converting = false) {
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

inline const IndexSpec kUnique{json(R"({"v": 2, "key": {"u": 1}, "name": "u_1", "unique": true})")};
inline const IndexSpec kTtl{json(R"({"v": 2, "key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 60})")};

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

}  // namespace plm
