// When a job is saved, what goes into a save, and what is known to be saved.
// Passive; the Router's thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "engine/catalog.h"
#include "engine/copy_scheduler.h"
#include "engine/messages.h"
#include "engine/progress.h"
#include "engine/saved_job.h"
#include "engine/saver.h"
#include "engine/sender.h"

namespace plm {

class JobSaves {
 public:
  struct Parts {  // all outlive this
    Catalog& catalog;
    Sender& sender;
    CopyScheduler& copying;
    Clock& clock;
    Progress& progress;
  };
  JobSaves(Parts parts, SavedPosition position);
  void connect(Saver& saver) { saver_ = &saver; }

  // What the next save says; the parts that change by themselves are filled in then.
  [[nodiscard]] SavedPosition& next() { return next_; }
  [[nodiscard]] const SavedPosition& next() const { return next_; }

  [[nodiscard]] bool idle() const { return saved_ == generation_; }
  // Begins a save of everything at this instant; idle() must hold. Its number.
  std::uint64_t save();
  [[nodiscard]] bool is_saved(std::uint64_t generation) const { return saved_ >= generation; }

  // How far the initial sync came. Only what is saved is told: it never goes back, not even over a restart.
  struct Milestones {
    bool clone_completed = false;
    bool sync_completed = false;
  };
  [[nodiscard]] const Milestones& milestones() const { return saved_milestones_; }

  // With the next chance, not only when the interval is over.
  void soon() { soon_ = true; }
  // True: a save was begun.
  bool save_if_due();

  // Takes in that a save is done. The collections whose twins are saved now.
  [[nodiscard]] std::vector<Uuid> done(const Saved& message);

 private:
  Parts parts_;
  SavedPosition next_;
  Saver* saver_ = nullptr;
  std::uint64_t generation_ = 0;  // of the newest save
  std::uint64_t saved_ = 0;
  // In the newest save:
  std::vector<Uuid> twins_;
  Milestones milestones_;
  Milestones saved_milestones_;  // in the newest that is done
  bool soon_ = false;
  SteadyTime last_save_{};
  ClusterTime last_position_;
};

}  // namespace plm
