// Portable mode: changes as update and delete commands, which every server
// allows.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mongo/writers.h"
#include "seams/target.h"

namespace plm::mongo {

// How an update hands a $v:2 diff to the server.
enum class DiffSupport {
  none,      // not at all: such an operation is reported as missing
  pipeline,  // by the stage $_internalApplyOplogUpdate
};

// Whether the body of a diff operation is {$set: ..., $unset: ...}.
[[nodiscard]] bool is_classic_update(bson::View body);

// Applies operations in order; those that fail do not stop the others. The
// positions in `failures` begin at `first_position`.
Status apply_portably(DataConnection& connection, std::span<const TargetOperation> operations, DiffSupport diffs,
                      std::size_t first_position, std::vector<OperationFailure>& failures);

}  // namespace plm::mongo
