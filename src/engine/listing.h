// What the source held at one cluster time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/filter.h"
#include "seams/source.h"

namespace plm {

struct Listing {
  std::vector<CollectionSpec> collections;   // selected ones; views, too
  ClusterTime as_of;                         // of every database but those in `later`
  std::map<std::string, ClusterTime> later;  // databases that were listed again
  std::set<std::string> unsettled;           // databases that are left out; see list_at_one_time
  std::vector<Namespace> lost_parts;         // halves of time-series collections; of a final listing only

  // The newest of all.
  [[nodiscard]] ClusterTime newest() const;
};

// Lists, writes a no-op to the oplog (T), lists again. A collection that is the
// same in both listings was the same at T, because both listings bracket it;
// databases with a difference are listed again against a new T, until the two
// agree. Errors: those of the source, and wrong_state when a database
// keeps changing for 100 rounds.
[[nodiscard]] Result<Listing> list_source(Source& source, const Filter& filter);

// As list_source, but of one time for everything: all databases are listed again
// until two listings in a row agree. One that keeps changing for ten rounds is
// `unsettled`: of its collections only the stream knows what they are at as_of.
[[nodiscard]] Result<Listing> list_at_one_time(Source& source, const Filter& filter);

}  // namespace plm
