// Reads the whole result of a command that answers with a cursor.
#pragma once

#include <functional>
#include <string>

#include "model/namespace.h"
#include "mongo/connection.h"

namespace plm::mongo {

// Runs `command` and hands every document of its result to `visit`; the views
// live only during that call. Gives the operationTime of the last reply. Pins
// the connection.
Result<ClusterTime> read_all(Connection& connection, const std::string& database, bson::View command,
                             const std::function<void(bson::View)>& visit);

}  // namespace plm::mongo
