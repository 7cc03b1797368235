// What a change of the source's collections leaves in the catalog.
#pragma once

#include <optional>

#include "engine/catalog.h"
#include "engine/schema_change.h"

namespace plm {

// What carrying a change out brought to light.
struct ChangeOutcome {
  Uuid created;                             // create: the twin
  std::optional<CollectionSpec> described;  // copy with needs_listing: what the source says; none: it is gone
};

// Brings the catalog to the state after the change. The collection that has to be
// copied from now on, if any.
Collection* apply_to_catalog(const SchemaChange& change, ChangeOutcome outcome, Catalog& catalog);

}  // namespace plm
