// A job that is copied again, because its position is no longer in the source's
// oplog, or because the target is not what it should be. The job stays the same:
// its filter, its options, its counters.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/saved_job.h"
#include "model/filter.h"
#include "seams/source.h"
#include "seams/state_store.h"
#include "seams/target.h"

namespace plm {

enum class Recopy {
  none,
  changed,  // twins are kept and compared with the source (range_merge.h); only what differs is written
  all,      // everything selected is dropped on the target and copied anew
};
// The words of the API.
[[nodiscard]] constexpr std::string_view name_of(Recopy recopy) {
  if (recopy == Recopy::changed) return "changed";
  return recopy == Recopy::all ? "all" : "none";
}
[[nodiscard]] constexpr std::optional<Recopy> recopy_named(std::string_view name) {
  for (const Recopy recopy : {Recopy::none, Recopy::changed, Recopy::all}) {
    if (name_of(recopy) == name) return recopy;
  }
  return std::nullopt;
}

// Begins the saved job anew, as begin_job() does: a position, then a listing, and
// both are saved, when the target was brought to where the listing can be copied:
//
//   - A twin is kept when it still exists, the source's collection, too, with the
//     same options, and the order of its documents is that of plm (not capped, no
//     collation). Indexes that the source has not, in their plain form, are dropped.
//   - A kept twin whose collection has another name now gets a working name that
//     none ever had, one that has a working name the next: so what was sent to it
//     by name before has no effect (I6), and swapped names are free. The copy gives
//     it its name as always (CopyScheduler::next_move).
//   - Other twins and all views are dropped, also those of collections that are
//     gone from the source; so is what a creation behind the last save may have
//     left: empty collections among the selected names. Others are not touched.
//
// Parked documents are forgotten: they are copied or parked again. No engine of
// the job is at work. None when the job was never begun. May be repeated after any error or crash,
// also when its outcome was saved and an engine began to work on it.
[[nodiscard]] Result<std::optional<SavedJob>> begin_recopy(Source& source, Target& target, StateStore& store,
                                                           const Filter& filter, Recopy recopy,
                                                           std::vector<std::string>& warnings);

}  // namespace plm
