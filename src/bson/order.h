// The order in which a server sorts values, simple collation: across types,
// numbers of all four types exactly, NaN below every number, documents field by
// field (canonical type, then name, then value), arrays element by element.
// Source: "Comparison/Sort Order" in the MongoDB manual and the behaviour of
// mongod 6.0, which the property tests compare with.
#pragma once

#include <compare>
#include <cstddef>

#include "bson/view.h"

namespace plm::bson {

// Total over all BSON values; `equivalent` means that the server takes the two
// for the same _id (1, 1.0, NumberLong(1), NumberDecimal("1.00"); all NaNs; 0.0
// and -0.0), also inside documents.
[[nodiscard]] std::weak_ordering compare(const Value& left, const Value& right);

// Equal values (compare() == equivalent) have equal hashes.
[[nodiscard]] std::size_t hash(const Value& value);

}  // namespace plm::bson
