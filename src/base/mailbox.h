// Messages from any threads to one role.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "base/signal.h"

namespace plm {

template <typename Message>
class Mailbox {
 public:
  explicit Mailbox(Signal& signal) : signal_(signal) {}

  void post(Message message) {
    {
      const std::lock_guard lock(mutex_);
      messages_.push_back(std::move(message));
    }
    signal_.raise();
  }
  // Everything posted so far, oldest first.
  [[nodiscard]] std::vector<Message> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(messages_, {});
  }

 private:
  Signal& signal_;
  std::mutex mutex_;
  std::vector<Message> messages_;
};

}  // namespace plm
