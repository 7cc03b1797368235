// From what the engine knows to the status report.
#pragma once

#include <optional>

#include "control/status_report.h"
#include "engine/engine.h"
#include "engine/saved_job.h"

namespace plm {

void add_engine_report(const Engine& engine, StatusReport& report);

// Counters go on where an engine of the same job left them: one that begins again
// at an older save does not take them back.
void count_on(const StatusReport& before, StatusReport& now);

// Of a job that no engine works on.
[[nodiscard]] StatusReport report_of(const SavedJob& job);

// Lag: how long the source has had something that the target has not acknowledged
// (I8), by SourceClock. While the source does not answer, that time counts, too.
// None: the source was not seen yet.
void add_lag(std::optional<Millis> by_source, WallTime now, StatusReport& report);

// What there is to fear for the position in the source's oplog, and what to do; empty: nothing.
[[nodiscard]] std::string oplog_warning(const StatusReport& report);

// "Initial Sync: Cloning Data" and so on, the words of the API.
[[nodiscard]] std::string describe_phase(const StatusReport& report);

}  // namespace plm
