// Removes a slice of a collection of the target.
#pragma once

#include "model/collection.h"
#include "model/range.h"
#include "mongo/writers.h"

namespace plm::mongo {

// Key by key, in small bounded commands, until nothing of the range is left.
Status clear_range(DataConnection& connection, const Twin& twin, const KeyBounds& bounds);

}  // namespace plm::mongo
