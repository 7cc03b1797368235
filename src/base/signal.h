// How one role tells another that there may be something to do. A role that
// found nothing waits on its own Signal; whoever hands it work raises it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace plm {

class Signal {
 public:
  // Any thread.
  void raise() {
    {
      const std::lock_guard lock(mutex_);
      ++raised_;
    }
    condition_.notify_all();
  }
  // What was raised until now; taken before looking for work, so that nothing
  // raised meanwhile is missed.
  [[nodiscard]] std::uint64_t seen() const {
    const std::lock_guard lock(mutex_);
    return raised_;
  }
  // Returns when something was raised after `seen`, the time is over, or a stop
  // is requested.
  void wait(std::uint64_t seen, std::chrono::milliseconds at_most, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, stop, at_most, [&] { return raised_ != seen; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any condition_;
  std::uint64_t raised_ = 0;
};

}  // namespace plm
