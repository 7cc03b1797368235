#include "engine/catalog_change.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/planted_bug.h"

namespace plm {

namespace {

Collection begin_empty(const SchemaChange& change, const Uuid& twin) {
  Collection out;
  out.spec.ns = change.ns;
  out.spec.kind = kind_of(change.ns);
  out.spec.uuid = change.collection;
  out.spec.options = change.options;
  out.ref = make_ref(out.spec, {change.ns, twin});
  out.twin_state = TwinState::unsaved;
  out.planned = true;
  out.ranges.emplace_back().state = RangeState::copied;  // all of it, empty
  return out;
}

Collection begin_to_copy(const SchemaChange& change, std::optional<CollectionSpec> described) {
  Collection out;
  if (!described) {
    out.spec.ns = change.ns;
    out.spec.uuid = change.collection;
    out.spec.options = change.options;
    return out;
  }
  out.spec = *std::move(described);
  for (IndexSpec& index : out.spec.indexes) out.indexes.push_back({std::move(index), IndexState::waiting, {}});
  out.spec.indexes.clear();
  return out;
}

void name_twin(const Namespace& ns, Collection& collection) {
  if (!collection.ref) return;
  collection.ref = make_ref(collection.spec, {ns, collection.ref->twin.uuid});
}

void rename(const SchemaChange& change, Collection& collection) {
  collection.spec.ns = change.ns;
  if (!planted_bug("rename-by-name")) name_twin(change.ns, collection);
}

void create_indexes(const SchemaChange& change, Collection& collection) {
  for (const IndexSpec& index : change.indexes) {
    if (IndexTask* known = collection.find_index(index.name())) {
      known->spec = index;
    } else {
      collection.indexes.push_back({index, IndexState::waiting, {}});
    }
  }
}

void drop_indexes(const SchemaChange& change, Collection& collection) {
  for (const IndexSpec& index : change.indexes) {
    std::erase_if(collection.indexes, [&](const IndexTask& task) { return task.spec.name() == index.name(); });
  }
}

void modify_view(const SchemaChange& change, Catalog& catalog) {
  Collection holder;
  holder.spec = *catalog.find_view(change.ns);
  apply_modification(change.options.view(), holder);
  catalog.put_view(std::move(holder.spec));
}

void drop_views(const std::string& database, Catalog& catalog) {
  std::vector<Namespace> gone;
  for (const auto& [ns, view] : catalog.views()) {
    if (ns.database == database) gone.push_back(ns);
  }
  for (const Namespace& ns : gone) catalog.remove_view(ns);
}

}  // namespace

Collection* apply_to_catalog(const SchemaChange& change, ChangeOutcome outcome, Catalog& catalog) {
  using Kind = SchemaChange::Kind;
  if (change.replaced) catalog.remove(*change.replaced);
  if (change.replaces_view) catalog.remove_view(change.ns.for_users());
  switch (change.kind) {
    case Kind::none:
      return nullptr;
    case Kind::create:
      catalog.add(begin_empty(change, outcome.created));
      return nullptr;
    case Kind::copy:
      if (change.needs_listing && !outcome.described) return nullptr;  // gone ahead of the stream
      return &catalog.add(begin_to_copy(change, std::move(outcome.described)));
    case Kind::drop:
      catalog.remove(change.collection);
      return nullptr;
    case Kind::create_view:
      catalog.put_view({change.ns, CollectionKind::view, {}, change.options, {}});
      return nullptr;
    case Kind::modify_view:
      modify_view(change, catalog);
      return nullptr;
    case Kind::drop_view:
      catalog.remove_view(change.ns);
      return nullptr;
    case Kind::drop_views:
      drop_views(change.ns.database, catalog);
      return nullptr;
    case Kind::rename:
    case Kind::move:
    case Kind::modify:
    case Kind::create_indexes:
    case Kind::drop_indexes:
      break;
  }
  Collection& collection = *catalog.find(change.collection);
  if (change.kind == Kind::rename) rename(change, collection);
  if (change.kind == Kind::move) name_twin(change.ns, collection);
  if (change.kind == Kind::modify) apply_modification(change.options.view(), collection);
  if (change.kind == Kind::create_indexes) create_indexes(change, collection);
  if (change.kind == Kind::drop_indexes) drop_indexes(change, collection);
  catalog.touch(collection);
  return nullptr;
}

}  // namespace plm
