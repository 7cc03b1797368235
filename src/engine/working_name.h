// While its documents are copied, the twin of a larger collection has a working
// name, plm_copy_<the source's UUID>_<number>. The copy's inserts name it and the
// twin's UUID, and so are shut out when the twin gets another name: nothing else
// has to be paid for with every document (I6). It gets
//
//   - the next working name, when the outcome of an insert is unknown, and when a
//     process goes on with a job: so what was sent before has no effect;
//   - when it is kept though it is copied again (recopy.h) and its collection has another
//     name now, one that it never had: its number is a time of the source;
//   - its own name, when all of its documents are copied, before its indexes are
//     built; or when the source renames the collection.
#pragma once

#include "model/cluster_time.h"
#include "model/collection.h"

namespace plm {

// Whether the twin of such a collection may have one. Capped collections are not
// copied by name, because their inserts cannot be repeated one by one; names of the
// server's own collections mean more than a name.
[[nodiscard]] bool may_have_working_name(const CollectionSpec& spec);

[[nodiscard]] bool is_working_name(const Namespace& ns);
[[nodiscard]] Namespace first_working_name(const CollectionSpec& spec);
// Numbers count from 0 or from such times, which only grow: no twin had it before.
[[nodiscard]] Namespace working_name_at(const CollectionSpec& spec, ClusterTime now);
// `ns` is a working name.
[[nodiscard]] Namespace next_working_name(const Namespace& ns);

}  // namespace plm
