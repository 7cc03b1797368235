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
  // Whom to wake when there is work; before the first put().
  void add_worker(Signal& worker) { workers_.push_back(&worker); }

  void put(Job job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    for (Signal* worker : workers_) worker->raise();
  }
  [[nodiscard]] std::optional<Job> take() {
    const std::lock_guard lock(mutex_);
    if (jobs_.empty()) return std::nullopt;
    std::optional<Job> job(std::move(jobs_.front()));
    jobs_.pop_front();
    return job;
  }

 private:
  std::vector<Signal*> workers_;
  std::mutex mutex_;
  std::deque<Job> jobs_;
};

}  // namespace plm
