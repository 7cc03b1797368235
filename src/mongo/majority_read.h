// The read concern of every read that decides data (I1).
#pragma once

#include "bson/document.h"
#include "model/cluster_time.h"

namespace plm::mongo {

// Majority, and not before `after` when that is set.
inline void append_majority_read(bson::Builder& command, ClusterTime after) {
  auto concern = command.document("readConcern");
  concern->append("level", "majority");
  if (!after.is_zero()) concern->append_timestamp("afterClusterTime", after.packed());
}

}  // namespace plm::mongo
