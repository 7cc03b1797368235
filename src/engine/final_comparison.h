// The final comparison of both sides, when nothing is applied any more. What
// differs goes into the report. Errors: those after which the same is tried again.
#pragma once

#include <span>
#include <string>

#include "engine/catalog.h"
#include "engine/final_report.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

// Their number, and the natural order of capped ones.
[[nodiscard]] Status compare_documents(Source& source, Target& target, const Collection& collection,
                                       FinalReport& report);

// Nothing is said of indexes that are known to have failed.
[[nodiscard]] Status compare_indexes(Target& target, const Collection& collection, FinalReport& report);

// Names and options of the collections and views of one database, of which the
// target should hold `wanted`.
[[nodiscard]] Status compare_options(Target& target, const std::string& database,
                                     std::span<const CollectionSpec* const> wanted, FinalReport& report);

}  // namespace plm
