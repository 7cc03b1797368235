#include "control/controller.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "control/engine_plan.h"
#include "control/engine_report.h"
#include "control/preflight.h"
#include "engine/job_start.h"

namespace plm {

namespace {

constexpr Millis kTick{50};
constexpr Millis kRetryInterval{1000};
constexpr Millis kUnusableInterval{10'000};  // of what waiting may not mend, or a right given back may
constexpr Millis kOplogInterval{1000};
constexpr std::size_t kMostWarnings = 100;

}  // namespace

Controller::Controller(Parts parts, Settings settings)
    : parts_(parts),
      settings_(std::move(settings)),
      not_loaded_(Error{ErrorCode::network, 0, {}, "the saved state has not been read yet"}),
      lease_(
          parts_.store, parts_.clock, settings_.self, [this] { wake_.raise(); }, settings_.drive),
      source_monitor_(
          "source", settings_.source_uri, parts_.clock,
          [this]() -> Result<std::string> {
            auto info = parts_.source.info();
            if (!info) return fail(std::move(info.error()));
            if (auto seen = see_oplog(); !seen && needs_oplog()) return fail(std::move(seen.error()));
            return info->version;
          },
          settings_.drive),
      target_monitor_(
          "target", settings_.target_uri, parts_.clock,
          [this]() -> Result<std::string> {
            auto info = parts_.target.info();
            if (!info) return fail(std::move(info.error()));
            return info->version;
          },
          settings_.drive),
      ended_future_(ended_.get_future()) {
  if (settings_.drive == Drive::threads) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

Controller::~Controller() {
  thread_.request_stop();
  wake_.raise();
}

// ---- The thread --------------------------------------------------------------------------

void Controller::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const std::uint64_t seen = wake_.seen();
    serve_requests();
    if (tick() == Step::waiting) wake_.wait(seen, kTick, stop);
  }
  {
    const std::lock_guard lock(requests_mutex_);
    closed_ = true;
  }
  serve_requests();
  if (engine_ && record_.state == JobState::running) (void)engine_->pause(Millis(3000));
  drop_engine();
  (void)lease_.release();  // what is not released is taken a little later
  ended_.set_value();
}

bool Controller::shutdown(Millis at_most) {
  thread_.request_stop();
  wake_.raise();
  return ended_future_.wait_for(at_most) == std::future_status::ready;
}

void Controller::turn() {
  CHECK(settings_.drive == Drive::by_hand);
  source_monitor_.ask();
  target_monitor_.ask();
  lease_.turn();
  (void)tick();
  if (engine_) engine_->turn();
}

void Controller::serve_requests() {
  while (true) {
    std::packaged_task<Status()> task;
    {
      const std::lock_guard lock(requests_mutex_);
      if (requests_.empty()) return;
      task = std::move(requests_.front());
      requests_.pop_front();
    }
    task();
  }
}

Step Controller::tick() {
  if (lease_.lost()) stand_by({ErrorCode::superseded, 0, {}, "another plm has taken over the target"});
  if (engine_) {
    if (const std::optional<Error> error = engine_->error()) fail_job(*error);
  }
  Step step = Step::waiting;
  const SteadyTime now = parts_.clock.steady_now();
  if (now >= next_try_) {
    Status status;
    if (not_loaded_) {
      status = load();
    } else if (record_unsaved_) {
      status = save_record(record_);
      if (status) record_unsaved_ = false;
    } else if (record_.state == JobState::idle && settings_.start) {
      status = start_unasked();
    } else if (engine_wanted_) {
      status = run_engine();
    } else if (record_.state == JobState::finalizing) {
      // Converting goes from step to step without a rest.
      auto advanced = advance_finalize();
      if (advanced) step = *advanced;
      if (!advanced) status = fail(std::move(advanced.error()));
    }
    if (!status) {
      handle(status.error());
    } else if (!conversion_) {
      standstill_.succeeded();
    }
  }
  watch_conversion(now);
  watch_for_standstill(engine_ ? std::optional(watch_engine(now)) : std::nullopt, now);
  if (now >= next_oplog_look_) {
    next_oplog_look_ = now + kOplogInterval;
    progress_log_.oplog(status());
  }
  return step;
}

// An error of the Controller's own work.
void Controller::handle(const Error& error) {
  next_try_ = parts_.clock.steady_now() + kRetryInterval;
  if (error.code == ErrorCode::superseded) return stand_by(error);
  if (not_loaded_ ? retryable(error) : worth_waiting(error)) {
    if (last_trouble_ != error.message) log::warn("waiting for a server", {{"reason", error.message}});
    last_trouble_ = error.message;
    if (!not_loaded_) return standstill_.failed(error.message, parts_.clock.steady_now());
    const std::lock_guard lock(mutex_);
    load_error_ = error.message;
    return;
  }
  if (not_loaded_) {
    if (last_trouble_ != error.message) log::error("the saved state cannot be used", {{"reason", error.message}});
    last_trouble_ = error.message;
    not_loaded_ = error;
    next_try_ = parts_.clock.steady_now() + kUnusableInterval;
    const std::lock_guard lock(mutex_);
    load_error_ = error.message;
    return;
  }
  fail_job(error);
}

// ---- The saved job -------------------------------------------------------------------------

Status Controller::load() {
  const auto epoch = lease_.acquire();
  if (!epoch) return fail(epoch.error());
  if (*epoch != taken_over_) {
    if (auto taken = parts_.target.take_over(*epoch); !taken) return taken;
    taken_over_ = *epoch;
  }
  if (settings_.reset_state) {
    if (auto cleared = parts_.store.clear(); !cleared) return fail(std::move(cleared.error()));
    settings_.reset_state = false;
  }
  auto record = load_record(parts_.store);
  if (!record) return fail(std::move(record.error()));
  StatusReport report;
  if (record->state != JobState::idle) {
    auto job = load_job(parts_.store);
    if (!job) return fail(std::move(job.error()));
    if (*job) report = report_of(**job);
    if (record->recopy != Recopy::none) report.initial_sync = {};
  }
  not_loaded_.reset();
  {
    const std::lock_guard lock(mutex_);
    record_ = *std::move(record);
    last_report_ = std::move(report);
    load_error_.clear();
    standby_for_.clear();
  }
  if (record_.state != JobState::idle) log::info("found a saved job", {{"state", name_of(record_.state)}});
  engine_wanted_ = record_.state == JobState::running || (record_.state == JobState::finalizing && !record_.converting);
  if (record_.state != JobState::idle) settings_.start.reset();
  return {};
}

// Another process works on the target, or will. Whatever this one still has under
// way has no effect any more.
void Controller::stand_by(const Error& error) {
  const bool was_at_work = !not_loaded_;
  drop_engine();
  conversion_.reset();
  const std::string owner = lease_.other_owner();
  if (was_at_work || lease_.lost()) lease_.stand_down();
  record_unsaved_ = false;
  not_loaded_ = error;
  next_try_ = was_at_work ? SteadyTime() : parts_.clock.steady_now() + kRetryInterval;
  if (settings_.reset_state && lease_.other_lives()) {
    log::warn("the saved state is in use; it is not forgotten");
    settings_.reset_state = false;
  }
  const std::lock_guard lock(mutex_);
  record_ = {};
  last_report_ = {};
  mode_.reset();
  load_error_.clear();
  if (standby_for_ != owner) log::warn("standing by", {{"owner", owner}, {"reason", error.message}});
  standby_for_ = owner;
}

// What --start asks for. A server that does not answer yet is waited for.
Status Controller::start_unasked() {
  const JobOptions options = *settings_.start;
  auto started = do_start(options);
  if (!started && retryable(started.error())) return started;
  if (!started) log::error("the job could not be started", {{"reason", started.error().message}});
  settings_.start.reset();
  return {};
}

Status Controller::save_record(const JobRecord& record) {
  const StoreChange change = change_of(record);
  auto saved = parts_.store.save({&change, 1});
  if (!saved) return fail(saved.error().within("saving the job's state"));
  return {};
}

// A save that failed may have been done all the same. The state that it asked for
// was refused, so the present one is saved over it as soon as that is possible.
Status Controller::change_state(JobEvent event, JobRecord next) {
  const auto state = transition(record_.state, event);
  CHECK(state);
  next.state = *state;
  if (auto saved = save_record(next); !saved) {
    record_unsaved_ = true;
    return saved;
  }
  record_unsaved_ = false;
  log::info("state changed", {{"from", name_of(record_.state)}, {"to", name_of(next.state)}});
  const std::lock_guard lock(mutex_);
  record_ = std::move(next);
  return {};
}

// ---- The engine -----------------------------------------------------------------------------

// What was saved, unless it is to be copied again or there is nothing yet.
Result<SavedJob> Controller::find_job(const Filter& filter) {
  std::vector<std::string> warnings;
  const bool recopies = record_.recopy != Recopy::none;
  auto job = recopies ? begin_recopy(parts_.source, parts_.target, parts_.store, filter, record_.recopy, warnings)
                      : restore_job(parts_.source, parts_.target, parts_.store, filter);
  if (!job) return fail(std::move(job.error()));
  if (*job) {
    if (recopies) return begin_anew(**std::move(job), std::move(warnings));
    return **std::move(job);
  }
  if (record_.options.replace_target) {
    if (auto dropped = drop_present(parts_.target, filter); !dropped) return fail(std::move(dropped.error()));
  }
  auto begun = begin_job(parts_.source, parts_.store, filter, warnings);
  if (!begun) return begun;
  return begin_anew(*std::move(begun), std::move(warnings));
}

// A record that still asks for another copy would throw away what an engine made.
Result<SavedJob> Controller::begin_anew(SavedJob job, std::vector<std::string> warnings) {
  for (const std::string& warning : warnings) log::warn(warning);
  JobRecord next = record_;
  next.warnings = std::move(warnings);
  next.recopy = Recopy::none;
  if (record_.recopy != Recopy::none) {
    if (auto saved = save_record(next); !saved) return fail(std::move(saved.error()));
  } else {
    record_unsaved_ = true;
  }
  const std::lock_guard lock(mutex_);
  record_ = std::move(next);
  return job;
}

Status Controller::run_engine() {
  auto filter = Filter::make(record_.options.include_namespaces, record_.options.exclude_namespaces);
  if (!filter) return fail(std::move(filter.error()));
  if (auto same = check_same_source(parts_.source, record_.source); !same) return same;
  if (!mode_) {
    auto mode = parts_.target.probe_apply_mode();
    if (!mode) return fail(mode.error().within("finding out what the target allows"));
    log::info("mode of applying", {{"mode", *mode == ApplyMode::exact ? "exact" : "portable"}});
    const std::lock_guard lock(mutex_);
    mode_ = *mode;
  }
  auto processors = parts_.target.processors();
  if (!processors) return fail(std::move(processors.error()));
  auto job = find_job(*filter);
  if (!job) return fail(std::move(job.error()));
  const PipelineSettings plan = plan_engine(record_.options, *filter, *mode_, settings_.memory_bytes, *processors);
  tell_plan(*job, plan, record_.options);
  auto engine = std::make_shared<Engine>(Pipeline::Seams{parts_.source, parts_.target, parts_.store, parts_.clock},
                                         plan, *std::move(job), ++seed_ * 1000, settings_.drive);
  engine_wanted_ = false;
  standstill_.forget();
  progress_log_.begin();
  const std::lock_guard lock(mutex_);
  engine_ = std::move(engine);
  return {};
}

void Controller::drop_engine() {
  engine_wanted_ = false;
  approach_.reset();
  std::shared_ptr<Engine> gone;
  if (!engine_) return;
  {
    const std::lock_guard lock(mutex_);
    StatusReport report;
    add_engine_report(*engine_, report);
    count_on(last_report_, report);
    last_report_ = std::move(report);
    gone = std::exchange(engine_, nullptr);
    stall_.clear();
    clone_rate_ = 0;
  }
  gone->stop();
}

void Controller::fail_job(const Error& error) {
  if (error.code == ErrorCode::superseded) return stand_by(error);
  const auto state = transition(record_.state, JobEvent::fail);
  if (!state) return drop_engine();
  JobRecord next = record_;
  next.failed_finalizing = record_.state == JobState::finalizing;
  next.state = *state;
  next.error = error.message;
  // What another plm does to the target looks like a failure to one that was frozen
  // and has not noticed yet: a save tells.
  const Status saved = save_record(next);
  if (!saved && saved.error().code == ErrorCode::superseded) return stand_by(saved.error());
  log::error("the job has failed", {{"reason", error.message}});
  {
    const std::lock_guard lock(mutex_);
    record_ = next;
  }
  record_unsaved_ = !saved;
  next_try_ = {};
  drop_engine();  // ending the threads takes a while
  conversion_.reset();
}

Standstill::EngineSeen Controller::watch_engine(SteadyTime now) {
  const RouterView view = engine_->pipeline().router().view();
  for (const std::string& warning : view.warnings) note_warning(warning);
  if (now >= next_try_ && record_.state == JobState::running && record_.options.pause_on_initial_sync &&
      view.sync_completed) {
    if (auto paused = do_pause(); !paused) {
      log::warn("could not pause after the initial sync", {{"reason", paused.error().message}});
      next_try_ = parts_.clock.steady_now() + kRetryInterval;
    }
  }
  progress_log_.retries(engine_->pipeline().progress(), now);
  if (progress_log_.progress_is_due(now)) {
    const double rate = progress_log_.progress(status(), now);
    const std::lock_guard lock(mutex_);
    clone_rate_ = rate;
  }
  source_clock_.reach(engine_->pipeline().progress().source_time.get(), now);
  return what_moves(view, now);
}

Standstill::EngineSeen Controller::what_moves(const RouterView& view, SteadyTime now) const {
  const Progress& progress = engine_->pipeline().progress();
  Standstill::EngineSeen out;
  out.last_failure = progress.last_retry();
  StallDetector::Seen& seen = out.work;
  if (record_.state == JobState::running || (record_.state == JobState::finalizing && approach_)) {
    seen.copying.present =
        view.collections_copied < view.collections_total || (view.indexes_unfinished > 0 && view.building.empty());
    // Behind F there is no work. Elsewhere: what the source wrote more than two seconds
    // ago. What it writes while the stream is broken may be unknown.
    seen.stream.present = approach_ ? !(view.reached_limit && view.limit == approach_->end())
                                    : progress.stream_broken || source_clock_.lag(view.replicated, now) > Millis(2000);
  }
  seen.copying.numbers = {
      static_cast<std::uint64_t>(view.collections_copied), static_cast<std::uint64_t>(progress.copied_bytes.load()),
      static_cast<std::uint64_t>(progress.copied_documents.load()), static_cast<std::uint64_t>(view.indexes_built)};
  seen.stream.numbers = {view.replicated.packed(), static_cast<std::uint64_t>(progress.events_applied.load()), 0, 0};
  return out;
}

void Controller::watch_conversion(SteadyTime now) {
  const bool converts = conversion_ && conversion_->begun();
  const Finalizer::CollectionsDone compared = converts ? conversion_->collections() : Finalizer::CollectionsDone{};
  if (converts && progress_log_.progress_is_due(now)) progress_log_.conversion(compared.done, compared.total, now);
  const std::lock_guard lock(mutex_);
  compared_ = compared;
}

// Work there is, and nothing moves: never a healthy status.
void Controller::watch_for_standstill(const std::optional<Standstill::EngineSeen>& engine, SteadyTime now) {
  if (conversion_ && conversion_->progress().retries != conversion_retries_) {
    conversion_retries_ = conversion_->progress().retries;
    if (conversion_retries_ > 0) standstill_.failed(conversion_->progress().last_retry(), now);
  }
  const std::string& text = standstill_.look(engine, now);
  const std::lock_guard lock(mutex_);
  stall_ = text;
}

// In the monitor's thread.
Status Controller::see_oplog() {
  auto window = parts_.source.oplog_window();
  if (!window) return fail(std::move(window.error()));
  const SteadyTime now = parts_.clock.steady_now();
  source_clock_.see(window->newest, now);
  const std::lock_guard lock(mutex_);
  oplog_.see(*window, now);
  return {};
}

bool Controller::needs_oplog() const {
  const std::lock_guard lock(mutex_);
  return depends_on_oplog(record_);
}

// ---- Finalizing ------------------------------------------------------------------------------

Result<Step> Controller::advance_finalize() {
  if (conversion_) return convert();
  const Cancelled cancelled = [this] { return thread_.get_stop_token().stop_requested(); };
  const Conversion::Parts parts{parts_.source, parts_.target, parts_.store, parts_.clock};
  if (record_.converting) {  // after a restart, or a failure in this phase
    if (auto same = check_same_source(parts_.source, record_.source); !same) return fail(same.error());
    auto resumed = Conversion::resume(parts, record_, ++seed_, cancelled, settings_.drive);
    if (!resumed) return fail(std::move(resumed.error()));
    conversion_ = *std::move(resumed);
    return Step::worked;
  }
  if (!engine_) {
    engine_wanted_ = true;
    return Step::waiting;
  }
  if (!approach_) {
    auto filter = Filter::make(record_.options.include_namespaces, record_.options.exclude_namespaces);
    if (!filter) return fail(std::move(filter.error()));
    approach_.emplace(FinalApproach::Parts{parts_.source, parts_.store, parts_.clock}, *std::move(filter),
                      FinalizeOptions{record_.finalization && record_.finalization->waive_parked});
  }
  auto arrived = approach_->step(*engine_);
  if (!arrived) return fail(std::move(arrived.error()));
  if (!*arrived) return Step::waiting;
  if (approach_->fell_short()) {
    note_warning(
        "the source is still being written; some documents on the target are newer than the end of replication");
  }
  for (const std::string& warning : approach_->warnings()) note_warning(warning);
  JobRecord record = record_;
  put_waived(approach_->waived(), *record.finalization);
  const Listing listing = approach_->listing();
  const std::shared_ptr<Engine> engine = engine_;
  drop_engine();  // for good: nothing is replayed any more
  conversion_ = std::make_unique<Conversion>(parts, std::move(engine->pipeline().router().catalog()), listing,
                                             std::move(record), ++seed_, cancelled, settings_.drive);
  return Step::worked;
}

Result<Step> Controller::convert() {
  auto step = conversion_->step();
  if (!step) return step;
  if (conversion_->begun() && !record_.converting) {
    const std::lock_guard lock(mutex_);
    record_.converting = true;
    record_.finalization = conversion_->record().finalization;
  }
  if (!conversion_->done()) return step;

  JobRecord next = record_;
  next.finalization = conversion_->record().finalization;
  next.finalization->completed = true;
  next.finalization->completed_at = parts_.clock.wall_now();
  const StatusReport::Finalization report = *next.finalization;
  if (auto changed = change_state(JobEvent::finalize_done, std::move(next)); !changed) {
    return fail(std::move(changed.error()));
  }
  conversion_.reset();
  for (const std::string& difference : report.differences) log::warn("difference", {{"what", difference}});
  log::info("finalized",
            {{"failedIndexes", report.unsuccessful_indexes.size()}, {"differences", report.differences.size()}});
  return Step::waiting;
}

// Kept with the job, once each.
void Controller::note_warning(const std::string& text) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string>& known = record_.warnings;
  if (known.size() >= kMostWarnings || std::ranges::find(known, text) != known.end()) return;
  log::warn(text);
  known.push_back(text);
  record_unsaved_ = true;
}

