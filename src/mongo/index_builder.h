// Builds indexes on the target and waits for them.
#pragma once

#include <memory>
#include <vector>

#include "mongo/catalog_reader.h"
#include "mongo/connection.h"
#include "seams/target.h"

namespace plm::mongo {

// All indexes in one command, so that the collection is read once; when that
// fails, each by itself. `patient` is a pool whose connections wait for hours:
// a server ends a build whose client goes away.
std::vector<IndexResult> build_indexes(Pool& patient, const CatalogReader& catalog, const Twin& twin,
                                       const std::vector<IndexSpec>& indexes);

}  // namespace plm::mongo
