// How far the source is, as it was seen from time to time, and how long what the
// target lacks has been there. By cluster times alone nobody could tell: between
// two writes of a quiet source lie minutes, and the last one is as old as a clock
// says. That clock is our own steady one. Any thread.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "model/cluster_time.h"

namespace plm {

class SourceClock {
 public:
  // The source was asked, and this is its newest time.
  void see(ClusterTime newest, SteadyTime now);
  // It has come that far, as something that it sent shows.
  void reach(ClusterTime time, SteadyTime now);

  // Since when there is something newer than `replicated`, at most; zero: there is
  // nothing. None: the source was not seen yet.
  [[nodiscard]] std::optional<Millis> lag(ClusterTime replicated, SteadyTime now) const;

 private:
  struct Seen {
    ClusterTime newest;
    SteadyTime first{};
    SteadyTime last{};  // when it still was the newest
  };
  void push(ClusterTime newest, SteadyTime now);

  mutable std::mutex mutex_;
  std::deque<Seen> seen_;  // ever newer
};

}  // namespace plm
