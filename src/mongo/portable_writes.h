// Portable mode: changes as update and delete commands, which every server
// allows.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mongo/write_command.h"
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

// Applies operations in order; those that fail do not stop the others. To be
// followed by DataConnection::settle().
Status apply_portably(DataConnection& connection, const OperationRun& run, DiffSupport diffs,
                      std::vector<OperationFailure>& failures);

}  // namespace plm::mongo
