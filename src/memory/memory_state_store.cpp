#include "memory/memory_state_store.h"

namespace plm {

Result<std::vector<bson::Document>> MemoryStateStore::load(const std::string& set) {
  return faults_.call([&]() -> Result<std::vector<bson::Document>> {
    std::vector<bson::Document> out;
    for (const auto& [id, document] : sets_[set]) out.push_back(document);
    return out;
  });
}

Status MemoryStateStore::save(std::span<const StoreChange> changes) {
  return faults_.call([&]() -> Status {
    const std::size_t done = faults_.writes_done(changes.size());
    for (const StoreChange& change : changes.first(done)) {
      auto& documents = sets_[change.set];
      if (change.document) {
        documents.insert_or_assign(change.id, *change.document);
      } else {
        documents.erase(change.id);
      }
    }
    if (done < changes.size()) return fail(faults_.interrupted());
    return {};
  });
}

Status MemoryStateStore::clear() {
  return faults_.call([&]() -> Status {
    sets_.clear();
    return {};
  });
}

}  // namespace plm
