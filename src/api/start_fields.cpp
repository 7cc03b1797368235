#include "api/start_fields.h"

#include <fmt/format.h>

#include <array>

#include "api/sizes.h"

namespace plm {

namespace {

// More workers than this only take memory and connections from both servers.
constexpr std::int64_t kMaxWorkers = 256;
// What one reply or one write of a server can hold (maxMessageSizeBytes,
// maxWriteBatchSize in the answer of "hello").
constexpr std::int64_t kMaxMessageBytes = 48'000'000;
constexpr std::int64_t kMaxWriteBatch = 100'000;
constexpr std::int64_t kMaxSegmentBytes = std::int64_t{64} << 30;

const std::array<TuningField, 7> kFields = {{
    {"cloneNumParallelCollections", "clone-num-parallel-collections", "Collections copied at a time",
     &Tuning::clone_parallel_collections, kMaxWorkers},
    {"cloneNumReadWorkers", "clone-num-read-workers", "Ranges copied at a time", &Tuning::clone_read_workers,
     kMaxWorkers},
    {"cloneNumInsertWorkers", "clone-num-insert-workers", "Ranges copied at a time; the larger of both counts",
     &Tuning::clone_insert_workers, kMaxWorkers},
    {"cloneSegmentSize", "clone-segment-size", "Size of a range that is copied at once", &Tuning::clone_segment_bytes,
     kMaxSegmentBytes},
    {"cloneReadBatchSize", "clone-read-batch-size", "Size of one batch of documents", &Tuning::clone_read_batch_bytes,
     kMaxMessageBytes},
    {"replNumWorkers", "repl-num-workers", "Appliers of changes", &Tuning::apply_workers, kMaxWorkers},
    {"replBulkOpsSize", "repl-bulk-ops-size", "Operations applied at once", &Tuning::apply_batch_operations,
     kMaxWriteBatch},
}};

}  // namespace

std::span<const TuningField> tuning_fields() { return kFields; }

Status set_tuning(Tuning& tuning, const TuningField& field, std::int64_t value) {
  if (value < 0 || value > field.max) {
    return fail(
        ErrorCode::invalid_argument,
        field.is_size()
            ? fmt::format("must be a size from 0 (plm chooses) to {}, not {} bytes", format_size(field.max), value)
            : fmt::format("must be a whole number from 0 (plm chooses) to {}, not {}", field.max, value));
  }
  if (const auto* count = std::get_if<int Tuning::*>(&field.member)) {
    tuning.** count = static_cast<int>(value);
  } else {
    tuning.*std::get<std::int64_t Tuning::*>(field.member) = value;
  }
  return {};
}

}  // namespace plm
