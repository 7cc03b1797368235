// The life of jobs: takes the requests, holds the state machine, starts and
// ends the engine, finalizes. One thread does all of it; requests queue up for
// that thread, and the next state is saved before its effects run, so that a
// crash at any moment goes on from there.
//
// All of it is under the lease on the target (I6): without it this process is a
// standby, which refuses requests and reads nothing but the lease; when it is
// lost, the engine is dropped and nothing more is saved.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/signal.h"
#include "control/conversion.h"
#include "control/final_approach.h"
#include "control/job_control.h"
#include "control/job_record.h"
#include "control/lease_keeper.h"
#include "control/oplog_watch.h"
#include "control/progress_log.h"
#include "control/server_monitor.h"
#include "control/source_clock.h"
#include "control/standstill.h"
#include "engine/engine.h"
#include "seams/source.h"
#include "seams/state_store.h"
#include "seams/target.h"

namespace plm {

class Controller final : public JobControl {
 public:
  struct Parts {  // all outlive the Controller
    Source& source;
    Target& target;
    StateStore& store;
    Clock& clock;
  };
  struct Settings {
    std::string source_uri;  // redacted, for people
    std::string target_uri;
    std::size_t memory_bytes = 512U << 20U;
    bool reset_state = false;         // forget what is saved, first of all
    std::optional<JobOptions> start;  // start this when nothing is saved
    LeaseKeeper::Self self;
    // By hand, for tests: no threads; requests are served in the caller's.
    Drive drive = Drive::threads;
  };

  // Begins at once to take the lease, to read the saved state and to go on with
  // its job; while that cannot be done, requests are refused with the reason.
  Controller(Parts parts, Settings settings);
  ~Controller() override;
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;
  Controller(Controller&&) = delete;
  Controller& operator=(Controller&&) = delete;

  Status start(const JobOptions& options) override;
  Status pause() override;
  Status resume(const ResumeOptions& options) override;
  using JobControl::finalize;
  Status finalize(const FinalizeOptions& options) override;
  Status reset() override;
  [[nodiscard]] StatusReport status() const override;

  // Brings the engine to rest, saves, ends the Controller's thread. True when it
  // all happened within `at_most`; otherwise the process may end all the same:
  // the last save holds.
  bool shutdown(Millis at_most);

  // By hand: what the threads would do, once around.
  void turn();

 private:
  using Request = std::function<Status()>;
  Status ask(Request request);
  [[nodiscard]] bool allows(JobEvent event) const { return transition(record_.state, event).has_value(); }
  [[nodiscard]] Status refuse_early(std::string_view request, const std::function<bool()>& allowed) const;
  // The event that this request is in the present state. None: refused.
  [[nodiscard]] std::optional<JobEvent> finalize_event(const FinalizeOptions& options) const;
  [[nodiscard]] static Status wrong_state(std::string_view request, JobState state);
  void run(const std::stop_token& stop);
  void serve_requests();
  Step tick();
  void handle(const Error& error);

  // Requests, in the Controller's thread.
  Status do_start(const JobOptions& options);
  Status do_pause();
  [[nodiscard]] Result<JobEvent> resume_event(const ResumeOptions& options) const;
  Status do_resume(const ResumeOptions& options);
  void forget_progress();
  Status do_finalize(const FinalizeOptions& options);
  Status do_reset();
  Status settle_refused();
  [[nodiscard]] Status require_position() const;
  [[nodiscard]] Status require_loaded();

  // The saved job.
  Status load();
  void stand_by(const Error& error);
  Status start_unasked();
  Status change_state(JobEvent event, JobRecord next);
  Status save_record(const JobRecord& record);

  // The running job.
  Result<SavedJob> find_job(const Filter& filter);
  Result<SavedJob> begin_anew(SavedJob job, std::vector<std::string> warnings);
  Status run_engine();
  void drop_engine();
  void fail_job(const Error& error);
  Standstill::EngineSeen watch_engine(SteadyTime now);
  [[nodiscard]] Standstill::EngineSeen what_moves(const RouterView& view, SteadyTime now) const;
  void watch_conversion(SteadyTime now);
  void watch_for_standstill(const std::optional<Standstill::EngineSeen>& engine, SteadyTime now);
  Status see_oplog();
  [[nodiscard]] bool needs_oplog() const;
  void note_shown(const StatusReport& shown) const;

  // Finalizing.
  Result<Step> advance_finalize();
  Result<Step> convert();
  void note_warning(const std::string& text);

  Parts parts_;
  Settings settings_;

  // Of the Controller's thread.
  std::optional<Error> not_loaded_;  // why; none: loaded
  Epoch taken_over_ = 0;             // the epoch under which the target was taken over
  bool engine_wanted_ = false;       // the state asks for an engine that is not there yet
  bool record_unsaved_ = false;      // the store may hold another record than record_
  SteadyTime next_try_{};
  SteadyTime next_oplog_look_{};
  std::string last_trouble_;
  std::int64_t conversion_retries_ = 0;  // that standstill_ knows of
  Standstill standstill_;
  ProgressLog progress_log_;
  std::uint64_t seed_ = 1;
  std::optional<FinalApproach> approach_;   // finalizing, with the engine
  std::unique_ptr<Conversion> conversion_;  // finalizing, without it: nothing is replayed any more

  // Shared with status().
  mutable std::mutex mutex_;
  JobRecord record_;
  std::shared_ptr<Engine> engine_;
  std::optional<ApplyMode> mode_;
  std::string load_error_ = "plm has just started";
  std::string standby_for_;
  std::string stall_;
  OplogWatch oplog_;
  double clone_rate_ = 0;                // bytes per second, of the last ten seconds
  Finalizer::CollectionsDone compared_;  // by the conversion under way; zeros: there is none
  // Of the engine that is gone; of one that works, the most that was shown as copied.
  mutable StatusReport last_report_;

  SourceClock source_clock_;
  Signal wake_;
  std::mutex requests_mutex_;
  std::deque<std::packaged_task<Status()>> requests_;
  bool closed_ = false;

  LeaseKeeper lease_;
  ServerMonitor source_monitor_;
  ServerMonitor target_monitor_;
  std::promise<void> ended_;
  std::future<void> ended_future_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace plm
