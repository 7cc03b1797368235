// The truth about a job at one moment, for /status, /metrics and people.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "control/job_state.h"
#include "control/oplog_watch.h"
#include "model/cluster_time.h"
#include "seams/target.h"

namespace plm {

struct UnsuccessfulIndex {
  enum class Kind { failed, incomplete };
  std::string ns;
  std::string name;
  Kind kind = Kind::failed;
  bson::Document keys;
  std::string reason;
};

// A document that the target did not take and that finalize was told to go on without.
struct WaivedDocument {
  std::string ns;
  bson::OwnedValue id;
  std::string reason;
};

struct ServerReport {
  std::string uri;  // redacted
  std::string version;
  bool reachable = true;
  WallTime unreachable_since{};
  Millis silent_for{0};             // since it was asked in vain, by a clock that does not jump; 0: it answers
  std::string unreachable_because;  // the last reason; only while it is not reachable

  // One line for people.
  [[nodiscard]] std::string unreachable_words(std::string_view name) const {
    return fmt::format("the {} is unreachable: {}", name, unreachable_because);
  }
};

struct StatusReport {
  JobState state = JobState::idle;
  std::string error;  // only when failed
  std::string info;   // "Initial Sync: Cloning Data" ...
  // Who works on the target; empty: this process. A standby knows nothing of the job.
  std::string standby_for;
  std::optional<ApplyMode> mode;
  std::vector<std::string> warnings;
  std::string state_problem;  // why the saved state could not be read; empty: it was

  std::int64_t lag_seconds = 0;
  std::int64_t events_read = 0;
  std::int64_t events_applied = 0;
  ClusterTime last_replicated;
  std::optional<OplogUse> oplog;  // of the source, by last_replicated; none: nothing depends on it

  struct InitialSync {
    bool completed = false;
    bool clone_completed = false;
    std::int64_t lag_seconds = 0;
    std::int64_t estimated_bytes = 0;
    std::int64_t cloned_bytes = 0;
    std::int64_t cloned_documents = 0;
    std::int64_t eta_seconds = 0;
    std::int64_t collections_total = 0;
    std::int64_t collections_copied = 0;
    std::vector<std::string> collections_copying;
    std::int64_t indexes_total = 0;
    std::int64_t indexes_built = 0;
    std::vector<std::string> indexes_building;
    std::vector<std::string> indexes_failed;  // some of them, with the reasons; finalize tries them again
  } initial_sync;

  struct Finalization {
    bool completed = false;
    WallTime started_at{};
    std::optional<WallTime> completed_at;
    // Not of the saved job, while collections are made what they are on the source:
    std::int64_t collections_done = 0;
    std::int64_t collections_total = 0;  // 0: that has not begun yet in this process, or is over
    std::vector<UnsuccessfulIndex> unsuccessful_indexes;
    std::vector<std::string> differences;  // what the final comparison found
    bool waive_parked = false;             // as asked
    std::int64_t waived_count = 0;
    std::vector<WaivedDocument> waived;  // the first of them
  };
  std::optional<Finalization> finalization;  // from finalize on

  struct Parked {
    std::int64_t count = 0;
    std::vector<std::string> sample;  // "db.coll _ID: reason", the _id as JSON
  } parked;

  ServerReport source;
  ServerReport target;

  // Present while a job works.
  std::int64_t retries = 0;
  std::string stall;  // nothing moves though there is work: since when, and why; empty: no

  // For the API: "running", "standby".
  [[nodiscard]] std::string_view state_name() const { return standby_for.empty() ? name_of(state) : "standby"; }
};

}  // namespace plm
