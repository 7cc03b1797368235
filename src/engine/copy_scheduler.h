// The life of ranges, from pending to copied: which collection is prepared and
// which range is copied next, what is kept for a range meanwhile, and when its
// copy counts. Passive; the Router's thread.
//
// Every range that is pending or copying is either assigned to a copier or in
// exactly one of the waiting sets here, unless its twin is not ready or its
// collection is gone from the source ahead of the stream.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/catalog.h"
#include "engine/job_queue.h"
#include "engine/messages.h"
#include "engine/progress.h"
#include "engine/sender.h"

namespace plm {

class CopyScheduler {
 public:
  struct Parts {  // all outlive the scheduler
    Catalog& catalog;
    JobQueue<PrepareJob>& preparations;
    JobQueue<CopyJob>& copies;
    Sender& sender;
    Progress& progress;
    Clock& clock;
  };
  struct Settings {
    std::size_t preparers = 16;            // preparations handed out at a time
    std::size_t copiers = 4;               // ranges handed out at a time
    std::size_t parallel_collections = 0;  // copied at a time; 0: no limit
    std::int64_t range_bytes = 0;
    // Collections up to this weight (planner.h) get their name and their indexes before
    // the data: on an empty collection the server makes indexes at once, behind data it
    // runs a build of several phases, few of them at a time. A larger one would pay for
    // that with every document, as it would for numbers instead of a working name.
    std::int64_t small_weight = 0;
    std::size_t keep_bytes = 0;  // of all ranges together
    // Collections prepared, or being so, that wait for copiers. A server closes files that are
    // not used for a while, and opening one costs it as much as copying a small collection.
    std::size_t prepared_ahead = 64;
  };
  CopyScheduler(Parts parts, const Settings& settings)
      : parts_(parts),
        settings_(settings),
        keep_budget_(std::make_shared<KeepBudget>(KeepBudget{settings.keep_bytes, 0})) {}

  // The collection waits for its twin, its plan, or the copy of pending ranges.
  void add(const Collection& collection);
  // Its twin is saved now: its ranges may be copied.
  void twin_is_ready(const Collection& collection);
  // The collection left the catalog, or is about to. No job of it is under way.
  void forget(const Uuid& collection);

  // Hands out jobs while workers are free. A range starts at `position`: the
  // stream was processed up to there, so every later event of the range is kept.
  void hand_out(ClusterTime position);

  // ---- Working names ----
  // A collection whose twin is to get another name (working_name.h), and which one.
  // Until then nothing more of it is handed out.
  struct Move {
    Uuid collection;
    Namespace to;
  };
  [[nodiscard]] std::optional<Move> next_move();
  // Its twin has got it.
  void moved(const Uuid& collection) { to_move_.erase(collection); }

  // ---- What the workers say ----
  // True: the twin's UUID is to be saved.
  [[nodiscard]] bool ended(const Prepared& message);
  // Sends what was kept for a range that is copied. The collection, when this was
  // the last of its ranges and it has its name; rereads count from `now` on.
  [[nodiscard]] const Collection* ended(const RangeEnded& message, ClusterTime now);
  // Documents that the target refused are read again, at worst parked.
  void rejected(const Rejected& message, ClusterTime now);
  // I4: a range is copied only when its kept events are acknowledged.
  void confirm();

  // ---- The stream ----
  // Keeps an event of a copying range. When there is no room, the largest keep
  // is reduced to its keys; when all are, the range with the largest is
  // discarded, which may be this one.
  void keep(Range& range, const Operation& operation);

  // Asks the jobs of one collection, or all, to end at their next batch. Their
  // ranges go on with the next hand_out().
  void stop(const Uuid& collection);
  void stop_all();
  // Whether any worker has to do with this collection.
  [[nodiscard]] bool busy(const Uuid& collection) const {
    return preparing(collection) || running_.contains(collection);
  }
  // Whether its twin is being created, from the specification of now.
  [[nodiscard]] bool preparing(const Uuid& collection) const { return preparing_.contains(collection); }
  [[nodiscard]] std::size_t outstanding() const { return preparing_.size() + assigned_.size(); }
  // Whether a copier found the collection gone, ahead of the stream.
  [[nodiscard]] bool found_gone(const Uuid& collection) const { return gone_.contains(collection); }

  [[nodiscard]] std::vector<std::string> copying() const;  // names, for the status

 private:
  using RangeKey = std::pair<Uuid, std::size_t>;
  using StopFlag = std::shared_ptr<std::atomic<bool>>;
  struct Pending {
    std::int64_t weight = 0;
    std::size_t fresh = 0;           // ranges from here on were not handed out by this process
    std::set<std::size_t> returned;  // those before it that are to be copied anew
  };

  [[nodiscard]] std::size_t ahead() const { return preparing_.size() + unsaved_.size() + by_weight_.size(); }
  bool hand_out_preparation();
  bool hand_out_range(ClusterTime position);
  // The next collection with a pending range that may be copied now.
  [[nodiscard]] Collection* next_collection();
  [[nodiscard]] std::size_t take_pending(const Collection& collection);
  // Puts the collection among those with pending ranges, or takes it away from there.
  void look_for_pending(const Collection& collection, Pending& pending);
  void give(Collection& collection, std::size_t index, ClusterTime position);
  void unassign(const RangeKey& key);
  void return_pending(const Uuid& collection, std::size_t index);
  void discard(Collection& collection, std::size_t index);
  void make_room();
  [[nodiscard]] Range& range_at(const RangeKey& key);

  Parts parts_;
  Settings settings_;
  std::shared_ptr<KeepBudget> keep_budget_;  // shared: a range, with its keep, may outlive the scheduler

  std::deque<Uuid> to_prepare_;
  std::map<Uuid, Pending> pending_;                    // of collections whose twin is ready
  std::set<std::pair<std::int64_t, Uuid>> by_weight_;  // those of them with pending ranges
  std::set<RangeKey> stopped_;                         // copying, and no copier has it
  std::map<RangeKey, StopFlag> assigned_;              // a copier has it
  std::set<Uuid> gone_;                                // from the source; their drop will come
  std::deque<RangeId> confirming_;                     // in the order of their confirmed_behind
  std::map<Uuid, std::size_t> running_;                // ranges of each collection that are assigned
  std::set<Uuid> preparing_;
  std::set<Uuid> unsaved_;  // prepared; what they need is being saved
  std::set<Uuid> to_move_;  // their twins are to get another name
  StopFlag preparations_stop_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace plm
