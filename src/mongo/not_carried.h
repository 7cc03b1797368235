// What a source holds beside collections, which plm leaves behind.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "mongo/connection.h"

namespace plm::mongo {

// Users but the one of the connection, roles, the rest of a sharded cluster; a line
// each. A server that does not let them be read is no error.
Result<std::vector<std::string>> not_carried(Connection& connection);

}  // namespace plm::mongo
