// Names and shapes on the target: what a collection is created with, and changes
// that can be repeated after an attempt of unknown outcome.
#pragma once

#include "base/error.h"
#include "model/collection.h"
#include "seams/target.h"

namespace plm {

// What a collection is created with on the target: options that would reject
// or remove documents while the job runs are left out, or as large as can be (I7).
[[nodiscard]] bson::Document creation_options(const CollectionSpec& spec);

// Creates the twin of a collection under this name. One that is there already is
// replaced when it is empty (an attempt of ours whose outcome was unknown).
// Errors: wrong_state when it holds documents or is a view.
[[nodiscard]] Result<Twin> create_twin(Target& target, const CollectionSpec& spec, const Namespace& name);

// Creates a view, or replaces the one of this name.
[[nodiscard]] Status put_view(Target& target, const CollectionSpec& view);

// Drops a collection or view of a listing of the target.
[[nodiscard]] Status drop_as_listed(Target& target, const CollectionSpec& listed);

// Not an error when the twin has the new name already.
[[nodiscard]] Status rename_twin(Target& target, const Twin& twin, const Namespace& to);

}  // namespace plm
