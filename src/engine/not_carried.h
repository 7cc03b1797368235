// What a job leaves behind although it is selected, or what will look different
// on the target because of what is not selected: a line each, for people.
#pragma once

#include <string>
#include <vector>

#include "model/collection.h"
#include "model/filter.h"
#include "seams/source.h"

namespace plm {

// A view, of which the target lacks collections that it reads. Empty: none.
[[nodiscard]] std::string warning_about_view(const CollectionSpec& view, const Filter& filter);

// Selected halves of time-series collections that have lost the other half. Errors: those of the source.
[[nodiscard]] Result<std::vector<Namespace>> lost_parts(Source& source, const Filter& filter);

[[nodiscard]] std::vector<std::string> warnings_about_lost_parts(const std::vector<Namespace>& lost);

}  // namespace plm
