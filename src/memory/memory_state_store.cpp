#include "memory/memory_state_store.h"

namespace plm {

Status MemoryStateStore::check_epoch() const {
  if (saved_->lease.epoch == epoch_) return {};
  return fail(ErrorCode::superseded, "another process has the lease");
}

Result<std::vector<bson::Document>> MemoryStateStore::load(const std::string& set) {
  return faults_.call([&]() -> Result<std::vector<bson::Document>> {
    std::vector<bson::Document> out;
    for (const auto& [id, document] : saved_->sets[set]) out.push_back(document);
    return out;
  });
}

Status MemoryStateStore::save(std::span<const StoreChange> changes) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return checked;
    for (const StoreChange& change : changes) {
      auto& documents = saved_->sets[change.set];
      if (change.document) {
        documents.insert_or_assign(change.id, *change.document);
      } else {
        documents.erase(change.id);
      }
    }
    return {};
  });
}

Status MemoryStateStore::clear() {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return checked;
    saved_->sets.clear();
    return {};
  });
}

Result<LeaseSight> MemoryStateStore::look_at_lease() {
  return faults_.call([&]() -> Result<LeaseSight> { return saved_->lease; });
}

Result<Epoch> MemoryStateStore::take_lease(const LeaseOwner& owner, Epoch seen) {
  return faults_.call([&]() -> Result<Epoch> {
    if (saved_->lease.epoch != seen) return fail(ErrorCode::superseded, "another process was faster");
    saved_->lease = {seen + 1, owner, 0};
    epoch_ = seen + 1;
    return epoch_;
  });
}

Status MemoryStateStore::renew_lease() {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return checked;
    ++saved_->lease.renewals;
    return {};
  });
}

Status MemoryStateStore::release_lease() {
  return faults_.call([&]() -> Status {
    if (check_epoch()) saved_->lease.owner.reset();
    return {};
  });
}

}  // namespace plm
