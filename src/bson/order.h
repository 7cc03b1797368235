// The order in which a server sorts values, simple collation: across types,
// numbers of all four types exactly, NaN below every number, documents field by
// field (canonical type, then name, then value), arrays element by element.
// Source: "Comparison/Sort Order" in the MongoDB manual and the behaviour of
// mongod 6.0, which the property tests compare with.
#pragma once

#include <bit>
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

// The hash of a sequence that goes on with this value; the order counts.
[[nodiscard]] inline std::size_t hash_behind(std::size_t before, const Value& value) {
  return (std::rotl(before, 5) ^ hash(value)) * 0x9e3779b97f4a7c15U;
}

}  // namespace plm::bson
