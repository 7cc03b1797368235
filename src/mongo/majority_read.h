// The read concern of every read that decides data (I1).
#pragma once

#include "base/error.h"
#include "bson/document.h"
#include "model/cluster_time.h"

namespace plm::mongo {

// Majority, and not before `after` when that is set.
inline void append_majority_read(bson::Builder& command, ClusterTime after) {
  auto concern = command.document("readConcern");
  concern->append("level", "majority");
  if (!after.is_zero()) concern->append_timestamp("afterClusterTime", after.packed());
}

// What a majority had at `time`, not later. Errors: see does_not_know_the_past().
inline void append_read_as_of(bson::Builder& command, ClusterTime time) {
  auto concern = command.document("readConcern");
  concern->append("level", "snapshot").append_timestamp("atClusterTime", time.packed());
}

// It is too long ago (servers keep five minutes), the collection was changed since
// then or is of a kind without a past, or the server has none at all.
[[nodiscard]] inline bool does_not_know_the_past(const Error& error) {
  return error.server_code == server_code::snapshot_too_old || error.server_code == server_code::snapshot_unavailable ||
         error.server_code == server_code::invalid_options;
}

}  // namespace plm::mongo
