// What an engine is given for a job: how many work at it, and with what memory.
#pragma once

#include <cstddef>

#include "control/job_options.h"
#include "engine/pipeline.h"
#include "engine/saved_job.h"
#include "model/filter.h"

namespace plm {

// `target_processors`: 0 when they are not known.
[[nodiscard]] PipelineSettings plan_engine(const JobOptions& options, const Filter& filter, ApplyMode mode,
                                           std::size_t memory_bytes, int target_processors);

// To the log: what will be done, with what, and from where.
void tell_plan(const SavedJob& job, const PipelineSettings& plan, const JobOptions& options);

}  // namespace plm
