// Splits the operations of one call into runs that can go to the server in one
// way, and sends them.
#pragma once

#include <span>
#include <vector>

#include "mongo/portable_writes.h"
#include "mongo/writers.h"
#include "seams/target.h"

namespace plm::mongo {

class OperationRuns {
 public:
  // `connection` and `failures` outlive this.
  OperationRuns(DataConnection& connection, ApplyMode mode, DiffSupport diffs, std::vector<OperationFailure>& failures)
      : connection_(connection), mode_(mode), diffs_(diffs), failures_(failures) {}

  // In order; what fails is added to the failures and does not stop the others.
  // Returns when a majority has it, for which it waits once.
  Status apply(std::span<const TargetOperation> operations);

 private:
  using Operations = std::span<const TargetOperation>;

  enum class Way { insert, apply_ops, portable };

  Status erase(const OperationRun& erases);
  Status write(const OperationRun& run);
  Status write_alike(const OperationRun& run, Way way);
  Status insert(const OperationRun& run);
  Status replace(const OperationRun& inserts, std::span<const std::size_t> positions);
  [[nodiscard]] Way way_of(const TargetOperation& operation) const;

  DataConnection& connection_;
  ApplyMode mode_;
  DiffSupport diffs_;
  std::vector<OperationFailure>& failures_;
};

}  // namespace plm::mongo
