// Commands that fill a capped collection of the source with documents that no
// event tells of: cloneCollectionAsCapped. They write document by document,
// and a reader that does not wait for them sees a part.
#pragma once

#include <string>

#include "base/error.h"
#include "model/cluster_time.h"
#include "mongo/connection.h"

namespace plm::mongo {

// A cluster time behind all that such commands have written in a database so
// far. Errors: a retryable one while such a command runs there.
Result<ClusterTime> behind_silent_copies(Connection& connection, const std::string& database);

}  // namespace plm::mongo
