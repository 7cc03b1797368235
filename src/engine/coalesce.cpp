#include "engine/coalesce.h"

#include <algorithm>

#include "base/planted_bug.h"

namespace plm {

namespace {

void add_capped(const Operation& operation, DocumentKeySet& settled, CoalescedBatch& out) {
  const bool begins_anew = operation.moves_to_end() || operation.kind == OperationKind::erase;
  if (begins_anew ? !settled.insert(key_of(operation)).second : settled.contains(key_of(operation))) return;
  if (begins_anew) out.removed.push_back(&operation);
  if (operation.kind == OperationKind::erase) return;
  const bool in_its_place = operation.kind == OperationKind::reread && !operation.newest;
  (in_its_place ? out.rereads : out.capped).push_back(&operation);
}

// Erases of many documents are sent in bulk. Each is the first that remains of its
// key; where that need not be, the order stays.
void bring_erases_together(std::vector<const Operation*>& ordered) {
  const auto free = [](const Operation* operation) {
    return operation->kind == OperationKind::erase && !operation->collection->strictly_ordered();
  };
  const auto rest = std::stable_partition(ordered.begin(), ordered.end(), free);
  std::stable_sort(ordered.begin(), rest, [](const Operation* left, const Operation* right) {
    return left->collection->source_uuid < right->collection->source_uuid;
  });
}

}  // namespace

CoalescedBatch coalesce(std::span<const Operation> operations) {
  CoalescedBatch out;
  // From the end: a key that an absolute operation was seen for is settled.
  DocumentKeySet settled;
  settled.reserve(operations.size());
  for (std::size_t i = operations.size(); i-- > 0;) {
    const Operation& operation = operations[i];
    const bool strict = operation.collection->strictly_ordered();
    if (operation.collection->capped) {
      add_capped(operation, settled, out);
      continue;
    }
    if (!strict) {
      if (operation.is_absolute() || planted_bug("superseded-by-diff") ? !settled.insert(key_of(operation)).second
                                                                       : settled.contains(key_of(operation)))
        continue;
    }
    if (operation.kind == OperationKind::reread) {
      out.rereads.push_back(&operation);
    } else if (operation.kind == OperationKind::insert && !strict) {
      out.inserts.push_back(&operation);
    } else {
      out.ordered.push_back(&operation);
    }
  }
  std::ranges::reverse(out.inserts);
  std::ranges::reverse(out.rereads);
  std::ranges::reverse(out.ordered);
  std::ranges::reverse(out.capped);
  bring_erases_together(out.ordered);
  return out;
}

}  // namespace plm
