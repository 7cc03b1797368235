// Random documents and random updates of them. Few field names and small values,
// so that updates meet each other's traces often.
#pragma once

#include "bson/document.h"
#include "memory/random.h"

namespace plm {

// One of about `how_many` different ones, of mixed types; equal numbers come in
// several types.
[[nodiscard]] bson::OwnedValue random_id(Random& random, int how_many);
[[nodiscard]] bson::Document random_document(Random& random, const bson::Value& id);
// A diff as an update of this document may leave it in the oplog; never empty,
// never of _id.
[[nodiscard]] bson::Document random_diff(Random& random, bson::View document);

}  // namespace plm
