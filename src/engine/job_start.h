// How a job's work begins, for the first time or again. Both may be repeated
// after any error.
#pragma once

#include "engine/saved_job.h"
#include "model/filter.h"
#include "seams/source.h"
#include "seams/state_store.h"
#include "seams/target.h"

namespace plm {

// First: the position T0 (an acknowledged no-op in the oplog, before anything is
// looked at), then the listing, then both are saved: the collections as wanted
// on the target (the intent of their creation), the position last.
// `warnings` gets what is not carried.
[[nodiscard]] Result<SavedJob> begin_job(Source& source, StateStore& store, const Filter& filter,
                                         std::vector<std::string>& warnings);

// The parts of it. What a job begins with, by the source; nothing is saved.
[[nodiscard]] Result<SavedJob> list_job(Source& source, const Filter& filter, std::vector<std::string>& warnings);
// Saves it in the place of whatever is saved, all at once.
[[nodiscard]] Status save_begun_job(StateStore& store, SavedJob& job);

// Again: what was saved, with the twins as the target has them now. A twin that
// is gone was dropped by the change behind the saved position, or else by
// somebody: wrong_state. One under a working name gets the next (working_name.h).
// Selected views that are not as saved are dropped. None when begin_job() never
// came to its end.
[[nodiscard]] Result<std::optional<SavedJob>> restore_job(Source& source, Target& target, StateStore& store,
                                                          const Filter& filter);

// Collections and views that the target has among the selected namespaces, and
// twins that an earlier job left under working names.
[[nodiscard]] Result<std::vector<CollectionSpec>> present_on_target(Target& target, const Filter& filter);

}  // namespace plm
