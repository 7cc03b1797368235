// What a job fails with, and what its resume is refused with, when the source's
// oplog no longer reaches back to its position: the only way on is to copy again
// (recopy.h).
#pragma once

#include "base/error.h"
#include "model/cluster_time.h"

namespace plm {

// Error: wrong_state, with the exact word "position_lost" for programs.
[[nodiscard]] inline Error position_lost(const ClusterTime& position) {
  return {ErrorCode::wrong_state,
          0,
          {"plm:position_lost"},
          "the position " + position.text() +
              " is no longer in the source's oplog, so the changes behind it cannot be read any more; go on by copying "
              "again: plm resume --recopy changed compares both sides and writes what differs, "
              "plm resume --recopy all drops everything on the target and copies it anew"};
}

}  // namespace plm
