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
  Status apply(std::span<const TargetOperation> operations);

 private:
  enum class Way { key_deletion, apply_ops, portable };
  using Operations = std::span<const TargetOperation>;

  [[nodiscard]] Way way_of(Operations operations) const;
  [[nodiscard]] std::size_t run_length(Operations operations, Way way) const;
  Status apply_run(Operations run, Way way, std::size_t position);
  Status erase(Operations run, std::size_t position);

  DataConnection& connection_;
  ApplyMode mode_;
  DiffSupport diffs_;
  std::vector<OperationFailure>& failures_;
};

}  // namespace plm::mongo
