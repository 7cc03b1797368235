#include "engine/catalog.h"

#include <algorithm>

#include "base/check.h"

namespace plm {

Range& Collection::range_of(const bson::Value& id) {
  CHECK(planned && !ranges.empty());
  // The first range has no minimum: the last one whose minimum is not above the _id.
  const auto above = std::upper_bound(
      ranges.begin() + 1, ranges.end(), id,
      [](const bson::Value& key, const Range& range) { return bson::compare(key, range.bounds.min.value()) < 0; });
  return *(above - 1);
}

IndexTask* Collection::find_index(const std::string& name) {
  const auto found = std::ranges::find_if(indexes, [&](const IndexTask& task) { return task.spec.name() == name; });
  return found == indexes.end() ? nullptr : &*found;
}

std::size_t Collection::count_indexes(IndexState state) const {
  return static_cast<std::size_t>(std::ranges::count(indexes, state, &IndexTask::state));
}

void Collection::name_failed_indexes(std::vector<std::string>& out) const {
  constexpr std::size_t kMostNamed = 10;
  for (const IndexTask& task : indexes) {
    if (task.state != IndexState::failed || out.size() == kMostNamed) continue;
    out.push_back(spec.ns.for_users().text() + " " + task.spec.name() + ": " + task.reason);
  }
}

Collection* Catalog::find(const Uuid& uuid) {
  const auto found = collections_.find(uuid);
  return found == collections_.end() ? nullptr : &found->second;
}

Collection& Catalog::add(Collection collection) {
  const Uuid uuid = collection.uuid();
  CHECK(!uuid.is_nil() && !collections_.contains(uuid));
  Collection& added = collections_.emplace(uuid, std::move(collection)).first->second;
  touch_all(added);
  return added;
}

void Catalog::remove(const Uuid& uuid) {
  const auto found = collections_.find(uuid);
  CHECK(found != collections_.end());
  changes_.collections.erase(uuid);
  std::erase_if(changes_.ranges, [&](const auto& entry) { return entry.first == uuid; });
  changes_.removed[uuid] = found->second.ranges.size();
  copied_and_removed_ += found->second.copied;
  collections_.erase(found);
}

CollectionStats Catalog::copied() const {
  CollectionStats out = copied_and_removed_;
  for (const auto& [uuid, collection] : collections_) out += collection.copied;
  return out;
}

CollectionSpec* Catalog::find_view(const Namespace& ns) {
  const auto found = views_.find(ns);
  return found == views_.end() ? nullptr : &found->second;
}

void Catalog::put_view(CollectionSpec view) {
  const Namespace ns = view.ns;
  changes_.views.insert(ns);
  changes_.removed_views.erase(ns);
  views_.insert_or_assign(ns, std::move(view));
}

void Catalog::remove_view(const Namespace& ns) {
  views_.erase(ns);
  changes_.views.erase(ns);
  changes_.removed_views.insert(ns);
}

void Catalog::touch(const Collection& collection, const Range& range) {
  changes_.ranges.emplace(collection.uuid(), static_cast<std::size_t>(&range - collection.ranges.data()));
}

void Catalog::touch_all(const Collection& collection) {
  touch(collection);
  for (const Range& range : collection.ranges) touch(collection, range);
}

bool Catalog::has_changes() const {
  return !changes_.collections.empty() || !changes_.ranges.empty() || !changes_.removed.empty() ||
         !changes_.views.empty() || !changes_.removed_views.empty();
}

}  // namespace plm
