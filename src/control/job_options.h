// What a user can choose for one job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/recopy.h"

namespace plm {

// Tuning; 0 means "plm chooses". Names as in the API, cloneNumParallelCollections
// and so on.
struct Tuning {
  int clone_parallel_collections = 0;    // collections copied at a time
  int clone_read_workers = 0;            // ranges copied at a time (a worker reads and inserts)
  int clone_insert_workers = 0;          // accepted for compatibility; the larger of both counts
  std::int64_t clone_segment_bytes = 0;  // size of a range
  std::int64_t clone_read_batch_bytes = 0;
  int apply_workers = 0;
  int apply_batch_operations = 0;

  bool operator==(const Tuning&) const = default;
};

struct JobOptions {
  std::vector<std::string> include_namespaces;
  std::vector<std::string> exclude_namespaces;
  bool replace_target = false;
  bool pause_on_initial_sync = false;
  Tuning tuning;

  bool operator==(const JobOptions&) const = default;
};

// What a user asks of resume.
struct ResumeOptions {
  bool from_failure = false;
  Recopy recopy = Recopy::none;  // also from a failure
};

// What a user asks of finalize.
struct FinalizeOptions {
  // Go on without the documents that the target does not take; the report names them.
  bool waive_parked = false;
};

}  // namespace plm
