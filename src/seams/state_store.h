// The seam to the saved state: a few small sets of documents in the state
// database of the target, and the lease that says who may write them. What the
// documents mean is the business of engine/saved_job.h. src/mongo and src/memory
// implement it. Any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "bson/document.h"
#include "seams/lease.h"

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
  // Writes all of the changes or none, acknowledged by a majority, under the
  // condition that the epoch of the lease that was taken here still holds (C4).
  // After an error with an unknown outcome saving the same again is always right:
  // no save lands behind a later one. Errors: superseded.
  virtual Status save(std::span<const StoreChange> changes) = 0;
  // Removes everything that is saved, the lease apart; as save().
  virtual Status clear() = 0;

  // ---- The lease ----
  virtual Result<LeaseSight> look_at_lease() = 0;
  // Makes `owner` its owner, with the epoch behind `seen`, which is returned.
  // Nothing of an older epoch is saved from here on; what is saved here carries
  // the new one. Errors: superseded, when the epoch is not `seen` any more.
  virtual Result<Epoch> take_lease(const LeaseOwner& owner, Epoch seen) = 0;
  // Shows that the owner lives. Errors: superseded, when the lease was lost.
  virtual Status renew_lease() = 0;
  // Lets go of it, so that nobody has to wait. Not an error when it was lost.
  virtual Status release_lease() = 0;
};

}  // namespace plm
