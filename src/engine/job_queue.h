// Work that the Router hands out and any of several workers takes.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/signal.h"

namespace plm {

template <typename Job>
class JobQueue {
 public:
  // Wakes one of the workers that found nothing, if there is one: a busy one comes by itself.
  void put(Job job) {
    Signal* idle = nullptr;
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      if (!idle_.empty()) {
        idle = idle_.back();
        idle_.pop_back();
      }
    }
    if (idle != nullptr) idle->raise();
  }
  // `worker`: whom to wake later, when there is nothing now; it outlives the last put().
  [[nodiscard]] std::optional<Job> take(Signal& worker) {
    const std::lock_guard lock(mutex_);
    std::erase(idle_, &worker);
    if (jobs_.empty()) {
      idle_.push_back(&worker);
      return std::nullopt;
    }
    std::optional<Job> job(std::move(jobs_.front()));
    jobs_.pop_front();
    return job;
  }

 private:
  std::mutex mutex_;
  std::deque<Job> jobs_;
  std::vector<Signal*> idle_;
};

}  // namespace plm
