// What the Controller saves of a job, apart from what the engine saves: the
// document state/"job". See engine/saved_job.h for the rest.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "control/job_options.h"
#include "control/job_state.h"
#include "control/status_report.h"
#include "seams/state_store.h"

namespace plm {

// The replica set that a job replicates: see ServerInfo.
struct SourceSet {
  std::string name;
  std::string id;
};

struct JobRecord {
  JobState state = JobState::idle;
  JobOptions options;
  SourceSet source;
  std::string error;
  bool failed_finalizing = false;  // the failure happened in finalizing
  Recopy recopy = Recopy::none;    // the engine begins with that, before anything else
  // I9: everything up to F is applied and saved; nothing is replayed any more.
  bool converting = false;
  std::optional<StatusReport::Finalization> finalization;
  std::vector<std::string> warnings;
};

[[nodiscard]] bson::Document to_document(const JobRecord& record);
// Error: stored_format.
[[nodiscard]] Result<JobRecord> job_record_from(bson::View document);

// The record of the store; an idle one when nothing was saved.
[[nodiscard]] Result<JobRecord> load_record(StateStore& store);
[[nodiscard]] StoreChange change_of(const JobRecord& record);

// Whether the job goes on from a position that has to be in the source's oplog.
// Behind I9 nothing is read from the stream any more; what is to be copied again
// begins with a position of its own.
[[nodiscard]] bool depends_on_oplog(const JobRecord& record);

}  // namespace plm
