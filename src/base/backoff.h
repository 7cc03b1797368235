// Waits that grow while something keeps failing: 50 ms doubled up to 5 s, each
// shortened by a random part of up to a half, so that many clients that were
// thrown out together do not come back together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "base/clock.h"

namespace plm {

class Backoff {
 public:
  explicit Backoff(std::uint64_t seed) : random_(seed) {}

  void failed(SteadyTime now) {
    const Millis longest = std::min<Millis>(kFirst * (1LL << std::min(failures_, 10)), kLongest);
    std::uniform_int_distribution<std::int64_t> part(longest.count() / 2, longest.count());
    ready_at_ = now + Millis(part(random_));
    ++failures_;
  }
  void succeeded() {
    failures_ = 0;
    ready_at_ = {};
  }
  [[nodiscard]] bool ready(SteadyTime now) const { return now >= ready_at_; }
  [[nodiscard]] int failures() const { return failures_; }

 private:
  static constexpr Millis kFirst{50};
  static constexpr Millis kLongest{5000};
  std::minstd_rand random_;
  int failures_ = 0;
  SteadyTime ready_at_{};
};

}  // namespace plm
