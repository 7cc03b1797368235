// What a source holds beside collections, which plm leaves behind.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "mongo/connection.h"

namespace plm::mongo {

// Users but the one of the connection, roles, the rest of a sharded cluster,
// collections of users in admin; a line each. What the connection's user may not
// read is no error, but a line, too.
Result<std::vector<std::string>> not_carried(Connection& connection);

}  // namespace plm::mongo
