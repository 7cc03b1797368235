// The states of a job and every way between them.
//
//                  start                 finalize               done
//   idle ───────────────────► running ───────────► finalizing ───────► finalized
//    ▲                        │  ▲ │                │      ▲               │
//    │ reset            pause │  │ │ fail      fail │      │ resume        │ start
//    │                        ▼  │ ▼                ▼      │ (failed       ▼
//    └───── paused, failed,  paused  failed ◄───────┘──────┘  there)    running
//           finalized               │
//                                   └─ resume (from failure) ─► running
//
//   paused ── resume ──► running        paused ── finalize ──► finalizing
#pragma once

#include <optional>
#include <string_view>

namespace plm {

enum class JobState { idle, running, paused, finalizing, finalized, failed };

enum class JobEvent {
  start,  // a user starts a new job
  pause,
  resume,             // from paused
  resume_running,     // from a failure while running
  resume_finalizing,  // from a failure while finalizing
  finalize,
  finalize_done,
  fail,
  reset,
};

inline constexpr JobState kAllJobStates[] = {JobState::idle,       JobState::running,   JobState::paused,
                                             JobState::finalizing, JobState::finalized, JobState::failed};
inline constexpr JobEvent kAllJobEvents[] = {JobEvent::start,
                                             JobEvent::pause,
                                             JobEvent::resume,
                                             JobEvent::resume_running,
                                             JobEvent::resume_finalizing,
                                             JobEvent::finalize,
                                             JobEvent::finalize_done,
                                             JobEvent::fail,
                                             JobEvent::reset};

// The state that follows; none when the event is not allowed in this state.
[[nodiscard]] std::optional<JobState> transition(JobState state, JobEvent event);

[[nodiscard]] std::string_view name_of(JobState state);  // "idle", the words of the API
[[nodiscard]] std::optional<JobState> job_state_named(std::string_view name);

// What a user can ask for in this state, for refusals: "start, reset".
[[nodiscard]] std::string_view possible_requests(JobState state);

}  // namespace plm
