// What a server has stored of its collections, by $listCatalog. What it shows in
// listCollections, listIndexes and listDatabases may be a moment older: a change is
// committed first, and shown when the thread that made it comes to that. A note
// that was written behind the change can be acknowledged by a majority in between
// (seen on 6.0.5 with busy processors).
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/collection.h"
#include "model/uuid.h"
#include "mongo/connection.h"

namespace plm::mongo {

// What a server has stored it shows within a moment; databases that change all the
// time may never agree.
inline constexpr std::chrono::seconds kShownWithin{2};
inline constexpr std::chrono::milliseconds kBetweenLooks{20};

// Errors: those of the command, which servers may not know or not allow.
Result<std::vector<std::string>> stored_databases(Connection& connection);

// Those that take part in a replication, with their indexes, by database.
Result<std::map<std::string, std::vector<CollectionSpec>>> stored_collections(
    Connection& connection, const std::vector<std::string>& databases);

Result<bool> is_stored(Connection& connection, const Uuid& uuid);

// Whether a listing of one database shows what is stored: names, identities,
// options and finished indexes.
[[nodiscard]] bool shows(const std::vector<CollectionSpec>& listed, const std::vector<CollectionSpec>& stored);

}  // namespace plm::mongo
