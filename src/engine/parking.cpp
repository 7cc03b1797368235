#include "engine/parking.h"

#include <utility>
#include <vector>

#include "base/log.h"

namespace plm {

void Parking::restore(const ParkedDocument& document) {
  const std::lock_guard lock(mutex_);
  bson::OwnedValue id = document.id;
  const DocumentKey key{document.collection, id.value(), bson::hash(id.value())};
  if (const auto present = documents_.find(key); present != documents_.end()) erase(present);
  documents_.emplace(key, ParkedDocument{document.collection, document.ns, std::move(id), document.reason});
  ++count_;
  progress_.park(document.text());
}

bool Parking::holds(const Operation& operation) const {
  if (empty()) return false;
  const std::lock_guard lock(mutex_);
  return documents_.contains(key_of(operation));
}

Status Parking::park(const Operation& operation, const Error& reason) {
  ParkedDocument document{operation.collection->source_uuid, operation.collection->ns, bson::OwnedValue(operation.id),
                          reason.message};
  {
    const std::lock_guard lock(mutex_);
    if (const auto present = documents_.find(key_of(operation)); present != documents_.end()) {
      if (present->second.reason == document.reason) return {};
      document.id = present->second.id;  // equal, not the same: 1 and 1.0
    }
  }
  const StoreChange change = plm::park(document);
  if (auto saved = store_.save({&change, 1}); !saved) return fail(saved.error().within("saving a parked document"));
  log::warn("a document cannot be written to the target; it is parked",
            {{"document", document.name()}, {"code", reason.server_code}, {"reason", reason.message}});
  restore(document);
  return {};
}

Status Parking::release(const Operation& operation) {
  if (empty()) return {};
  StoreChange change;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = documents_.find(key_of(operation));
    if (entry == documents_.end()) return {};
    change = unpark(entry->first.collection, entry->second.id.value());  // equal, not the same: 1 and 1.0
  }
  if (auto saved = store_.save({&change, 1}); !saved) return fail(saved.error().within("releasing a parked document"));
  const std::lock_guard lock(mutex_);
  const auto entry = documents_.find(key_of(operation));
  log::info("a parked document was written", {{"document", entry->second.name()}});
  erase(entry);
  return {};
}

void Parking::rename(const Uuid& collection, const Namespace& ns) {
  if (empty()) return;
  const std::lock_guard lock(mutex_);
  for (auto& [key, document] : documents_) {
    if (key.collection != collection) continue;
    progress_.unpark(document.text());
    document.ns = ns;
    progress_.park(document.text());
  }
}

Status Parking::forget(const Uuid& collection) {
  if (empty()) return {};
  std::vector<DocumentKey> gone;
  std::vector<StoreChange> changes;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, document] : documents_) {
      if (key.collection != collection) continue;
      gone.push_back(key);
      changes.push_back(unpark(collection, document.id.value()));
    }
  }
  if (gone.empty()) return {};
  if (auto saved = store_.save(changes); !saved) return fail(saved.error().within("forgetting parked documents"));
  const std::lock_guard lock(mutex_);
  for (const DocumentKey& key : gone) erase(documents_.find(key));
  return {};
}

void Parking::erase(Documents::iterator entry) {
  progress_.unpark(entry->second.text());
  documents_.erase(entry);
  --count_;
  for (const auto& [key, document] : documents_) {
    if (!progress_.name_parked(document.text())) break;
  }
}

}  // namespace plm
