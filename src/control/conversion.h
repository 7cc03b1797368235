// The second half of finalize, without the engine: the target's indexes and
// options become real. Behind its first step there is no way back (I9): what was
// replicated would be replayed over indexes that reject and remove documents.
// So that the job is converting is saved before the first index becomes real,
// with the catalog at F; an attempt of unknown outcome is repeated until one
// succeeds. After a restart the conversion begins anew, over its own result.
#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/task_group.h"
#include "control/job_record.h"
#include "engine/catalog.h"
#include "engine/engine.h"
#include "engine/finalizer.h"
#include "engine/listing.h"
#include "seams/source.h"
#include "seams/state_store.h"
#include "seams/target.h"

namespace plm {

class Conversion {
 public:
  struct Parts {  // all outlive the Conversion
    Source& source;
    Target& target;
    StateStore& store;
    Clock& clock;
  };
  // Of an engine that is at rest at F. `record` is the job's, in state finalizing.
  // Collections are converted several at a time, each in a thread; by hand: one
  // in each step().
  Conversion(Parts parts, Catalog catalog, const Listing& listing, JobRecord record, std::uint64_t seed,
             Cancelled cancelled, Drive drive);
  // Goes on with one that an earlier process, or an attempt before, has begun.
  // Errors: those of the store; stored_format when nothing is saved.
  [[nodiscard]] static Result<std::unique_ptr<Conversion>> resume(Parts parts, JobRecord record, std::uint64_t seed,
                                                                  Cancelled cancelled, Drive drive);
  Conversion(const Conversion&) = delete;
  Conversion& operator=(const Conversion&) = delete;
  Conversion(Conversion&&) = delete;
  Conversion& operator=(Conversion&&) = delete;
  ~Conversion() = default;  // what is under way is cancelled, to be repeated

  // Retryable errors: call again.
  [[nodiscard]] Result<Step> step();
  // Saved: from here on record() is the job's record.
  [[nodiscard]] bool begun() const { return finalizer_ != nullptr; }
  [[nodiscard]] bool done() const { return begun() && finalizer_->done(); }
  // Of the Finalizer, once begun.
  [[nodiscard]] Finalizer::CollectionsDone collections() const { return finalizer_->collections(); }
  // With `converting`, and with what is known to differ; when done, all of it.
  [[nodiscard]] JobRecord record() const;
  [[nodiscard]] const Progress& progress() const { return progress_; }

 private:
  Conversion(Parts parts, Catalog catalog, JobRecord record, std::uint64_t seed, Cancelled cancelled, Drive drive);
  void begin(Finalizer::Turn turn);
  Status drop_what_is_lost();

  Parts parts_;
  Catalog catalog_;
  JobRecord record_;
  std::uint64_t seed_;
  Cancelled cancelled_;
  Drive drive_;
  Progress progress_;
  LostOnSource lost_;
  std::vector<StoreChange> changes_;  // the save that begins it
  std::unique_ptr<Finalizer> finalizer_;
  TaskGroup threads_;  // they end before the finalizer
};

// Into the report of a finalization. What is said of them fits into the job's record, however many they are.
void put_waived(const std::vector<ParkedDocument>& waived, StatusReport::Finalization& out);

}  // namespace plm
