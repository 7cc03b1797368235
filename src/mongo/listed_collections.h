// Collections and views of a database, from the entries of a listing.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "bson/view.h"
#include "model/collection.h"

namespace plm::mongo {

// From an entry as listCollections gives it; without its indexes.
[[nodiscard]] CollectionSpec spec_from(const std::string& database, bson::View entry);

// Servers before 4.4 stored the namespace in each specification of an index.
[[nodiscard]] IndexSpec without_namespace(bson::View spec);

struct ListedCollections {
  std::vector<CollectionSpec> collections;  // neither temporary ones nor a server's own
  std::vector<CollectionSpec> lost_parts;   // halves of time-series
};

class ListedEntries {
 public:
  explicit ListedEntries(std::string database) : database_(std::move(database)) {}
  void add(bson::View entry);
  [[nodiscard]] ListedCollections take();

 private:
  std::string database_;
  std::vector<CollectionSpec> collections_;
  std::set<std::string, std::less<>> views_of_buckets_;
};

}  // namespace plm::mongo
