// Writes that were sent to a simulated target and have not arrived: in a socket,
// a proxy, a queue of the server. Those of a process that is gone are among them.
// What shuts them out is modelled by its outcome alone (see seams/target.h).
// Shared by all processes that write to one deployment. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "memory/random.h"
#include "seams/lease.h"

namespace plm {

class LateWrites {
 public:
  enum class Fences { hold, are_missing };  // missing: what plm would do without I6
  explicit LateWrites(Fences fences = Fences::hold) : fences_(fences) {}

  // No epoch: nothing here shuts it out. What is sent under one that is over will be
  // refused when it arrives.
  void hold(std::optional<Epoch> epoch, std::function<void()> write) {
    if (!epoch || !refuses(*epoch)) held_.push_back({epoch, std::move(write)});
  }
  [[nodiscard]] Fences fences() const { return fences_; }

  // A writer of this epoch makes sure that what it sent before has no effect.
  void shut_out(Epoch epoch) {
    if (fences_ == Fences::hold) std::erase_if(held_, [&](const Held& held) { return held.epoch == epoch; });
  }
  // All older epochs are over.
  void take_over(Epoch epoch) {
    epoch_ = epoch;
    if (fences_ == Fences::hold)
      std::erase_if(held_, [&](const Held& held) { return held.epoch && *held.epoch < epoch; });
  }
  // Whether a write that is sent now under this epoch is refused.
  [[nodiscard]] bool refuses(Epoch epoch) const { return fences_ == Fences::hold && epoch < epoch_; }

  // One of them arrives, if there is any.
  void deliver_one(Random& random) {
    if (held_.empty()) return;
    const auto at = held_.begin() + static_cast<std::ptrdiff_t>(random.below(held_.size()));
    const std::function<void()> write = std::move(at->write);
    held_.erase(at);
    write();
  }
  void deliver_all(Random& random) {
    while (!held_.empty()) deliver_one(random);
  }

 private:
  struct Held {
    std::optional<Epoch> epoch;
    std::function<void()> write;
  };
  Fences fences_;
  Epoch epoch_ = 0;
  std::vector<Held> held_;
};

}  // namespace plm
