#include "simulation.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "base/log.h"
#include "engine/finalizer.h"
#include "engine/job_start.h"
#include "engine/pipeline.h"
#include "engine/recopy.h"
#include "memory/memory_source.h"
#include "memory/memory_state_store.h"
#include "memory/memory_target.h"
#include "memory/snapshot.h"
#include "memory/workload.h"

namespace plm {

namespace {

constexpr int kStepsToComeToRest = 60'000;
constexpr double kLateWriteChance = 0.01;
constexpr double kArrivalChance = 0.05;
constexpr double kWakeChance = 0.05;

// What differs from run to run.
struct Circumstances {
  FaultRates faults;
  Workload::Options workload;
  PipelineSettings pipeline;
  double write_chance = 0;         // of a write between two steps
  double interference_chance = 0;  // of a write inside a call of the engine
  double crash_chance = 0;         // of a crash between two steps
  double pause_chance = 0;
  double loss_chance = 0;    // of the position being lost between two processes
  double zombie_chance = 0;  // of a process that seemed to crash going on some time later
  int busy_steps = 0;        // while the workload goes on
};

Circumstances draw(Random& random) {
  Circumstances out;
  if (random.chance(0.7)) {
    out.faults = {.before = 0.02, .after = 0.02, .partly = 0.02, .reader_dies = 0.05, .stream_dies = 0.05, .crash = 0};
    if (random.chance(0.5)) out.faults.crash = 0.002;
  }
  out.workload.mix.transactions = random.chance(0.5) ? 0.1 : 0;
  out.workload.mix.structure = random.chance(0.7) ? 0.08 : 0;
  out.workload.mix.databases = random.chance(0.3) ? 0.1 : 0;
  out.workload.mix.compound = random.chance(0.3) ? 0.5 : 0;
  out.workload.mix.capped = random.chance(0.4) ? 0.3 : 0;
  out.workload.ids = random.between(3, 60);
  PipelineSettings& pipeline = out.pipeline;
  pipeline.mode = random.chance(0.25) ? ApplyMode::portable : ApplyMode::exact;
  pipeline.preparers = static_cast<std::size_t>(random.between(1, 3));
  pipeline.copiers = static_cast<std::size_t>(random.between(1, 4));
  pipeline.appliers = static_cast<std::size_t>(random.between(1, 4));
  pipeline.index_builders = static_cast<std::size_t>(random.between(1, 2));
  pipeline.range_bytes = random.between(100, 2000);
  pipeline.small_weight = random.chance(0.5) ? random.between(0, 20'000) : 0;
  pipeline.apply_batch_operations = static_cast<std::size_t>(random.between(1, 40));
  // From "every reply fills it" to "it is never full".
  pipeline.memory_bytes = static_cast<std::size_t>(random.chance(0.5) ? random.between(4'000, 60'000) : 10'000'000);
  if (random.chance(0.3)) {
    pipeline.filter =
        *Filter::make(random.chance(0.5) ? std::vector<std::string>{"db0.*"} : std::vector<std::string>{},
                      random.chance(0.7) ? std::vector<std::string>{"db0.c1"} : std::vector<std::string>{"db1.*"});
  }
  out.write_chance = random.chance(0.5) ? 0.5 : 0.1;
  out.interference_chance = random.chance(0.5) ? 0.1 : 0;
  out.crash_chance = random.chance(0.6) ? 0.003 : 0;
  out.pause_chance = random.chance(0.3) ? 0.005 : 0;
  out.busy_steps = random.between(200, 1500);
  out.workload.mix.series = random.chance(0.3) ? 0.4 : 0;
  if (random.chance(0.4)) out.faults.held = 0.03;
  out.zombie_chance = random.chance(0.4) ? 0.5 : 0;
  out.loss_chance = random.chance(0.4) ? 0.4 : 0;
  if (out.loss_chance > 0) out.crash_chance = std::max(out.crash_chance, 0.003);
  return out;
}

// What a process has of its own.
struct Process {
  MemoryTarget target;
  MemoryStateStore store;
  std::unique_ptr<Pipeline> pipeline;
  std::vector<Role*> roles;
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, LateWrites::Fences fences)
      : seed_(seed),
        random_(seed),
        circumstances_(draw(random_)),
        faults_(random_, circumstances_.faults),
        source_side_({.set_name = "source", .seed = seed * 2 + 1, .keeps_events = true}),
        target_side_({.set_name = "target", .seed = seed * 2 + 2, .keeps_events = false}),
        source_(source_side_, faults_),
        late_(fences),
        store_(faults_),
        workload_(source_side_, random_, circumstances_.workload) {
    workload_.fill();
    source_.set_interference([this] {
      if (busy_ && random_.chance(circumstances_.interference_chance)) workload_.step();
    });
  }

  SimulationResult run() {
    while (!finished_ && result_.failure.empty()) {
      ++result_.lives;
      if (result_.lives > 200) faults_.switch_off();
      try {
        live();
      } catch (const SimulatedCrash&) {
        leave_behind();
      }
    }
    return result_;
  }

 private:
  // The process is dead, or only seems so.
  void leave_behind() {
    note_strict_parts();
    const bool sleeps = process_->pipeline && random_.chance(circumstances_.zombie_chance);
    zombie_ = sleeps ? std::move(process_) : nullptr;
    process_.reset();
  }
  void note_strict_parts() {
    for (const std::string& part : process_->target.strict_parts_seen()) strict_parts_seen_.insert(part);
  }
  // It wakes up for a moment.
  void step_zombie() {
    if (!zombie_) return;
    try {
      const auto step = zombie_->roles[random_.below(zombie_->roles.size())]->step();
      if (!step) zombie_.reset();
    } catch (const SimulatedCrash&) {
      zombie_.reset();
    }
  }
  void let_the_past_happen() {
    if (random_.chance(kArrivalChance)) late_.deliver_one(random_);
    if (random_.chance(kWakeChance)) step_zombie();
  }

  // Takes the lease and the target, as the Controller does.
  bool take_over() {
    const auto seen = process_->store.look_at_lease();
    if (!seen) return false;
    const auto epoch = process_->store.take_lease({std::to_string(result_.lives), "host", "", 1}, seen->epoch);
    return epoch && process_->target.take_over(*epoch);
  }

  // One process, from its start to a crash or the end of the job.
  void live() {
    process_ = std::make_unique<Process>(
        Process{MemoryTarget(target_side_, faults_, &late_), store_.of_another_process(), nullptr, {}});
    process_->target.set_apply_mode(circumstances_.pipeline.mode);
    while (!take_over()) {
    }
    begin();
    if (!result_.failure.empty()) return;
    while (busy_) {
      if (result_.steps > static_cast<std::uint64_t>(circumstances_.busy_steps)) busy_ = false;
      if (random_.chance(circumstances_.write_chance)) workload_.step();
      if (random_.chance(circumstances_.crash_chance)) throw SimulatedCrash();
      if (random_.chance(circumstances_.pause_chance)) pause_or_resume();
      if (!step_any_role()) return;
    }
    come_to_rest();
  }

  void begin() {
    log::debug("a process begins",
               {{"life", result_.lives}, {"step", result_.steps}, {"clusterTime", source_side_.now().text()}});
    if (result_.lives > 1 && random_.chance(circumstances_.loss_chance)) lose_position();
    while (result_.failure.empty()) {
      auto restored = find_job();
      if (restored && *restored) return make_pipeline(*std::move(*restored));
      if (restored) {
        std::vector<std::string> warnings;
        auto begun = begin_job(source_, process_->store, circumstances_.pipeline.filter, warnings);
        if (begun) return make_pipeline(*std::move(begun));
        note(begun.error());
      } else {
        note(restored.error());
      }
    }
  }

  // The source's oplog rolls over while nobody reads it.
  void lose_position() {
    if (busy_) {
      for (int writes = random_.between(0, 60); writes > 0; --writes) workload_.step();
    }
    source_side_.truncate_oplog(source_side_.append_note());
    recopy_ = random_.chance(0.7) ? Recopy::changed : Recopy::all;
    log::debug("the position is lost", {{"recopy", name_of(recopy_)}, {"clusterTime", source_side_.now().text()}});
  }

  // As the Controller does it: a copy that was asked for is repeated until the
  // engine has its job, by the next process when this one dies.
  Result<std::optional<SavedJob>> find_job() {
    if (recopy_ == Recopy::none) {
      return restore_job(source_, process_->target, process_->store, circumstances_.pipeline.filter);
    }
    std::vector<std::string> warnings;
    auto begun =
        begin_recopy(source_, process_->target, process_->store, circumstances_.pipeline.filter, recopy_, warnings);
    if (begun && *begun && random_.chance(0.2)) throw SimulatedCrash();
    if (begun) {
      recopy_ = Recopy::none;
      ++result_.recopies;
    }
    return begun;
  }

  void make_pipeline(SavedJob job) {
    process_->pipeline = std::make_unique<Pipeline>(Pipeline::Seams{source_, process_->target, process_->store, clock_},
                                                    circumstances_.pipeline, std::move(job), seed_ + result_.lives);
    process_->roles = process_->pipeline->roles();
    paused_ = false;
  }

  bool step_any_role() {
    ++result_.steps;
    clock_.advance(Millis(random_.between(0, 20)));
    let_the_past_happen();
    const std::vector<Role*>& roles = process_->roles;
    auto step = roles[random_.below(roles.size())]->step();
    if (!step) fail_with("a role failed: " + step.error().message);
    return step.has_value();
  }

  void pause_or_resume() {
    paused_ = !paused_;
    if (paused_) {
      process_->pipeline->router().pause();
    } else {
      process_->pipeline->router().resume();
    }
  }

  // The workload is over: everything has to arrive, whatever went wrong before.
  void come_to_rest() {
    if (random_.chance(0.5)) faults_.switch_off();
    process_->pipeline->router().resume();
    ClusterTime end = source_side_.append_note();
    process_->pipeline->router().stop_at(end);
    // Finalize meets a source that is still written for a while.
    const int last_write = random_.chance(0.5) ? kStepsToComeToRest / 4 : 0;
    for (int i = 0; i < kStepsToComeToRest; ++i) {
      if (i == kStepsToComeToRest / 2) faults_.switch_off();
      if (i < last_write && random_.chance(kLateWriteChance)) workload_.step();
      if (!step_any_role()) return;
      const RouterView view = process_->pipeline->router().view();
      if (!view.reached_limit || view.limit != end || view.indexes_unfinished > 0) continue;
      if (view.ahead > end || source_side_.now() > end) {
        end = source_side_.append_note();
        process_->pipeline->router().stop_at(end);
        continue;
      }
      return finish();
    }
    const RouterView view = process_->pipeline->router().view();
    fail_with("did not come to rest: collections " + std::to_string(view.collections_copied) + " of " +
              std::to_string(view.collections_total) + ", indexes unfinished " +
              std::to_string(view.indexes_unfinished) + ", replicated " + view.replicated.text() + " of " + end.text() +
              (view.stream_waits ? ", the stream waits" : "") +
              "; last retry: " + process_->pipeline->progress().last_retry());
  }

  void finish() {
    result_.events = static_cast<std::uint64_t>(process_->pipeline->progress().events_read.load());
    faults_.switch_off();
    if (process_->pipeline->progress().parked != 0)
      return fail_with("documents are parked: " + process_->pipeline->progress().parked_sample().front());
    late_.deliver_all(random_);
    compare({.options = false, .indexes = false}, "before finalize");
    note_strict_parts();
    if (!strict_parts_seen_.empty()) fail_with("invariant I7: " + *strict_parts_seen_.begin());
    if (!result_.failure.empty()) return;
    auto listing = list_at_one_time(source_, circumstances_.pipeline.filter);
    if (!listing) return fail_with(listing.error().message);
    FinalReport report;
    Catalog catalog = std::move(process_->pipeline->router().catalog());
    if (!adopt_final_listing(*listing, catalog, report).empty()) return fail_with("something is gone without an event");
    Progress progress;
    auto finalizer = std::make_unique<Finalizer>(source_, process_->target, clock_, progress, catalog, report, seed_);
    faults_.switch_on();
    for (int i = 0; i < kStepsToComeToRest && !finalizer->done(); ++i) {
      if (i == kStepsToComeToRest / 2) faults_.switch_off();
      clock_.advance(Millis(100));
      step_zombie();
      try {
        if (auto step = finalizer->step(); !step) return fail_with("finalize failed: " + step.error().message);
      } catch (const SimulatedCrash&) {  // the catalog at F is saved by then; the next process begins anew
        finalizer = std::make_unique<Finalizer>(source_, process_->target, clock_, progress, catalog, report, seed_);
      }
    }
    faults_.switch_off();
    if (!finalizer->done()) return fail_with("finalize did not end");
    const FinalReport& final_report = finalizer->report();
    if (!final_report.differences.empty()) fail_with("finalize reports: " + final_report.differences.front());
    if (!final_report.failed_indexes.empty()) {
      fail_with("finalize reports an index that failed: " + final_report.failed_indexes.front().reason);
    }
    late_.deliver_all(random_);
    compare({.options = true, .indexes = true}, "after finalize");
    finished_ = true;
  }

  void compare(const SnapshotAspects& aspects, const std::string& when) {
    const Filter& filter = circumstances_.pipeline.filter;
    const std::string difference =
        first_difference(take_snapshot(source_side_, filter), take_snapshot(target_side_, filter), aspects);
    if (!difference.empty()) fail_with(when + ": " + difference);
  }

  void note(const Error& error) {
    if (!retryable(error)) fail_with("the job could not begin: " + error.message);
  }
  void fail_with(const std::string& failure) {
    const MemoryOplog& oplog = source_side_.oplog();
    OplogPlace place;
    while (const OplogEvent* event = oplog.after(place)) {
      log::debug(event->event.view().json(700));
      place = event->place;
    }
    if (result_.failure.empty()) result_.failure = failure;
  }

  std::uint64_t seed_;
  Random random_;
  Circumstances circumstances_;
  FaultPlan faults_;
  MemoryDeployment source_side_;
  MemoryDeployment target_side_;
  MemorySource source_;
  LateWrites late_;
  MemoryStateStore store_;  // of nobody
  Workload workload_;
  ManualClock clock_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Process> zombie_;
  std::set<std::string> strict_parts_seen_;
  Recopy recopy_ = Recopy::none;  // asked for
  bool busy_ = true;
  bool paused_ = false;
  bool finished_ = false;
  SimulationResult result_;
};

}  // namespace

SimulationResult simulate(std::uint64_t seed, WritesOfThePast past) {
  const auto fences =
      past == WritesOfThePast::are_shut_out ? LateWrites::Fences::hold : LateWrites::Fences::are_missing;
  return Simulation(seed, fences).run();
}

}  // namespace plm
