// Decoded replies on their way from the Reader to the Router, bounded in bytes.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "base/signal.h"
#include "model/change_event.h"

namespace plm {

class EventQueue {
 public:
  EventQueue(Signal& reader, Signal& router, std::size_t limit_bytes)
      : reader_(reader), router_(router), limit_bytes_(limit_bytes) {}

  // The Reader asks before it reads on.
  [[nodiscard]] bool has_room() const {
    const std::lock_guard lock(mutex_);
    return bytes_ < limit_bytes_;
  }
  void push(EventBatch batch) {
    {
      const std::lock_guard lock(mutex_);
      bytes_ += batch.size_bytes;
      batches_.push_back(std::move(batch));
    }
    router_.raise();
  }
  [[nodiscard]] std::optional<EventBatch> pop() {
    std::optional<EventBatch> out;
    {
      const std::lock_guard lock(mutex_);
      if (batches_.empty()) return out;
      out = std::move(batches_.front());
      batches_.pop_front();
      bytes_ -= out->size_bytes;
    }
    reader_.raise();
    return out;
  }

 private:
  Signal& reader_;
  Signal& router_;
  const std::size_t limit_bytes_;
  mutable std::mutex mutex_;
  std::deque<EventBatch> batches_;
  std::size_t bytes_ = 0;
};

}  // namespace plm
