#include "control/source_clock.h"

#include <algorithm>
#include <chrono>
#include <iterator>

namespace plm {

namespace {

// Half an hour of a source that is asked each second, minutes of one whose changes
// come without a pause. Of more, every other is forgotten: the older something is,
// the less exactly its age has to be known.
constexpr std::size_t kMostSeen = 2000;

}  // namespace

void SourceClock::see(ClusterTime newest, SteadyTime now) {
  if (newest.is_zero()) return;
  const std::lock_guard lock(mutex_);
  if (seen_.empty() || newest > seen_.back().newest) return push(newest, now);
  seen_.back().last = now;
}

void SourceClock::reach(ClusterTime time, SteadyTime now) {
  if (time.is_zero()) return;
  const std::lock_guard lock(mutex_);
  if (seen_.empty() || time > seen_.back().newest) push(time, now);
}

void SourceClock::push(ClusterTime newest, SteadyTime now) {
  seen_.push_back({newest, now, now});
  if (seen_.size() <= kMostSeen) return;
  std::deque<Seen> fewer;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (i % 2 == 0 || i + 1 == seen_.size()) fewer.push_back(seen_[i]);
  }
  seen_ = std::move(fewer);
}

std::optional<Millis> SourceClock::lag(ClusterTime replicated, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  if (seen_.empty()) return std::nullopt;
  const Seen& newest = seen_.back();
  if (newest.newest <= replicated) return Millis(0);
  const auto millis = [](auto time) { return std::chrono::duration_cast<Millis>(time); };
  // What the target lacks is newer than what it has, ...
  const auto behind = std::chrono::seconds(newest.newest.seconds) - std::chrono::seconds(replicated.seconds);
  const Millis at_most = millis(behind + (now - newest.first));
  // ... and than what was the newest when nothing was lacking.
  const auto first_lacking = std::ranges::upper_bound(seen_, replicated, {}, &Seen::newest);
  if (first_lacking == seen_.begin()) return at_most;
  return std::min(at_most, millis(now - std::prev(first_lacking)->last));
}

}  // namespace plm
