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

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "bson/document.h"

namespace plm {

// A document's diff, taken apart. Points into it.
struct DocumentDiff {
  bson::View removed;
  bson::View changed;
  bson::View added;
  std::vector<bson::Element> nested;  // keys without the leading s

  // Errors, here and below: server, with the codes of mongod 6.0.5: 4770500 (a
  // diff that is empty), 4770503 (an unknown section or a wrong order of them),
  // 4770521 (an unknown field of an array's diff).
  [[nodiscard]] static Result<DocumentDiff> parse(bson::View diff);
};

// An array's diff, taken apart. Points into it.
struct ArrayDiff {
  struct Change {
    std::size_t index;
    bool nested;
    bson::Value value;
  };
  std::optional<std::size_t> length;
  std::vector<Change> changes;

  [[nodiscard]] static Result<ArrayDiff> parse(bson::View diff);
};

[[nodiscard]] bool is_array_diff(bson::View diff);

// `diff` is what stands in the field `diff`. A document that has a field twice
// which the diff touches is refused, too (9): what a server does then is not
// modelled.
[[nodiscard]] Result<bson::Document> apply_diff(bson::View document, bson::View diff);

// One diff that makes of every document what `first` and then `second` make of
// it, the order of its fields included. None where there is no such diff, and
// where finding it is not worth the effort: when one removes or adds a field
// that the other touches, or both go into one array.
[[nodiscard]] std::optional<bson::Document> compose_diffs(bson::View first, bson::View second);

}  // namespace plm
