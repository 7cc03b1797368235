// Exact mode: changes as applyOps commands, which do what a secondary does. What
// is applied twice in the same order gives the same (I5).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mongo/write_command.h"
#include "mongo/writers.h"
#include "seams/target.h"

namespace plm::mongo {

// Whether the operation can be part of an applyOps command. Not so: documents
// that leave no room for the rest of a command, and $set/$unset updates, which
// oplogs of today do not have.
[[nodiscard]] bool expressible_in_apply_ops(const TargetOperation& operation);

// Applies operations, all expressible, in order; those that fail do not stop
// the others. To be followed by DataConnection::settle().
Status apply_ops(DataConnection& connection, const OperationRun& run, std::vector<OperationFailure>& failures);

// One command of as many of the operations as it is good to send at once, behind
// the operation on the fence of `connection`, if there is one. Without a write concern.
struct ApplyOpsCommand {
  bson::Builder command;
  std::size_t operations = 0;
};
ApplyOpsCommand encode_apply_ops(std::span<const TargetOperation> operations,
                                 const DataConnection* connection = nullptr);

}  // namespace plm::mongo
