// From the raw events of a reply to ChangeEvents. Pure.
#pragma once

#include "base/error.h"
#include "model/change_event.h"

namespace plm {

// Event kinds that carry nothing to replicate, and events of namespaces that
// never take part, become EventKind::ignored. Errors: server, when an event has
// no operationType, clusterTime or _id, or lacks what its kind needs: going on
// would lose it.
[[nodiscard]] Result<EventBatch> decode(const StreamReply& reply);

}  // namespace plm
