// The form in which clients see and write updates: change streams without the
// diffs of the oplog, and $set and $unset.
#pragma once

#include "base/error.h"
#include "bson/document.h"

namespace plm {

// What {$set: {...}, $unset: {...}} makes of a document. Names with dots, empty
// ones and those that begin with '$' are not modelled: 9.
[[nodiscard]] Result<bson::Document> apply_set_and_unset(bson::View document, bson::View update);

// The public form of a diff: updatedFields, removedFields, truncatedArrays.
[[nodiscard]] bson::Document public_update_description(bson::View diff);

}  // namespace plm
