// Whether two options, or two specifications, mean the same.
#pragma once

#include <algorithm>
#include <concepts>

#include "bson/order.h"
#include "bson/view.h"

namespace plm::bson {

// The same fields in any order, with values of which `same` says that they are.
template <std::predicate<const Value&, const Value&> Same>
[[nodiscard]] bool same_fields(View left, View right, const Same& same) {
  const auto contained = [&](View inner, View outer) {
    return std::ranges::all_of(inner, [&](const Element& field) {
      const Value other = outer[field.key];
      return other.exists() && same(field.value, other);
    });
  };
  return contained(left, right) && contained(right, left);
}

// With equal values, numbers across types.
[[nodiscard]] inline bool same_fields(View left, View right) {
  return same_fields(left, right, [](const Value& one, const Value& other) { return compare(one, other) == 0; });
}

}  // namespace plm::bson
