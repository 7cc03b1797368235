#include "control/oplog_watch.h"

#include <algorithm>

#include "base/check.h"

namespace plm {

namespace {

// The server drops the oldest of 10 to 100 pieces at a time (kMinStonesToKeep and
// kMaxStonesToKeep of its wiredtiger_record_store_oplog_thread): about one round.
constexpr std::size_t kMovesKept = 50;

constexpr std::chrono::seconds kUnseen{5};  // of a window that is looked at each second

double seconds_between(SteadyTime from, SteadyTime to) { return std::chrono::duration<double>(to - from).count(); }

double seconds_between(const ClusterTime& from, const ClusterTime& to) {
  return static_cast<double>(to.seconds) - static_cast<double>(from.seconds);
}

}  // namespace

std::string_view name_of(OplogLevel level) {
  switch (level) {
    case OplogLevel::fine:
      return "fine";
    case OplogLevel::warning:
      return "warning";
    case OplogLevel::critical:
      return "critical";
    case OplogLevel::lost:
      return "lost";
  }
  CHECK(!"unknown level");
  return {};
}

void OplogWatch::see(const OplogWindow& window, SteadyTime now) {
  if (window.oldest.is_zero() || window.newest.is_zero()) return;
  if (window_ && window.oldest > window_->oldest) {
    moves_.push_back({now, window.oldest});
    if (moves_.size() > kMovesKept) moves_.pop_front();
  }
  // Another member with an oplog of its own has become primary.
  if (window_ && window.oldest < window_->oldest) moves_.clear();
  window_ = window;
  seen_at_ = now;
}

std::optional<OplogUse> OplogWatch::use(const ClusterTime& position, SteadyTime now) const {
  if (!window_ || position.is_zero()) return std::nullopt;
  if (position < window_->oldest) return OplogUse{1, 0, OplogLevel::lost};
  OplogUse out;
  out.used_fraction = used_fraction(position, now);
  out.seconds_left = seconds_left(position, now);
  if (out.used_fraction >= kOplogWarning) out.level = OplogLevel::warning;
  if (out.used_fraction >= kOplogCritical) out.level = OplogLevel::critical;
  return out;
}

// By time, as if the writes were even. While the oplog is still filling, its room
// counts, too: a new replica set has a window of minutes, and days until it moves.
double OplogWatch::used_fraction(const ClusterTime& position, SteadyTime now) const {
  const double length = seconds_between(window_->oldest, window_->newest);
  if (length <= 0) return 0;
  const double unseen = now - seen_at_ > kUnseen ? seconds_between(seen_at_, now) : 0;
  const double behind = seconds_between(position, window_->newest) + unseen;
  const bool filling = moves_.empty() && window_->size_bytes > 0 && window_->size_bytes < window_->max_bytes;
  const double full = filling ? static_cast<double>(window_->size_bytes) / static_cast<double>(window_->max_bytes) : 1;
  return std::clamp(behind / length * full, 0.0, 1.0);
}

std::optional<std::int64_t> OplogWatch::seconds_left(const ClusterTime& position, SteadyTime now) const {
  if (moves_.empty()) return std::nullopt;
  const double left = seconds_between(window_->oldest, position) / rate(now) - seconds_between(seen_at_, now);
  return static_cast<std::int64_t>(std::max(left, 0.0));
}

// Seconds by which the oldest entry moves in a second. It moves in steps, and what
// one step means is known with the next one: until then the window is taken to
// keep its length.
double OplogWatch::rate(SteadyTime now) const {
  if (moves_.size() < 2) return 1;
  const double moved = seconds_between(moves_.front().oldest, moves_.back().oldest);
  if (moved <= 0) return 1;
  // As long as the next step is not overdue, the time since the last one does not count.
  const double took =
      std::max(seconds_between(moves_.front().at, moves_.back().at), seconds_between(moves_[1].at, now));
  return moved / took;
}

}  // namespace plm
