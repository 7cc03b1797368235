#include "engine/coalesce.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/planted_bug.h"
#include "model/diff.h"

namespace plm {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Each folding copies what was folded before: beyond this, many changes of one large
// document would cost more than they save.
constexpr std::size_t kMostFoldedBytes = 16U << 10U;

// ---- Folding -------------------------------------------------------------------

// The diff inside {$v: 2, diff: {...}}; empty for the classic form of an update.
bson::View diff_of(const Operation& update) { return update.body["diff"].as_document(); }

std::optional<bson::Document> folded_body(const Operation& before, const Operation& update) {
  const bson::View diff = diff_of(update);
  if (diff.empty() || before.body.size() + diff.size() > kMostFoldedBytes) return std::nullopt;
  if (before.kind == OperationKind::insert || before.kind == OperationKind::replace) {
    auto body = apply_diff(before.body, diff);
    if (!body) return std::nullopt;
    return *std::move(body);
  }
  if (before.kind != OperationKind::update) return std::nullopt;
  const auto both = compose_diffs(diff_of(before), diff);
  if (!both) return std::nullopt;
  bson::Builder body(both->size_bytes() + 32);
  body.append("$v", 2).append("diff", *both);
  return body.take();
}

// What does at once what `before` and then `update` do to their document. Keeps the views of their keys.
std::optional<Operation> fold(const Operation& before, const Operation& update) {
  auto body = folded_body(before, update);
  if (!body) return std::nullopt;
  Operation out = update;
  out.kind = before.kind;
  out.id = before.id;
  out.bytes = std::make_shared<const bson::Document>(*std::move(body));
  out.body = out.bytes->view();
  return out;
}

// ---- Ordinary collections ------------------------------------------------------

// What remains of a batch, front to back.
class Remaining {
 public:
  Remaining(std::size_t operations, std::deque<Operation>& folded) : folded_(folded) {
    entries_.reserve(operations);
    last_of_key_.reserve(operations);
  }

  void add(const Operation& operation) {
    std::size_t& last = last_of_key_.try_emplace(key_of(operation), kNone).first->second;
    if (operation.is_absolute() || planted_bug("superseded-by-diff")) {
      for (; last != kNone; last = entries_[last].before) entries_[last].operation = nullptr;
    } else if (last != kNone && fold_into(entries_[last], operation)) {
      return;
    }
    entries_.push_back({&operation, last});
    last = entries_.size() - 1;
  }
  // Where one order holds for all.
  void add_unchanged(const Operation& operation) { entries_.push_back({&operation, kNone}); }

  template <typename Take>
  void each(const Take& take) const {
    for (const Entry& entry : entries_) {
      if (entry.operation != nullptr) take(*entry.operation);
    }
  }

 private:
  struct Entry {
    const Operation* operation;   // nullptr: superseded
    std::size_t before;           // the entry of the same key before it, or kNone
    Operation* folded = nullptr;  // `operation`, where it is one of `folded_`
  };

  bool fold_into(Entry& entry, const Operation& update) {
    auto both = fold(*entry.operation, update);
    if (!both) return false;
    if (entry.folded == nullptr) entry.folded = &folded_.emplace_back();
    *entry.folded = *std::move(both);
    entry.operation = entry.folded;
    return true;
  }

  std::deque<Operation>& folded_;
  std::vector<Entry> entries_;
  std::unordered_map<DocumentKey, std::size_t, DocumentKeyHash, DocumentKeyEqual> last_of_key_;
};

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

// ---- Capped collections --------------------------------------------------------

// From the end: a key that begins anew is settled.
void add_capped(const Operation& operation, DocumentKeySet& settled, CoalescedBatch& out) {
  const bool begins_anew = operation.moves_to_end() || operation.kind == OperationKind::erase;
  if (begins_anew ? !settled.insert(key_of(operation)).second : settled.contains(key_of(operation))) return;
  if (begins_anew) out.removed.push_back(&operation);
  if (operation.kind == OperationKind::erase) return;
  const bool in_its_place = operation.kind == OperationKind::reread && !operation.newest;
  (in_its_place ? out.rereads : out.capped).push_back(&operation);
}

void add_capped(std::span<const Operation> operations, CoalescedBatch& out) {
  DocumentKeySet settled;
  for (std::size_t i = operations.size(); i-- > 0;) {
    if (operations[i].collection->capped) add_capped(operations[i], settled, out);
  }
  std::ranges::reverse(out.rereads);
  std::ranges::reverse(out.capped);
}

}  // namespace

CoalescedBatch coalesce(std::span<const Operation> operations) {
  CoalescedBatch out;
  add_capped(operations, out);
  Remaining remaining(operations.size(), out.folded);
  for (const Operation& operation : operations) {
    if (operation.collection->capped) continue;
    operation.collection->strictly_ordered() ? remaining.add_unchanged(operation) : remaining.add(operation);
  }
  remaining.each([&](const Operation& operation) {
    if (operation.kind == OperationKind::reread) {
      out.rereads.push_back(&operation);
    } else if (operation.kind == OperationKind::insert && !operation.collection->strictly_ordered()) {
      out.inserts.push_back(&operation);
    } else {
      out.ordered.push_back(&operation);
    }
  });
  bring_erases_together(out.ordered);
  return out;
}

}  // namespace plm
