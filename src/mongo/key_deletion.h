// Deletes many documents of the target by their keys.
#pragma once

#include <span>

#include "bson/view.h"
#include "model/collection.h"
#include "mongo/writers.h"

namespace plm::mongo {

// In transactions: a delete of many cannot be a retryable write, and as such
// writes of one document they cost the server three times as much. Keys that are
// not there are no error. Errors: those of the server; 263 and 20 are its answers
// for capped collections.
Status delete_keys(DataConnection& connection, const Twin& twin, std::span<const bson::Value> keys);

// Whether what failed so may be deleted in another way: a transaction was refused
// for good, as for capped collections and system.js, or for its size.
[[nodiscard]] inline bool is_refused_as_transaction(const Error& error) {
  if (error.server_code == server_code::transaction_too_large_for_cache) return true;
  return !retryable(error) && error.code != ErrorCode::superseded;
}

}  // namespace plm::mongo
