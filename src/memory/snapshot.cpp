#include "memory/snapshot.h"

#include <algorithm>

namespace plm {

namespace {

constexpr std::int64_t kMostCappedBytes = std::int64_t{1} << 50;

bool same_fields(bson::View left, bson::View right) {
  std::ptrdiff_t left_fields = 0;
  for (const bson::Element& field : left) {
    ++left_fields;
    const bson::Value other = right[field.key];
    if (!other || bson::compare(field.value, other) != 0) return false;
  }
  return std::ranges::distance(right.begin(), std::default_sentinel) == left_fields;
}

std::string documents_difference(const CollectionSnapshot& source, const CollectionSnapshot& target) {
  if (source.spec.is_capped()) {
    const auto [left, right] = std::ranges::mismatch(source.documents, target.documents,
                                                     [](const auto& a, const auto& b) { return *a == *b; });
    if (left == source.documents.end() && right == target.documents.end()) return {};
    const auto text = [](const auto& at, const auto& all) {
      return at == all.end() ? "nothing" : (*at)->view().json();
    };
    return "in natural order at " + std::to_string(left - source.documents.begin()) + ": source has " +
           text(left, source.documents) + ", target has " + text(right, target.documents);
  }
  auto left = source.documents.begin();
  auto right = target.documents.begin();
  while (left != source.documents.end() || right != target.documents.end()) {
    std::weak_ordering order = std::weak_ordering::equivalent;
    if (left == source.documents.end()) {
      order = std::weak_ordering::greater;
    } else if (right == target.documents.end()) {
      order = std::weak_ordering::less;
    } else {
      if (**left == **right) {
        ++left;
        ++right;
        continue;
      }
      order = bson::compare((**left)["_id"], (**right)["_id"]);
    }
    if (order < 0) return "the target lacks " + (*left)->view().json();
    if (order > 0) return "only the target has " + (*right)->view().json();
    return "source has " + (*left)->view().json() + ", target has " + (*right)->view().json();
  }
  return {};
}

std::string indexes_difference(const CollectionSpec& source, const CollectionSpec& target) {
  const auto named = [](const CollectionSpec& spec, const std::string& name) {
    return std::ranges::find_if(spec.indexes, [&](const IndexSpec& index) { return index.name() == name; });
  };
  for (const IndexSpec& index : source.indexes) {
    const auto other = named(target, index.name());
    if (other == target.indexes.end()) return "the target lacks index " + index.spec.view().json();
    if (!same_fields(index.spec.view(), other->spec.view())) {
      return "source has index " + index.spec.view().json() + ", target has " + other->spec.view().json();
    }
  }
  for (const IndexSpec& index : target.indexes) {
    if (named(source, index.name()) == source.indexes.end())
      return "only the target has index " + index.spec.view().json();
  }
  return {};
}

std::string collection_difference(const CollectionSnapshot& source, const CollectionSnapshot& target,
                                  const SnapshotAspects& aspects) {
  if (source.spec.kind != target.spec.kind) return "a collection on one side, a view on the other";
  if (aspects.options && !same_fields(source.spec.options.view(), target.spec.options.view())) {
    return "source has options " + source.spec.options.view().json() + ", target has " +
           target.spec.options.view().json();
  }
  if (aspects.indexes) {
    if (std::string difference = indexes_difference(source.spec, target.spec); !difference.empty()) return difference;
  }
  return documents_difference(source, target);
}

}  // namespace

Snapshot take_snapshot(const MemoryDeployment& deployment, const Filter& filter) {
  Snapshot out;
  for (const auto& [ns, collection] : deployment.collections()) {
    if (!filter.selects(ns) || collection->is_temporary()) continue;
    CollectionSnapshot& snapshot = out[ns];
    snapshot.spec = collection->spec();
    if (snapshot.spec.is_capped()) {
      for (const MemoryDocument& stored : collection->natural_order()) snapshot.documents.push_back(stored.document);
    } else {
      for (const auto& [id, stored] : collection->documents) snapshot.documents.push_back(stored.document);
    }
  }
  return out;
}

std::string first_difference(const Snapshot& source, const Snapshot& target, const SnapshotAspects& aspects) {
  for (const auto& [ns, snapshot] : source) {
    const auto other = target.find(ns);
    if (other == target.end()) return "the target lacks " + ns.text();
    const std::string difference = collection_difference(snapshot, other->second, aspects);
    if (!difference.empty()) return ns.text() + ": " + difference;
  }
  for (const auto& [ns, snapshot] : target) {
    if (!source.contains(ns)) return "only the target has " + ns.text();
  }
  return {};
}

std::vector<std::string> strict_parts(const MemoryDeployment& deployment) {
  std::vector<std::string> out;
  for (const auto& [ns, collection] : deployment.collections()) {
    if (collection->options["expireAfterSeconds"]) out.push_back(ns.text() + " expires documents");
    const bson::View options = collection->options.view();
    if (options["capped"].as_bool() && (options["max"] || options["size"].as_int64() < kMostCappedBytes)) {
      out.push_back(ns.text() + " pushes documents out");
    }
    for (const IndexSpec& index : collection->indexes) {
      const bool expires = index.is_ttl() && index.spec["expireAfterSeconds"].as_int64() < kNeverExpires;
      if (index.is_unique() || index.is_prepare_unique() || expires) {
        out.push_back(ns.text() + " has index " + index.spec.view().json());
      }
    }
  }
  return out;
}

}  // namespace plm
