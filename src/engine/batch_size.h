// How many operations an applier writes at once. The more, the more of them
// become one (engine/coalesce.h); but what is written counts, and is seen, only
// when the whole batch is, and is done again when the batch fails.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/clock.h"

namespace plm {

class BatchSize {
 public:
  // 0: as many as are written in about two seconds.
  explicit BatchSize(std::size_t fixed) : most_(fixed == 0 ? kFirst : fixed), fixed_(fixed != 0) {}

  [[nodiscard]] std::size_t most() const { return most_; }

  void wrote(std::size_t operations, Millis took) {
    const bool says_something = operations == most_ || took > kAim;
    if (fixed_ || !says_something) return;
    const auto in_time = operations * static_cast<std::size_t>(kAim.count()) /
                         static_cast<std::size_t>(std::max<Millis::rep>(took.count(), 1));
    most_ = std::clamp(std::clamp(in_time, most_ / 2, most_ * 2), kLeast, kMost);
  }

  // All of it is done again: a connection that breaks every few seconds must not
  // keep a batch from ever being written.
  void failed() {
    if (!fixed_) most_ = std::max(most_ / 2, kLeast);
  }

 private:
  static constexpr Millis kAim{2000};
  static constexpr std::size_t kLeast = 500;
  static constexpr std::size_t kFirst = 4096;
  static constexpr std::size_t kMost = 65'536;

  std::size_t most_;
  bool fixed_;
};

}  // namespace plm
