// What the Router and its workers say to each other.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/operation.h"
#include "engine/saved_job.h"
#include "model/collection.h"
#include "model/range.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

struct RangeId {
  Uuid collection;
  std::size_t index = 0;
  bool operator==(const RangeId&) const = default;
};

// ---- Router to preparers ---------------------------------------------------

// Create the twin and find the bounds of the ranges.
struct PrepareJob {
  CollectionSpec spec;
  bool create_twin = false;
  std::optional<Namespace> name;   // of the twin, once one was decided on
  Twin twin;                       // once it is created
  std::vector<IndexSpec> indexes;  // of a new twin, plain; made at once when the collection is small
  std::int64_t small_weight = 0;   // up to which it is
  std::int64_t range_bytes = 0;
  std::shared_ptr<std::atomic<bool>> stop;
};

// ---- Router to copiers -----------------------------------------------------

// Copy one range. The job ends early, at the end of a batch, when `stop` is set.
struct CopyJob {
  RangeId range;
  std::shared_ptr<const CollectionRef> collection;
  KeyBounds bounds;
  ClusterTime after;         // the Router's position at the range's start (I1)
  bool clear_first = false;  // an unfinished copy may have left documents
  bool merge = false;        // instead of that: only what differs is written (range_merge.h)
  bool natural_order = false;
  bson::OwnedValue resume_at;  // go on from this _id, inclusive
  std::shared_ptr<std::atomic<bool>> stop;
};

// ---- Router to index builders ----------------------------------------------

struct IndexJob {
  Uuid collection;
  Twin twin;
  std::vector<IndexSpec> indexes;  // plain
  std::shared_ptr<std::atomic<bool>> stop;
};

// ---- Workers to the Router -------------------------------------------------

struct Prepared {
  Uuid collection;
  bool stopped = false;  // as asked: not finished
  Twin twin;             // nil UUID: not created
  CollectionStats estimate;
  std::vector<KeyBounds> ranges;
  std::vector<IndexResult> indexes;  // none: not small, they follow the data
};

struct RangeEnded {
  enum class How {
    copied,   // every document of the range is acknowledged by the target
    stopped,  // as asked; goes on at `resume_at`
    unsure,   // what was sent last may still arrive (working_name.h); goes on at `resume_at`
    gone,     // the collection does not exist any more, ahead of the stream
    broken,   // cannot go on from where it was: to be copied anew (natural order)
  };
  RangeId range;
  How how = How::copied;
  bool to_clear = false;  // stopped before the range was cleared
  bson::OwnedValue resume_at;
  CollectionStats copied;  // by this job
  ClusterTime read_time;   // newest operationTime of its reads
};

// _ids of documents that the target refused, while the copy of the range goes on.
struct Rejected {
  RangeId range;
  std::vector<bson::OwnedValue> ids;
};

struct IndexesBuilt {
  Uuid collection;
  std::vector<IndexResult> results;
};

struct Saved {
  std::uint64_t generation = 0;
};

// From outside: parked documents are to be tried again.
struct RetryParked {
  std::vector<ParkedDocument> documents;
};

// From outside: indexes that could not be built are to be tried again.
struct RetryIndexes {};

using RouterMessage = std::variant<Prepared, RangeEnded, Rejected, IndexesBuilt, Saved, RetryParked, RetryIndexes>;

}  // namespace plm
