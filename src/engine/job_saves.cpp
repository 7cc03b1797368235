#include "engine/job_saves.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace plm {

namespace {

constexpr Millis kInterval{2000};

}  // namespace

JobSaves::JobSaves(Parts parts, SavedPosition position)
    : parts_(parts),
      next_(std::move(position)),
      saved_milestones_{next_.clone_completed, next_.sync_completed},
      last_save_(parts_.clock.steady_now()) {}

bool JobSaves::save_if_due() {
  if (!idle()) return false;
  if (!soon_) {
    if (parts_.clock.steady_now() - last_save_ < kInterval) return false;
    if (!parts_.catalog.has_changes() && parts_.sender.safe().position.time == last_position_) return false;
  }
  save();
  return true;
}

std::uint64_t JobSaves::save() {
  CHECK(idle());
  parts_.sender.poll();
  parts_.copying.confirm();
  const Checkpoint& safe = parts_.sender.safe();  // before the states of the ranges are looked at (I3)
  next_.position = safe.position;
  next_.complete = safe.complete;
  next_.dirty_until = std::max(next_.dirty_until, parts_.progress.read_ahead.get());
  next_.events_read = parts_.progress.events_read;
  next_.events_applied = parts_.progress.events_applied;
  next_.copied_and_removed = parts_.catalog.copied_and_removed();
  const Catalog::Changes changes = parts_.catalog.take_changes();
  for (const Uuid& uuid : changes.collections) {
    if (parts_.catalog.find(uuid)->twin_state == TwinState::unsaved) twins_.push_back(uuid);
  }
  saver_->put({++generation_, changes_to_save(parts_.catalog, changes, next_)});
  milestones_ = {next_.clone_completed, next_.sync_completed};
  soon_ = false;
  last_save_ = parts_.clock.steady_now();
  last_position_ = next_.position.time;
  return generation_;
}

std::vector<Uuid> JobSaves::done(const Saved& message) {
  saved_ = message.generation;
  saved_milestones_ = milestones_;
  return std::exchange(twins_, {});
}

}  // namespace plm
