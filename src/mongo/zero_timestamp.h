// A Timestamp(0, 0) means "now" to a server: where it is a field of its own (not
// _id, not inside another) of a document that is inserted, or that replaces one
// by `update` or applyOps, the server stores its time instead. A document can
// still come by one, by an operator or a pipeline; to arrive as it is, it has to
// be written by a pipeline, too (tried on 6.0.5).
#pragma once

#include <cstddef>
#include <vector>

#include "bson/view.h"

namespace plm::mongo {

// At any depth. mongod 6.0.5 ends when it computes how a pipeline changed such a document.
[[nodiscard]] bool has_name_twice(bson::View document);

// False for a document that has a field name twice: its timestamp is given up.
[[nodiscard]] bool has_zero_timestamp(bson::View document);

// Positions in an array of documents, in ascending order.
[[nodiscard]] std::vector<std::size_t> with_zero_timestamp(bson::View documents);

}  // namespace plm::mongo
