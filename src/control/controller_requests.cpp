// What the Controller is asked to do: first in the caller's thread, then in its own.
#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "control/controller.h"
#include "control/preflight.h"
#include "engine/position_lost.h"

namespace plm {

namespace {

constexpr Millis kPauseLimit{15'000};
constexpr Millis kRefusedLimit{5000};

Error standing_by(const std::string& owner) {
  return {ErrorCode::superseded, 0, {}, "this plm is a standby: " + owner + " works on the target; ask that one"};
}

}  // namespace

// ---- In the caller's thread ---------------------------------------------------------------

Status Controller::ask(Request request) {
  if (settings_.drive == Drive::by_hand) return request();
  std::packaged_task<Status()> task(std::move(request));
  std::future<Status> answer = task.get_future();
  {
    const std::lock_guard lock(requests_mutex_);
    if (closed_) return fail(ErrorCode::cancelled, "plm is shutting down");
    requests_.push_back(std::move(task));
  }
  wake_.raise();
  return answer.get();
}

Status Controller::start(const JobOptions& options) {
  if (auto allowed = refuse_early("start", [this] { return allows(JobEvent::start); }); !allowed) return allowed;
  return ask([this, options] { return do_start(options); });
}
Status Controller::pause() {
  if (auto allowed = refuse_early("pause", [this] { return allows(JobEvent::pause); }); !allowed) return allowed;
  return ask([this] { return do_pause(); });
}
Status Controller::resume(const ResumeOptions& options) {
  const auto may_resume = [this] { return allows(JobEvent::resume) || allows(JobEvent::resume_running); };
  if (auto allowed = refuse_early("resume", may_resume); !allowed) return allowed;
  return ask([this, options] { return do_resume(options); });
}
Status Controller::finalize(const FinalizeOptions& options) {
  const auto may_finalize = [&] { return finalize_event(options).has_value(); };
  if (auto allowed = refuse_early("finalize", may_finalize); !allowed) return allowed;
  return ask([this, options] { return do_finalize(options); });
}
Status Controller::reset() {
  if (auto allowed = refuse_early("reset", [this] { return allows(JobEvent::reset); }); !allowed) return allowed;
  return ask([this] { return do_reset(); });
}

// What the state forbids is refused at once, not behind a long piece of work.
Status Controller::refuse_early(std::string_view request, const std::function<bool()>& allowed) const {
  const std::lock_guard lock(mutex_);
  if (!standby_for_.empty()) return fail(standing_by(standby_for_));
  if (!load_error_.empty() || allowed()) return {};
  return wrong_state(request, record_.state);
}

// What could not be written may have made an earlier finalize fail: then this one
// goes on with it.
std::optional<JobEvent> Controller::finalize_event(const FinalizeOptions& options) const {
  if (transition(record_.state, JobEvent::finalize)) return JobEvent::finalize;
  const bool goes_on = options.waive_parked && record_.state == JobState::failed && record_.failed_finalizing;
  if (goes_on && !record_.converting) return JobEvent::resume_finalizing;
  return std::nullopt;
}

Status Controller::wrong_state(std::string_view request, JobState state) {
  return fail(ErrorCode::wrong_state, fmt::format("{} is not possible in state {}; possible: {}", request,
                                                  name_of(state), possible_requests(state)));
}

// ---- In the Controller's thread -----------------------------------------------------------

// A request right after the start, or after the target came back, does not wait for the next try.
Status Controller::require_loaded() {
  if (!not_loaded_) return {};
  auto loaded = load();
  if (loaded) return {};
  if (loaded.error().code == ErrorCode::superseded) {
    stand_by(loaded.error());
    return loaded;
  }
  not_loaded_ = loaded.error();
  // What is wrong with the servers says more than what came of it.
  if (!retryable(*not_loaded_)) {
    if (auto checked = check_servers(parts_.source, parts_.target); !checked) return checked;
  }
  return fail(not_loaded_->within("the saved state could not be read from the target"));
}

Status Controller::do_start(const JobOptions& options) {
  if (auto loaded = require_loaded(); !loaded) return loaded;
  if (!transition(record_.state, JobEvent::start)) return wrong_state("start", record_.state);
  auto filter = Filter::make(options.include_namespaces, options.exclude_namespaces);
  if (!filter) return fail(std::move(filter.error()));
  if (auto checked = check_servers(parts_.source, parts_.target); !checked) return checked;
  if (auto is_free = check_target_is_free(parts_.target, *filter, options.replace_target); !is_free) return is_free;
  auto source = parts_.source.info();
  if (!source) return fail(source.error().within("source"));
  if (auto cleared = parts_.store.clear(); !cleared)
    return fail(cleared.error().within("clearing the state of the job before"));
  JobRecord next;
  next.options = options;
  next.source = {source->set_name, source->set_id};
  if (auto changed = change_state(JobEvent::start, std::move(next)); !changed) return changed;
  {
    const std::lock_guard lock(mutex_);
    last_report_ = {};
    mode_.reset();
  }
  engine_wanted_ = true;
  next_try_ = {};
  return {};
}

Status Controller::do_pause() {
  if (auto loaded = require_loaded(); !loaded) return loaded;
  if (!transition(record_.state, JobEvent::pause)) return wrong_state("pause", record_.state);
  if (engine_ && !engine_->pause(kPauseLimit)) {
    engine_->resume();
    return fail(ErrorCode::network,
                "the target did not acknowledge within 15 s what was sent to it; plm goes on running");
  }
  JobRecord next = record_;
  next.options.pause_on_initial_sync = false;
  if (auto changed = change_state(JobEvent::pause, std::move(next)); !changed) {
    if (engine_) engine_->resume();
    return changed;
  }
  engine_wanted_ = false;
  return {};
}

Result<JobEvent> Controller::resume_event(const ResumeOptions& options) const {
  const bool recopies = options.recopy != Recopy::none;
  if (record_.state != JobState::failed) {
    if (!transition(record_.state, JobEvent::resume)) return fail(wrong_state("resume", record_.state).error());
    return JobEvent::resume;
  }
  if (recopies && record_.converting) {
    return fail(ErrorCode::wrong_state,
                "the job has failed while indexes were being made real, and nothing can be copied again behind that; "
                "resume it with fromFailure (--from-failure), or reset it and start anew");
  }
  if (!options.from_failure && !recopies) {
    return fail(ErrorCode::wrong_state,
                "the job has failed (" + record_.error + "); resume it with fromFailure (--from-failure), or reset it");
  }
  return record_.failed_finalizing && !recopies ? JobEvent::resume_finalizing : JobEvent::resume_running;
}

Status Controller::do_resume(const ResumeOptions& options) {
  if (auto loaded = require_loaded(); !loaded) return loaded;
  const auto event = resume_event(options);
  if (!event) return fail(event.error());
  if (auto checked = check_servers(parts_.source, parts_.target); !checked) return checked;
  if (auto same = check_same_source(parts_.source, record_.source); !same) return same;
  JobRecord next = record_;
  next.error.clear();
  if (options.recopy != Recopy::none) {
    next.recopy = options.recopy;
    next.failed_finalizing = false;
    next.finalization.reset();
  } else if (auto kept = require_position(); !kept) {
    return kept;
  }
  if (auto changed = change_state(*event, std::move(next)); !changed) return changed;
  if (options.recopy != Recopy::none) forget_progress();
  if (engine_) {
    engine_->resume();
  } else if (!record_.converting) {
    engine_wanted_ = true;
  }
  next_try_ = {};
  return {};
}

// What was copied is to be copied again: neither the engine nor its report holds any more.
void Controller::forget_progress() {
  drop_engine();
  const std::lock_guard lock(mutex_);
  last_report_.initial_sync = {};
  last_report_.parked = {};
}

Status Controller::do_finalize(const FinalizeOptions& options) {
  if (auto loaded = require_loaded(); !loaded) return loaded;
  const std::optional<JobEvent> event = finalize_event(options);
  if (!event) return wrong_state("finalize", record_.state);
  const StatusReport report = status();
  if (!report.initial_sync.completed) {
    return fail(ErrorCode::wrong_state, "finalize is possible when the initial sync is complete; it is not yet");
  }
  if (auto same = check_same_source(parts_.source, record_.source); !same) return same;
  if (auto kept = require_position(); !kept) return kept;
  if (!options.waive_parked) {
    if (auto settled = settle_refused(); !settled) return settled;
  }
  JobRecord next = record_;
  next.error.clear();
  StatusReport::Finalization finalization;
  finalization.started_at = parts_.clock.wall_now();
  finalization.waive_parked = options.waive_parked;
  next.finalization = std::move(finalization);
  next.failed_finalizing = false;
  next.converting = false;
  if (auto changed = change_state(*event, std::move(next)); !changed) return changed;
  if (engine_) {
    engine_->resume();
  } else {
    engine_wanted_ = true;
  }
  next_try_ = {};
  return {};
}

// What the target did not take is tried once more; while it cannot be done, the job
// had better go on running. Without an engine that is found out later.
Status Controller::settle_refused() {
  if (!engine_ || !has_refused(*engine_)) return {};
  if (auto retried = retry_refused(*engine_, parts_.store); !retried) return retried;
  const auto settled = [this] {
    return !has_refused(*engine_) && engine_->pipeline().router().view().indexes_unfinished == 0;
  };
  // Builds that take longer are waited for by the finalize itself.
  if (engine_->wait_until(settled, kRefusedLimit) || !has_refused(*engine_)) return {};
  return fail(refused_error(*engine_, parts_.store));
}

// A job that stands still asks the source's oplog itself before it goes on: it is
// refused, and stays as it is, instead of failing a moment later. A running one
// may have read ahead of what it saved. What the oplog does not tell, the stream does.
Status Controller::require_position() const {
  const ClusterTime position = status().last_replicated;
  if (record_.state == JobState::running || position.is_zero() || !depends_on_oplog(record_)) return {};
  const auto window = parts_.source.oplog_window();
  if (!window || position >= window->oldest) return {};
  return fail(position_lost(position));
}

// What is decisive is the record; whatever else is saved goes then, or with the
// next start.
Status Controller::do_reset() {
  if (auto loaded = require_loaded(); !loaded) return loaded;
  if (!transition(record_.state, JobEvent::reset)) return wrong_state("reset", record_.state);
  drop_engine();
  if (auto changed = change_state(JobEvent::reset, {}); !changed) return changed;
  if (auto cleared = parts_.store.clear(); !cleared) {
    log::warn("the saved state could not be cleared; the next start does it", {{"reason", cleared.error().message}});
  }
  const std::lock_guard lock(mutex_);
  last_report_ = {};
  mode_.reset();
  return {};
}

}  // namespace plm
