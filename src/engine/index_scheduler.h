// The to-do list of index builds. Passive; the Router's thread. The list itself
// is in the catalog (and so is saved); this hands out what can be built now.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>

#include "engine/catalog.h"
#include "engine/job_queue.h"
#include "engine/messages.h"

namespace plm {

class IndexScheduler {
 public:
  IndexScheduler(Catalog& catalog, JobQueue<IndexJob>& jobs, std::size_t workers)
      : catalog_(catalog), jobs_(jobs), workers_(workers) {}

  // The collection's data is copied, or it has another index to build.
  void add(const Collection& collection) { ready_.push_back(collection.uuid()); }
  // Those that could not be built wait again.
  void retry_failed(Collection& collection);
  void hand_out();
  // Takes in what became of indexes; those that gave way wait again.
  void made(Collection& collection, const std::vector<IndexResult>& results);
  // The same, of a job.
  void ended(Collection& collection, const IndexesBuilt& message);
  // Asks the collection's job to end; the Router also drops what is being built.
  void stop(const Uuid& collection);
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

 private:
  Catalog& catalog_;
  JobQueue<IndexJob>& jobs_;
  std::size_t workers_;
  std::deque<Uuid> ready_;
  std::map<Uuid, std::shared_ptr<std::atomic<bool>>> stops_;
  std::size_t outstanding_ = 0;
};

}  // namespace plm
