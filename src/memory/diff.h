// The diffs that an update leaves in the oplog ({$v: 2, diff: {...}}), and what
// the server makes of them. Recorded on mongod 6.0.5 through applyOps; the cases
// lie in testdata/diffs.jsonl.
//
// A document's diff has the sections d (removed fields), u (changed fields),
// i (new fields) and s<field> (a diff of what is in that field), in this order,
// each at most once; u and i keep the order of the fields. An array's diff has
// a: true, then l (the new length), then u<index> and s<index>, ascending.
//
// Applying a diff to the document that it was made from gives the document that
// the update made. A diff may also meet a newer document (when a stretch of the
// oplog is applied twice). Then:
//   - u of a field that does not exist appends it, before those of i;
//   - i of a field that exists moves it to the end;
//   - d and s of a field that does not exist do nothing;
//   - s that meets a value of another kind (document, array, anything else)
//     leaves null there;
//   - an array that is too short is filled up with nulls; s of an element that
//     does not exist leaves null there.
#pragma once

#include "base/error.h"
#include "bson/document.h"

namespace plm {

// `diff` is what stands in the field `diff`. Errors: server, with the codes of
// mongod 6.0.5: 4770500 (a diff that is empty), 4770503 (an unknown section or a
// wrong order of them), 4770521 (an unknown field of an array's diff).
[[nodiscard]] Result<bson::Document> apply_diff(bson::View document, bson::View diff);

// What {$set: {...}, $unset: {...}} makes of a document. Names with dots, empty
// ones and those that begin with '$' are not modelled: 9.
[[nodiscard]] Result<bson::Document> apply_set_and_unset(bson::View document, bson::View update);

// The public form of a diff: updatedFields, removedFields, truncatedArrays.
[[nodiscard]] bson::Document public_update_description(bson::View diff);

}  // namespace plm
