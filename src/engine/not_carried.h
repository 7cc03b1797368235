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

// Buckets without their time-series collection. Errors: those of the source.
[[nodiscard]] Result<std::vector<std::string>> warnings_about_lost_parts(Source& source, const Filter& filter);

}  // namespace plm
