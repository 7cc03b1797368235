// Numbers that roles write and the status reads, without a lock.
#pragma once

#include <algorithm>
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
  std::atomic<bool> stream_broken{false};  // the change stream failed, and has not answered since
  GrowingTime source_time;                 // newest operationTime seen from the source
  GrowingTime read_ahead;                  // newest operationTime of a document read from the source for the target
  GrowingTime end;                         // F: documents are read again as they were then; zero: finalize is not near

  // The latest retryable failure, for people.
  void retrying(std::string what) {
    ++retries;
    const std::lock_guard lock(mutex_);
    last_retry_ = std::move(what);
  }
  // A document that could not be written, for people; and when it could.
  void park(const std::string& what) {
    ++parked;
    (void)name_parked(what);
  }
  void unpark(const std::string& what) {
    --parked;
    const std::lock_guard lock(mutex_);
    std::erase_if(parked_sample_, [&](const std::string& entry) { return entry == what; });
  }
  // One of those that are parked, of which only some are named. False: no other needs to be.
  bool name_parked(const std::string& what) {
    const std::lock_guard lock(mutex_);
    const bool known = std::ranges::find(parked_sample_, what) != parked_sample_.end();
    if (!known && parked_sample_.size() < kSample) parked_sample_.push_back(what);
    return parked_sample_.size() < kSample;
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
