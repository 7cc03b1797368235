// Finds out by trying what a target's server allows.
#pragma once

#include "mongo/portable_writes.h"
#include "mongo/writers.h"
#include "seams/target.h"

namespace plm::mongo {

struct ApplyAbilities {
  ApplyMode mode = ApplyMode::portable;
  DiffSupport diffs = DiffSupport::none;
};

// Works on a scratch collection of the state database and removes it. Errors:
// only those that say nothing about abilities (network, elections, no right to
// write at all).
Result<ApplyAbilities> probe_apply_abilities(Pool& pool, Writers& writers);

}  // namespace plm::mongo
