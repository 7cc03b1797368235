#include "engine/coalesce.h"

#include <algorithm>

#include "base/planted_bug.h"

namespace plm {

CoalescedBatch coalesce(std::span<const Operation> operations) {
  CoalescedBatch out;
  // From the end: a key that an absolute operation was seen for is settled.
  DocumentKeySet settled;
  settled.reserve(operations.size());
  for (std::size_t i = operations.size(); i-- > 0;) {
    const Operation& operation = operations[i];
    const bool strict = operation.collection->strictly_ordered;
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
  return out;
}

}  // namespace plm
