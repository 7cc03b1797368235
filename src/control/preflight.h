// What is checked before a job may start. Refusals name the exact thing that is
// wrong or missing; nothing is touched.
#pragma once

#include "base/error.h"
#include "control/job_record.h"
#include "model/filter.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

// Both are replica sets, not the same one; the source is 6.0 or newer, the
// target not older than the source; the users may do what plm does.
// Errors: wrong_state, server (a missing privilege), network.
[[nodiscard]] Status check_servers(Source& source, Target& target);

// Whether the source is still the one that the job began with: positions and
// UUIDs mean nothing elsewhere. Errors: wrong_state, network.
[[nodiscard]] Status check_same_source(Source& source, const SourceSet& began_with);

// Errors: wrong_state, listing what is in the way, unless `replace`.
[[nodiscard]] Status check_target_is_free(Target& target, const Filter& filter, bool replace);

// Drops what check_target_is_free found in the way.
[[nodiscard]] Status drop_present(Target& target, const Filter& filter);

}  // namespace plm
