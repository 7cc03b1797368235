// What two deployments hold, for comparing them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "memory/deployment.h"
#include "model/filter.h"

namespace plm {

struct CollectionSnapshot {
  CollectionSpec spec;                 // its UUID takes no part in the comparison
  std::vector<DocumentPtr> documents;  // by _id; in natural order when capped
};

using Snapshot = std::map<Namespace, CollectionSnapshot>;

// Everything that the filter selects, without temporary collections. Documents
// are shared, not copied.
[[nodiscard]] Snapshot take_snapshot(const MemoryDeployment& deployment, const Filter& filter = {});

struct SnapshotAspects {
  bool options = true;
  bool indexes = true;
};

// A sentence about the first difference; empty when there is none. Documents
// must be the same bytes; options and index specifications may differ in the
// order of their fields and in the types of equal numbers.
[[nodiscard]] std::string first_difference(const Snapshot& source, const Snapshot& target,
                                           const SnapshotAspects& aspects = {});

// Indexes and collections that could reject or remove a document (invariant I7):
// unique, prepareUnique, expiring before kNeverExpires, capped below the most
// that a server takes. One sentence for each.
[[nodiscard]] std::vector<std::string> strict_parts(const MemoryDeployment& deployment);

}  // namespace plm
