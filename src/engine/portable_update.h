// Updates for targets that refuse the diffs of the oplog. Pure.
#pragma once

#include <optional>

#include "bson/document.h"

namespace plm {

// The $set/$unset statement that does what a public updateDescription says,
// when that is certain; none when it is not, and the document has to be read
// from the source: truncated arrays; paths with dots (a path "a.0" may mean an
// element or a field, "a.b" a nested or a dotted name); names that are empty or
// begin with '$'; more than one field set, because $set orders new fields by
// name and the source may not have.
[[nodiscard]] std::optional<bson::Document> portable_update(bson::View public_description);

}  // namespace plm
