// Which collection is prepared and which range is copied next. Passive; the
// Router's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "engine/catalog.h"
#include "engine/job_queue.h"
#include "engine/messages.h"

namespace plm {

class CopyScheduler {
 public:
  struct Settings {
    std::size_t workers = 4;               // jobs handed out at a time
    std::size_t parallel_collections = 0;  // copied at a time; 0: no limit
    std::int64_t range_bytes = 0;
    std::size_t keep_bytes = 0;  // of all ranges together
  };
  CopyScheduler(Catalog& catalog, JobQueue<CopierJob>& jobs, const Settings& settings)
      : catalog_(catalog),
        jobs_(jobs),
        settings_(settings),
        keep_budget_(std::make_shared<KeepBudget>(KeepBudget{settings.keep_bytes, 0})) {}

  // The collection waits for its twin, its plan, or the copy of pending ranges.
  void add(const Collection& collection);
  // Its twin is saved now: its ranges may be copied.
  void twin_is_ready(const Collection& collection);

  // Hands out jobs while workers are free. A range starts at `position`: the
  // stream was processed up to there, so every later event of the range is kept.
  void hand_out(ClusterTime position);

  // Takes in that a job has ended; the Router does what follows from it.
  void ended(const Collection& collection);
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

  // Asks the jobs of one collection, or all, to end at their next batch.
  void stop(const Uuid& collection);
  void stop_all();
  // Whether any worker has to do with this collection.
  [[nodiscard]] bool busy(const Uuid& collection) const;

  // A copying range becomes pending: what was copied is to be copied again.
  void discard(Collection& collection, Range& range);
  // Stopped ranges go on.
  void resume(const Collection& collection);

  [[nodiscard]] std::vector<std::string> copying() const;  // names, for the status

 private:
  struct Candidate {
    std::int64_t collection_weight = 0;
    RangeId range;
    // Heaviest collection first, so that the last one to end is short; its ranges in order.
    bool operator<(const Candidate& other) const {
      if (collection_weight != other.collection_weight) return collection_weight < other.collection_weight;
      if (range.collection != other.range.collection) return range.collection < other.range.collection;
      return range.index > other.range.index;
    }
  };
  bool hand_out_preparation();
  bool hand_out_range(ClusterTime position);
  void give(Collection& collection, std::size_t index, ClusterTime position);

  Catalog& catalog_;
  JobQueue<CopierJob>& jobs_;
  Settings settings_;
  std::shared_ptr<KeepBudget> keep_budget_;  // shared: a range, with its keep, may outlive the scheduler
  std::deque<Uuid> to_prepare_;
  std::deque<RangeId> stopped_;
  std::priority_queue<Candidate> pending_;
  std::map<Uuid, std::size_t> running_;  // jobs of each collection
  std::map<Uuid, std::shared_ptr<std::atomic<bool>>> stops_;
  std::size_t outstanding_ = 0;
};

}  // namespace plm
