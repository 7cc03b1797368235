// A few threads that live and end together: the first error stops the
// siblings, and join() gives it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/error.h"

namespace plm {

class TaskGroup {
 public:
  TaskGroup() = default;
  ~TaskGroup() {
    request_stop();
    (void)join();
  }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  TaskGroup(TaskGroup&&) = delete;
  TaskGroup& operator=(TaskGroup&&) = delete;

  // Runs `body` in a thread of its own; its error ends the group.
  void add(std::function<Status(std::stop_token)> body) {
    threads_.emplace_back([this, work = std::move(body)] {
      if (Status status = work(source_.get_token()); !status) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::move(status.error());
        source_.request_stop();
      }
    });
  }
  void request_stop() { source_.request_stop(); }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }
  // Waits for all threads; the first error, when there was one.
  Status join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
    const std::lock_guard lock(mutex_);
    if (error_) return fail(*error_);
    return {};
  }
  // The first error so far. Any thread.
  [[nodiscard]] std::optional<Error> error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::stop_source source_;
  mutable std::mutex mutex_;
  std::optional<Error> error_;
  std::vector<std::thread> threads_;
};

// Calls `body(n)` for every n below `count`, up to `threads` at a time, and waits
// for all. The first error keeps the others from being begun.
inline Status for_each_below(std::size_t count, std::size_t threads, const std::function<Status(std::size_t)>& body) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&](const std::stop_token& stop) -> Status {
    while (!stop.stop_requested()) {
      const std::size_t n = next.fetch_add(1);
      if (n >= count) break;
      if (auto done = body(n); !done) return done;
    }
    return {};
  };
  if (count <= 1) return work({});
  TaskGroup group;
  for (std::size_t thread = 0; thread < std::min(count, threads); ++thread) group.add(work);
  return group.join();
}

}  // namespace plm
