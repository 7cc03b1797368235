// What the source held at one cluster time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/filter.h"
#include "seams/source.h"

namespace plm {

struct Listing {
  std::vector<CollectionSpec> collections;   // selected ones; views, too
  ClusterTime as_of;                         // of every database but those in `later`
  std::map<std::string, ClusterTime> later;  // databases that were listed again
  std::vector<std::string> warnings;

  // The newest of all.
  [[nodiscard]] ClusterTime newest() const;
};

// Lists, writes a no-op to the oplog (T), lists again. A collection that is the
// same in both listings was the same at T, because both listings bracket it;
// databases with a difference are listed again against a new T, until the two
// agree (H8). Errors: those of the source, and wrong_state when a database
// keeps changing for 100 rounds.
[[nodiscard]] Result<Listing> list_source(Source& source, const Filter& filter);

}  // namespace plm
