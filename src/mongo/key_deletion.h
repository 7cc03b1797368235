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

}  // namespace plm::mongo
