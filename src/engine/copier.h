// Copies ranges, one job at a time, one batch a step.
#pragma once

#include <memory>
#include <optional>

#include "base/backoff.h"
#include "base/mailbox.h"
#include "engine/job_queue.h"
#include "engine/messages.h"
#include "engine/progress.h"
#include "engine/range_merge.h"
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
    JobQueue<CopyJob>& jobs;
    Mailbox<RouterMessage>& router;
    Progress& progress;
  };
  Copier(Parts parts, std::uint64_t seed, std::int64_t batch_bytes)
      : parts_(parts), backoff_(seed), batch_bytes_(batch_bytes) {}

  Result<Step> step() override;

 private:
  // True: the job is done and reported; false: there is more to do.
  Result<bool> work_on(CopyJob& job);
  Result<bool> copy_batch(CopyJob& job);
  Status open_reader(CopyJob& job);
  Result<DocumentBatch> read_source();
  void count(const CollectionStats& documents);
  void report(const CopyJob& job, RangeEnded::How how);
  void report_rejected(const CopyJob& job, std::vector<bson::OwnedValue> ids);

  // ---- What merges
  Result<bool> merge_batch(CopyJob& job);
  Status open_merge(CopyJob& job);
  Status read_for_merge(const CopyJob& job);
  Status insert_missing(const CopyJob& job, const std::vector<bson::View>& missing);
  Status apply_differences(const CopyJob& job, const RangeMerge::Differences& found);
  void close();

  Parts parts_;
  Backoff backoff_;
  std::int64_t batch_bytes_;
  std::optional<CopyJob> job_;
  std::unique_ptr<RangeReader> reader_;
  std::unique_ptr<RangeReader> target_reader_;  // of a job that merges
  RangeMerge merge_;
  CollectionStats copied_;  // by the present job
  ClusterTime read_time_;
};

}  // namespace plm
