#include "engine/keep.h"

#include <algorithm>
#include <utility>

namespace plm {

namespace {

std::size_t bytes_of_key(const Operation& operation) { return operation.id.payload().size() + 96; }

}  // namespace

bool Keep::add(const Operation& operation) {
  if (!reduced_) {
    Operation copy = detached(operation);
    if (!budget_->has_room(copy.size_bytes)) return false;
    used_bytes_ += copy.size_bytes;
    budget_->used_bytes += copy.size_bytes;
    operations_.push_back(std::move(copy));
    return true;
  }
  // A key that is there already needs no room.
  if (!budget_->has_room(bytes_of_key(operation)) &&
      !keys_.contains({bson::OwnedValue(operation.id), operation.key_hash})) {
    return false;
  }
  add_key(operation);
  return true;
}

void Keep::add_key(const Operation& operation) {
  const auto [entry, is_new] = keys_.try_emplace({bson::OwnedValue(operation.id), operation.key_hash}, 0);
  if (operation.moves_to_end()) entry->second = ++insertions_;
  if (!is_new) return;
  const std::size_t bytes = bytes_of_key(operation);
  used_bytes_ += bytes;
  budget_->used_bytes += bytes;
}

void Keep::reduce() {
  const std::vector<Operation> operations = std::exchange(operations_, {});
  budget_->used_bytes -= used_bytes_;
  used_bytes_ = 0;
  reduced_ = true;
  for (const Operation& operation : operations) add_key(operation);
}

std::vector<Operation> Keep::release(const std::shared_ptr<const CollectionRef>& collection, ClusterTime now) {
  std::vector<Operation> out = std::exchange(operations_, {});
  out.reserve(out.size() + keys_.size());
  std::vector<Keys::const_pointer> in_order;
  in_order.reserve(keys_.size());
  for (const auto& entry : keys_) in_order.push_back(&entry);
  std::ranges::sort(in_order, {}, [](Keys::const_pointer entry) { return entry->second; });
  for (const auto* entry : in_order) {
    out.push_back(make_reread(collection, entry->first.id.value(), entry->first.hash, now));
    out.back().newest = entry->second != 0;
  }
  // A rename while the range was being copied: the operations carry the old twin.
  for (Operation& operation : out) operation.collection = collection;
  clear();
  return out;
}

void Keep::clear() {
  operations_.clear();
  keys_.clear();
  budget_->used_bytes -= used_bytes_;
  used_bytes_ = 0;
  reduced_ = false;
}

}  // namespace plm
