// A slice of one collection by _id.
#pragma once

#include "bson/document.h"
#include "bson/order.h"

namespace plm {

// Minimum inclusive, maximum exclusive; an end that does not exist is open.
// Open ends are not MinKey or MaxKey: those are _ids like others, and the
// server refuses them as bounds (code 51175).
struct KeyBounds {
  bson::OwnedValue min;
  bson::OwnedValue max;

  [[nodiscard]] bool holds(const bson::Value& id) const {
    return (!min || bson::compare(id, min.value()) >= 0) && (!max || bson::compare(id, max.value()) < 0);
  }
};

}  // namespace plm
