// Copies ranges and prepares collections, one job at a time, one batch a step.
#pragma once

#include <memory>
#include <optional>

#include "base/backoff.h"
#include "base/mailbox.h"
#include "engine/job_queue.h"
#include "engine/messages.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

class Copier final : public Role {
 public:
  struct Parts {  // all outlive the copier
    Source& source;
    Target& target;
    Clock& clock;
    JobQueue<CopierJob>& jobs;
    Mailbox<RouterMessage>& router;
    Progress& progress;
  };
  Copier(Parts parts, std::uint64_t seed, std::int64_t batch_bytes)
      : parts_(parts), backoff_(seed), batch_bytes_(batch_bytes) {}

  Result<Step> step() override;

 private:
  // Each gives true when the job is done and reported, false when there is more to do.
  Result<bool> work_on(PrepareJob& job);
  Result<bool> work_on(CopyJob& job);
  Result<bool> copy_batch(CopyJob& job);
  Status open_reader(CopyJob& job);
  void report(const CopyJob& job, RangeEnded::How how);

  Parts parts_;
  Backoff backoff_;
  std::int64_t batch_bytes_;
  std::optional<CopierJob> job_;
  std::unique_ptr<RangeReader> reader_;
  CollectionStats copied_;  // by the present job
  ClusterTime read_time_;
  std::vector<bson::OwnedValue> rejected_;
};

// What a collection is created with on the target: options that would reject
// or remove documents while the job runs are left out (I7).
[[nodiscard]] bson::Document creation_options(const CollectionSpec& spec);

// Creates the twin of a collection. One of the same name that is there already
// is replaced when it is empty (an attempt of ours whose outcome was unknown,
// H13). Errors: wrong_state when it holds documents or is a view.
[[nodiscard]] Result<Uuid> create_twin(Target& target, const CollectionSpec& spec);

}  // namespace plm
