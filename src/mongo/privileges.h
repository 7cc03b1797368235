// What the user of a URI must be allowed to do.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "mongo/connection.h"

namespace plm::mongo {

struct Need {
  enum class Where { cluster, every_database, every_time_series, local_database };
  std::string_view action;  // as in the server's list of privilege actions
  Where where;
  std::string_view role;  // the built-in role that grants it
};

// All of them are granted by backup, clusterMonitor and readAnyDatabase together.
std::span<const Need> source_needs();
// All of them are granted by restore, clusterMonitor and readWriteAnyDatabase together.
std::span<const Need> target_needs();

// Compares the privileges of the connected user with `needs`. A server without
// authorisation allows everything. Errors: server code 13, naming each missing
// action with a role that grants it.
Status check_privileges(Pool& pool, std::span<const Need> needs);

}  // namespace plm::mongo
