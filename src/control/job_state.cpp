#include "control/job_state.h"

#include "base/check.h"

namespace plm {

std::optional<JobState> transition(JobState state, JobEvent event) {
  switch (state) {
    case JobState::idle:
      if (event == JobEvent::start) return JobState::running;
      if (event == JobEvent::reset) return JobState::idle;
      return std::nullopt;
    case JobState::running:
      if (event == JobEvent::pause) return JobState::paused;
      if (event == JobEvent::finalize) return JobState::finalizing;
      if (event == JobEvent::fail) return JobState::failed;
      return std::nullopt;
    case JobState::paused:
      if (event == JobEvent::resume) return JobState::running;
      if (event == JobEvent::finalize) return JobState::finalizing;
      if (event == JobEvent::fail) return JobState::failed;
      if (event == JobEvent::reset) return JobState::idle;
      return std::nullopt;
    case JobState::finalizing:
      if (event == JobEvent::finalize_done) return JobState::finalized;
      if (event == JobEvent::fail) return JobState::failed;
      return std::nullopt;
    case JobState::finalized:
      if (event == JobEvent::start) return JobState::running;
      if (event == JobEvent::reset) return JobState::idle;
      return std::nullopt;
    case JobState::failed:
      if (event == JobEvent::resume_running) return JobState::running;
      if (event == JobEvent::resume_finalizing) return JobState::finalizing;
      if (event == JobEvent::reset) return JobState::idle;
      return std::nullopt;
  }
  CHECK(!"unknown state");
  return std::nullopt;
}

std::string_view name_of(JobState state) {
  switch (state) {
    case JobState::idle:
      return "idle";
    case JobState::running:
      return "running";
    case JobState::paused:
      return "paused";
    case JobState::finalizing:
      return "finalizing";
    case JobState::finalized:
      return "finalized";
    case JobState::failed:
      return "failed";
  }
  CHECK(!"unknown state");
  return {};
}

std::optional<JobState> job_state_named(std::string_view name) {
  for (const JobState state : kAllJobStates) {
    if (name_of(state) == name) return state;
  }
  return std::nullopt;
}

std::string_view possible_requests(JobState state) {
  switch (state) {
    case JobState::idle:
      return "start, reset";
    case JobState::running:
      return "pause, finalize (after the initial sync)";
    case JobState::paused:
      return "resume, finalize (after the initial sync), reset";
    case JobState::finalizing:
      return "nothing but waiting for its end";
    case JobState::finalized:
      return "start, reset";
    case JobState::failed:
      return "resume with fromFailure (--from-failure) or recopy (--recopy), reset";
  }
  CHECK(!"unknown state");
  return {};
}

}  // namespace plm
