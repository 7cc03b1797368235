// How a collection is cut into ranges. Pure.
#pragma once

#include <vector>

#include "model/collection.h"
#include "model/range.h"
#include "seams/source.h"

namespace plm {

// What copying costs, in bytes: every document weighs 500 more than it has.
[[nodiscard]] std::int64_t weight_of(const CollectionStats& stats);

// How many bounds to ask the source for: one less than the ranges; 0 when the
// collection is to be one range (small, or strictly ordered). A range is to weigh
// `range_bytes`.
[[nodiscard]] int bounds_wanted(const CollectionSpec& spec, const CollectionStats& stats, std::int64_t range_bytes);

// Ranges between the bounds, which are sorted and made unique first; both outer
// ends are open. MinKey and MaxKey cannot be bounds (server code 51175).
[[nodiscard]] std::vector<KeyBounds> cut(std::vector<bson::OwnedValue> bounds);

}  // namespace plm
