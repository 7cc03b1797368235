// The seam to the saved state: a few small sets of documents in the state
// database of the target. What the documents mean is the business of
// engine/saved_job.h. src/mongo and src/memory implement it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "bson/document.h"

namespace plm {

struct StoreChange {
  std::string set;                         // "state", "collections", "ranges", "parked"
  bson::OwnedValue id;                     // _id of the document
  std::optional<bson::Document> document;  // whole, with its _id; none: remove it
};

class StateStore {
 public:
  virtual ~StateStore() = default;
  // Every document of a set; empty when nothing was saved.
  virtual Result<std::vector<bson::Document>> load(const std::string& set) = 0;
  // Writes the changes in the given order, each acknowledged by a majority
  // before one of another set begins. When it fails, a first part may be
  // written; saving the same again is always right.
  virtual Status save(std::span<const StoreChange> changes) = 0;
  // Removes everything that is saved.
  virtual Status clear() = 0;
};

}  // namespace plm