// ---- The truth --------------------------------------------------------------------------------

// What a copier copies once more counts once, and is not taken back meanwhile. With the lock.
void Controller::note_shown(const StatusReport& shown) const {
  StatusReport::InitialSync& most = last_report_.initial_sync;
  most.cloned_bytes = std::max(most.cloned_bytes, shown.initial_sync.cloned_bytes);
  most.cloned_documents = std::max(most.cloned_documents, shown.initial_sync.cloned_documents);
}

StatusReport Controller::status() const {
  StatusReport out;
  std::string stall;
  double rate = 0;
  Finalizer::CollectionsDone compared;
  JobRecord record;
  std::string load_error;
  std::string standby_for;
  std::optional<ApplyMode> mode;
  OplogWatch oplog;
  {
    // The engine is asked with the lock, so that what is shown of it is in the last report when it is gone.
    const std::lock_guard lock(mutex_);
    if (engine_) {
      add_engine_report(*engine_, out);
      count_on(last_report_, out);
      note_shown(out);
    } else {
      out = last_report_;
    }
    oplog = oplog_;
    record = record_;
    mode = mode_;
    stall = stall_;
    standby_for = standby_for_;
    rate = clone_rate_;
    compared = compared_;
    load_error = load_error_;
  }
  out.mode = mode;
  out.standby_for = std::move(standby_for);
  out.state = record.state;
  out.error = record.error;
  out.finalization = record.finalization;
  if (out.finalization && !out.finalization->completed) {
    out.finalization->collections_done = compared.done;
    out.finalization->collections_total = compared.total;
  }
  out.warnings = record.warnings;
  if (!load_error.empty()) out.warnings.push_back("the saved state could not be read yet: " + load_error);
  out.state_problem = load_error;
  if (out.state != JobState::finalized) {
    for (const std::string& index : out.initial_sync.indexes_failed) {
      out.warnings.push_back("an index could not be built yet; finalize tries it again: " + index);
    }
  }
  out.stall = stall;
  if (!stall.empty()) out.warnings.push_back(stall);
  out.source = source_monitor_.report();
  out.target = target_monitor_.report();
  for (const auto& [name, server] : {std::pair{"source", &out.source}, std::pair{"target", &out.target}}) {
    if (!server->reachable) out.warnings.push_back(server->unreachable_words(name));
  }
  if (depends_on_oplog(record)) out.oplog = oplog.use(out.last_replicated, parts_.clock.steady_now());
  if (std::string warning = oplog_warning(out); !warning.empty() && warning != out.error) {
    out.warnings.push_back(std::move(warning));
  }
  add_lag(source_clock_.lag(out.last_replicated, parts_.clock.steady_now()), parts_.clock.wall_now(), out);
  if (rate > 0 && !out.initial_sync.clone_completed) {
    const auto left = out.initial_sync.estimated_bytes - out.initial_sync.cloned_bytes;
    out.initial_sync.eta_seconds =
        std::max<std::int64_t>(0, static_cast<std::int64_t>(static_cast<double>(left) / rate));
  }
  out.info = out.standby_for.empty() ? describe_phase(out) : "Standby: " + out.standby_for + " works on the target";
  return out;
}

}  // namespace plm
