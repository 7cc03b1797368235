// The last part of a job: everything up to F is applied and nothing is replayed
// any more (I9). Makes the target's indexes and options what the source's are,
// then compares both sides. One collection a step, then one database a step;
// every step can be repeated, and several threads may make steps at once.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "engine/catalog.h"
#include "engine/final_comparison.h"
#include "engine/final_report.h"
#include "engine/listing.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

// What the target has and the source has lost without an event: views, and
// time-series collections of which half is left.
struct LostOnSource {
  std::vector<Namespace> views;
  std::vector<Twin> time_series;
  [[nodiscard]] bool empty() const { return views.empty() && time_series.empty(); }
};

// The source's real options and indexes at F take the place of what the stream
// said; indexes that a difference shows are made by the Finalizer. The listing
// stands for the time that the stream has come to. What cannot be mended is added
// to the report. What the source has lost leaves the catalog.
[[nodiscard]] LostOnSource adopt_final_listing(const Listing& listing, Catalog& catalog, FinalReport& report);

class Finalizer final : public Role {
 public:
  // An earlier one may have made expiry real: documents are counted no more where
  // the target has removed some since.
  enum class Turn { first, later };
  // `report` is what is known already. `cancelled` ends a step that waits for a
  // long build; none: nothing does.
  Finalizer(Source& source, Target& target, Clock& clock, Progress& progress, Catalog& catalog, FinalReport report,
            std::uint64_t seed, Turn turn = Turn::first, Cancelled cancelled = {});

  // Any thread.
  Result<Step> step() override;
  [[nodiscard]] bool done() const;
  struct CollectionsDone {
    std::int64_t done = 0;
    std::int64_t total = 0;
  };
  [[nodiscard]] CollectionsDone collections() const;
  // What is known so far, in the order of names.
  [[nodiscard]] FinalReport report() const;

 private:
  // A piece of work, and what it found.
  struct Task {
    std::string database;
    Collection* collection = nullptr;  // none: the names and options of the database's collections
    FinalReport found;
    bool counted = false;  // its documents; that is not repeated with the rest
    FinalReport found_counting;
  };
  [[nodiscard]] Task* take();
  void put_back(Task& task, const Error& error);
  Status work_on(Task& task);
  Status work_on_collection(Task& task, FinalReport& found);
  Status count(Task& task);

  Status make_real(Collection& collection, FinalReport& report);
  Status make_index_real(const Collection& collection, const IndexSpec& wanted, const IndexSpec* present);
  Status convert(const Twin& twin, const IndexSpec& wanted);
  Status make_options_real(const Collection& collection);
  Status make_time_series_real(const Collection& collection);

  Source& source_;
  Target& target_;
  Clock& clock_;
  Progress& progress_;
  Catalog& catalog_;
  const FinalReport known_before_;
  const Turn turn_;
  const Cancelled cancelled_;
  std::map<std::string, std::vector<const CollectionSpec*>> databases_;  // all that the target should hold

  mutable std::mutex mutex_;
  std::deque<Task> tasks_;         // all, the collections first; they stay where they are
  std::deque<Task*> collections_;  // that wait for somebody
  std::deque<Task*> comparisons_;  // of databases; when the collections are done
  std::size_t collections_left_ = 0;
  std::size_t tasks_left_ = 0;
  Backoff backoff_;
};

}  // namespace plm
