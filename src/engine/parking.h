// Documents that could not be written to the target, by key. Each is saved
// before its operation counts as acknowledged (I3). Any thread.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>

#include "engine/coalesce.h"
#include "engine/operation.h"
#include "engine/progress.h"
#include "engine/saved_job.h"
#include "seams/state_store.h"

namespace plm {

class Parking {
 public:
  Parking(StateStore& store, Progress& progress) : store_(store), progress_(progress) {}

  // Parked by an earlier process, or now. One that is parked already gets another
  // name and reason: the last one is what there is to do something about.
  void restore(const ParkedDocument& document);

  [[nodiscard]] bool empty() const { return count_.load() == 0; }
  [[nodiscard]] bool holds(const Operation& operation) const;
  // Errors: those of the store; then nothing has changed.
  Status park(const Operation& operation, const Error& reason);
  // The document was written. Not an error when it is not parked.
  Status release(const Operation& operation);
  // The collection has another name. What is saved keeps the old one: load_job()
  // gives the catalog's.
  void rename(const Uuid& collection, const Namespace& ns);
  // The collection is gone from the job: so are its parked documents. No
  // operation of it is under way.
  Status forget(const Uuid& collection);

 private:
  using Documents = std::unordered_map<DocumentKey, ParkedDocument, DocumentKeyHash, DocumentKeyEqual>;
  void erase(Documents::iterator entry);

  StateStore& store_;
  Progress& progress_;
  mutable std::mutex mutex_;
  Documents documents_;  // the keys point into the documents
  std::atomic<std::size_t> count_{0};
};

}  // namespace plm
