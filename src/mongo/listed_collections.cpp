#include "mongo/listed_collections.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace plm::mongo {

CollectionSpec spec_from(const std::string& database, bson::View entry) {
  CollectionSpec out;
  out.ns = {database, std::string(entry["name"].as_string())};
  const bson::View options = entry["options"].as_document();
  out.kind = entry["type"].as_string() == "view" ? CollectionKind::view : kind_of(out.ns);
  out.options = out.kind == CollectionKind::time_series ? time_series_options(options) : bson::Document(options);
  if (entry["idIndex"].as_document()["v"].as_int64() == 1) out.options = with_old_id_index(options);
  out.uuid = Uuid(entry["info"].as_document()["uuid"]);
  return out;
}

IndexSpec without_namespace(bson::View spec) {
  bson::Builder out(spec.size() + 16);
  for (const bson::Element& field : spec) {
    if (field.key != "ns") out.append(field.key, field.value);
  }
  return {out.take()};
}

void ListedEntries::add(bson::View entry) {
  const std::string_view name = entry["name"].as_string();
  if (entry["type"].as_string() == "timeseries") {
    views_of_buckets_.emplace(name);
  } else if (!is_servers_own(name) && !entry["options"].as_document()["temp"].as_bool()) {
    collections_.push_back(spec_from(database_, entry));
  }
}

ListedCollections ListedEntries::take() {
  ListedCollections out;
  out.collections = std::exchange(collections_, {});
  const auto lost = std::ranges::stable_partition(out.collections, [&](const CollectionSpec& spec) {
    return !spec.ns.is_buckets() || views_of_buckets_.contains(name_for_users(spec.ns.collection));
  });
  std::ranges::move(lost, std::back_inserter(out.lost_parts));
  out.collections.erase(lost.begin(), lost.end());
  for (const CollectionSpec& spec : out.collections) views_of_buckets_.erase(spec.ns.for_users().collection);
  for (const std::string& name : std::exchange(views_of_buckets_, {})) {
    out.lost_parts.push_back({{database_, name}, CollectionKind::view, {}, {}, {}});
  }
  return out;
}

}  // namespace plm::mongo
