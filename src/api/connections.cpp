#include "api/connections.h"

#include <sys/socket.h>

namespace plm {

void Connections::opened(Key key, int fd) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  entry.fd = fd;
  wait_for_client(entry, key, limits_.to_ask);
}

void Connections::asked(Key key) {
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(key); found != entries_.end()) stop_waiting(found->second);
}

void Connections::answered(Key key) {
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(key); found != entries_.end()) {
    wait_for_client(found->second, key, limits_.to_listen);
  }
}

void Connections::closed(Key key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  stop_waiting(found->second);
  entries_.erase(found);
}

void Connections::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, std::chrono::milliseconds(250), [] { return false; });
    const auto now = std::chrono::steady_clock::now();
    for (auto& [key, entry] : entries_) {
      if (entry.deadline && *entry.deadline <= now) hang_up(entry);
    }
  }
}

void Connections::wait_for_client(Entry& entry, Key key, std::chrono::seconds limit) {
  stop_waiting(entry);
  entry.deadline = std::chrono::steady_clock::now() + limit;
  entry.age = next_age_++;
  by_age_[entry.age] = key;
  if (by_age_.size() > limits_.idle) hang_up(entries_.at(by_age_.begin()->second));
}

void Connections::stop_waiting(Entry& entry) {
  if (entry.deadline) by_age_.erase(entry.age);
  entry.deadline.reset();
}

// Its thread finds out and closes the socket.
void Connections::hang_up(Entry& entry) {
  shutdown(entry.fd, SHUT_RDWR);
  stop_waiting(entry);
}

}  // namespace plm
