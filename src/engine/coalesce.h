// What remains to be done of a batch of operations. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_set>
#include <vector>

#include "bson/order.h"
#include "engine/operation.h"

namespace plm {

// A document by collection and _id, as the server tells documents apart.
struct DocumentKey {
  Uuid collection;
  bson::Value id;
  std::size_t hash = 0;  // of the _id
};
struct DocumentKeyHash {
  std::size_t operator()(const DocumentKey& key) const { return key.hash ^ UuidHash()(key.collection); }
};
struct DocumentKeyEqual {
  bool operator()(const DocumentKey& left, const DocumentKey& right) const {
    return left.hash == right.hash && left.collection == right.collection && bson::compare(left.id, right.id) == 0;
  }
};
using DocumentKeySet = std::unordered_set<DocumentKey, DocumentKeyHash, DocumentKeyEqual>;

[[nodiscard]] inline DocumentKey key_of(const Operation& operation) {
  return {operation.collection->source_uuid, operation.id, operation.key_hash};
}

struct CoalescedBatch {
  std::vector<const Operation*> inserts;  // each the first that remains of its key; any order
  std::vector<const Operation*> rereads;  // likewise
  std::vector<const Operation*> ordered;  // after the inserts and rereads, in this order; erases first
  // Of capped collections, apart from the rereads above: whose keys are removed
  // first, all of them, and what then is done in this order.
  std::vector<const Operation*> removed;
  std::vector<const Operation*> capped;
  // Those among the above that stand for several operations.
  std::deque<Operation> folded;
};

// An absolute operation makes all earlier ones of its key superfluous, and an
// update is folded into the insert, replacement or update before it where one
// operation can do what both do (model/diff.h). What remains of one key keeps its
// order: an insert or a reread can only come first. Of collections with a
// collation everything remains, in `ordered`, apart from rereads, which there
// have to come last. Of capped ones an insertion or a deletion makes superfluous
// what came before it: nothing of the old document remains, not even its place.
// The result points into `operations`.
[[nodiscard]] CoalescedBatch coalesce(std::span<const Operation> operations);

}  // namespace plm
