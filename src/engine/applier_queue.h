// The way from the Router to one applier, and the acknowledgements back.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "base/signal.h"
#include "engine/operation.h"

namespace plm {

class ApplierQueue {
 public:
  explicit ApplierQueue(Signal& applier) : applier_(applier) {}

  // The Router. Takes the operations out of `operations`, which is left empty.
  void push(std::vector<Operation>& operations) {
    if (operations.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        waiting_.swap(operations);
      } else {
        waiting_.insert(waiting_.end(), std::make_move_iterator(operations.begin()),
                        std::make_move_iterator(operations.end()));
        operations.clear();
      }
    }
    applier_.raise();
  }
  // The applier: everything that waits, in order.
  [[nodiscard]] std::vector<Operation> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

  // The applier: all operations up to this number are on the target, or parked.
  void acknowledge(std::uint64_t sequence) { acknowledged_.store(sequence, std::memory_order_release); }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_.load(std::memory_order_acquire); }

 private:
  Signal& applier_;
  std::mutex mutex_;
  std::vector<Operation> waiting_;
  std::atomic<std::uint64_t> acknowledged_{0};
};

}  // namespace plm
