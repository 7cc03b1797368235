// The target of a simulated run: seams/target.h over a MemoryDeployment. Unlike
// the seam it stands for, it may be used by one thread only.
//
// - apply does what applyOps of mongod 6.0.5 does: an operation on a UUID that
//   does not exist is rejected with 26, a duplicate in a unique index with 11000;
//   an upsert replaces the whole document, its _id's type included. Updates of
//   the portable mode ({$set, $unset}) are taken, too.
// - read_range, apply and list_indexes go by the UUID alone. Everything else that names a
//   twin answers 361 when the name and the UUID do not belong together, unless
//   the seam says that this is no error. What names a view goes by the name
//   alone, and would hit a collection as well.
// - A reader behaves as the source's do, with a few documents more in a batch.
// - insert and apply may fail behind a part of their writes; insert, apply and
//   clear_range may be held back, see late_writes.h.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "memory/deployment.h"
#include "memory/faults.h"
#include "memory/late_writes.h"
#include "seams/target.h"

namespace plm {

class MemoryTarget : public Target {
 public:
  // Both outlive the target.
  MemoryTarget(MemoryDeployment& deployment, FaultPlan& faults) : MemoryTarget(deployment, faults, nullptr) {}
  // One of several processes that write to the deployment. `late` outlives the target.
  MemoryTarget(MemoryDeployment& deployment, FaultPlan& faults, LateWrites* late)
      : deployment_(deployment), faults_(faults), late_(late) {}

  // What probe_apply_mode finds out.
  void set_apply_mode(ApplyMode mode) { apply_mode_ = mode; }
  // Everything that ever was able to reject or remove a document while this
  // target was written to (see strict_parts in snapshot.h): empty as long as
  // invariant I7 holds.
  [[nodiscard]] const std::set<std::string>& strict_parts_seen() const { return strict_parts_seen_; }

  Status take_over(Epoch epoch) override;
  Result<ServerInfo> info() override;
  Status check_privileges() override;
  Result<ApplyMode> probe_apply_mode() override;
  Result<std::vector<std::string>> list_databases() override;
  Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases) override;
  Result<std::int64_t> count_documents(const Namespace& ns) override;
  Result<std::size_t> natural_order(const Namespace& ns) override;
  Result<Uuid> create(const Namespace& ns, bson::View options) override;
  Status drop(const Twin& twin) override;
  Status drop_view(const Namespace& ns) override;
  Status rename(const Twin& from, const Namespace& to) override;
  Status modify(const Twin& twin, bson::View change) override;
  std::vector<IndexResult> create_indexes(const Twin& twin, const std::vector<IndexSpec>& indexes,
                                          const Cancelled& cancelled = {}) override;
  Status drop_index(const Twin& twin, const std::string& name) override;
  Result<int> processors() override { return 2; }
  Status abort_builds(const Twin& /*twin*/) override { return {}; }  // builds take no time here
  Result<std::vector<IndexSpec>> list_indexes(const Twin& twin) override;
  Result<std::unique_ptr<RangeReader>> read_range(const Twin& twin, const KeyBounds& bounds,
                                                  std::int64_t batch_bytes) override;
  Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents,
                                               InsertFence fence = InsertFence::number) override;
  Result<std::vector<OperationFailure>> apply(std::span<const TargetOperation> operations) override;
  Status clear_range(const Twin& twin, const KeyBounds& bounds) override;

 private:
  Result<MemoryCollection*> find(const Twin& twin);
  Status create_index(const Twin& twin, const IndexSpec& index);
  Result<std::vector<OperationFailure>> insert_now(const Twin& twin, bson::View documents);
  Result<std::vector<OperationFailure>> insert_by_name(const Twin& twin, bson::View documents);
  Status clear_now(const Twin& twin, const KeyBounds& bounds);
  // For what happens when the process of this target may be gone.
  [[nodiscard]] MemoryTarget without_process() const { return {deployment_, faults_}; }
  std::optional<OperationFailure> apply_one(std::size_t index, const TargetOperation& operation);
  Status update(MemoryCollection& collection, const TargetOperation& operation);
  Status note_strict_parts(Status changed);
  [[nodiscard]] Status check_epoch() const;
  // Runs a write of documents: `now` with its result, or `later` without.
  template <typename Now, typename Later>
  auto write(Now&& now, Later&& later) -> decltype(now());

  MemoryDeployment& deployment_;
  FaultPlan& faults_;
  LateWrites* late_;
  Epoch epoch_ = 0;
  ApplyMode apply_mode_ = ApplyMode::exact;
  std::set<std::string> strict_parts_seen_;
};

}  // namespace plm
