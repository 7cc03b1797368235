// Builds indexes on the target and waits for them.
#pragma once

#include <memory>
#include <vector>

#include "mongo/catalog_reader.h"
#include "mongo/connection.h"
#include "mongo/writers.h"
#include "seams/target.h"

namespace plm::mongo {

// What a build needs of the target.
struct BuildContext {
  Pool& pool;
  const CatalogReader& catalog;
  const Cancelled& cancelled;
  Writers& writers;
};

// All indexes in one command, so that the collection is read once; when that
// fails, each by itself.
//
// A build takes as long as it takes, a dead server must be noticed. So the
// command is sent with the ordinary time limit; when that passes, the server's
// list of indexes is asked until the build is finished or gone (6.0 goes on
// with a build whose client is away), or nobody waits for it any more. One that
// is gone is sent again. Why a long build failed nobody hears: when the server
// has given up several, that is the error, and it is not retryable.
std::vector<IndexResult> build_indexes(const BuildContext& context, const Twin& twin,
                                       const std::vector<IndexSpec>& indexes);

}  // namespace plm::mongo
