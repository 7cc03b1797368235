// Numbers that roles write and the status reads, without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "model/cluster_time.h"

namespace plm {

// A cluster time that only grows.
class GrowingTime {
 public:
  void reach(ClusterTime time) {
    std::uint64_t now = packed_.load(std::memory_order_relaxed);
    while (now < time.packed() && !packed_.compare_exchange_weak(now, time.packed())) {
    }
  }
  [[nodiscard]] ClusterTime get() const { return ClusterTime::from_packed(packed_.load()); }

 private:
  std::atomic<std::uint64_t> packed_{0};
};

struct Progress {
  std::atomic<std::int64_t> events_read{0};
  std::atomic<std::int64_t> events_applied{0};
  std::atomic<std::int64_t> copied_bytes{0};
  std::atomic<std::int64_t> copied_documents{0};
  std::atomic<std::int64_t> retries{0};
  std::atomic<std::int64_t> parked{0};
  GrowingTime source_time;  // newest operationTime seen from the source
  GrowingTime read_ahead;   // newest operationTime of a document read from the source for the target

  // The latest retryable failure, for people.
  void retrying(std::string what) {
    ++retries;
    const std::lock_guard lock(mutex_);
    last_retry_ = std::move(what);
  }
  // A document that could not be written, for people; and when it could.
  void park(std::string what) {
    ++parked;
    const std::lock_guard lock(mutex_);
    if (parked_sample_.size() < kSample) parked_sample_.push_back(std::move(what));
  }
  void unpark(const std::string& what) {
    --parked;
    const std::lock_guard lock(mutex_);
    std::erase_if(parked_sample_, [&](const std::string& entry) { return entry == what; });
  }
  [[nodiscard]] std::vector<std::string> parked_sample() const {
    const std::lock_guard lock(mutex_);
    return parked_sample_;
  }
  [[nodiscard]] std::string last_retry() const {
    const std::lock_guard lock(mutex_);
    return last_retry_;
  }

 private:
  static constexpr std::size_t kSample = 10;
  mutable std::mutex mutex_;
  std::vector<std::string> parked_sample_;
  std::string last_retry_;
};

}  // namespace plm
