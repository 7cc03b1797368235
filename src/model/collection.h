// What a collection or a view is, apart from its documents. Options and index
// specifications are passed through whole, so that options unknown today
// arrive, too.
#pragma once

#include <string>
#include <vector>

#include "bson/document.h"
#include "model/cluster_time.h"
#include "model/namespace.h"
#include "model/uuid.h"

namespace plm {

// One index, as listIndexes gives it, without "ns".
struct IndexSpec {
  bson::Document spec;

  [[nodiscard]] std::string name() const { return std::string(spec["name"].as_string()); }
  [[nodiscard]] bson::View keys() const { return spec["key"].as_document(); }
  [[nodiscard]] bool is_id_index() const { return name() == "_id_"; }
  [[nodiscard]] bool is_unique() const { return spec["unique"].as_bool(); }
  [[nodiscard]] bool is_hidden() const { return spec["hidden"].as_bool(); }
  [[nodiscard]] bool is_prepare_unique() const { return spec["prepareUnique"].as_bool(); }
  [[nodiscard]] bool is_ttl() const { return spec["expireAfterSeconds"].exists(); }

  // The form that the index has while the job runs: nothing that could reject
  // or remove a document that the source holds (invariant I7). Not unique, not
  // hidden, not prepareUnique; expireAfterSeconds at its maximum.
  [[nodiscard]] IndexSpec plain() const;

  bool operator==(const IndexSpec&) const = default;
};

// The largest expireAfterSeconds that a server accepts: 68 years.
inline constexpr std::int32_t kNeverExpires = 2147483647;

enum class CollectionKind { collection, view, time_series };

// Of what is no view: buckets are those of a time-series collection.
[[nodiscard]] inline CollectionKind kind_of(const Namespace& ns) {
  return ns.is_buckets() ? CollectionKind::time_series : CollectionKind::collection;
}

// What a user gives to create a time-series collection, from the options of its
// buckets: without those that the server adds by itself, and refuses.
[[nodiscard]] bson::Document time_series_options(bson::View of_buckets);

// The options of a collection whose _id index has version 1, as those from before
// MongoDB 3.4 have: they say so. All others leave it to the server.
[[nodiscard]] bson::Document with_old_id_index(bson::View options);

struct CollectionSpec {
  Namespace ns;  // of a time-series collection: of its buckets, whose are UUID and indexes, too
  CollectionKind kind = CollectionKind::collection;
  Uuid uuid;                                       // nil for views
  bson::Document options;                          // as create takes them; viewOn and pipeline for views
  std::vector<IndexSpec> indexes;                  // ready ones, without _id_; empty for views
  std::vector<IndexSpec> unfinished_indexes = {};  // that are being built

  [[nodiscard]] bool is_view() const { return kind == CollectionKind::view; }
  [[nodiscard]] bool is_capped() const { return options["capped"].as_bool(); }
  [[nodiscard]] bool is_clustered() const { return options["clusteredIndex"].exists(); }
  // A collation other than the simple one: equality of keys is the server's
  // affair, so all documents are ordered as one.
  [[nodiscard]] bool has_collation() const;
  // One range, one applier, one order. The _ids of buckets are ObjectIds, which no
  // collation concerns.
  [[nodiscard]] bool is_strictly_ordered() const {
    return is_capped() || (has_collation() && kind != CollectionKind::time_series);
  }

  bool operator==(const CollectionSpec&) const = default;
};

// The twin of a source collection on the target.
struct Twin {
  Namespace ns;
  Uuid uuid;
  bool operator==(const Twin&) const = default;
};

}  // namespace plm
