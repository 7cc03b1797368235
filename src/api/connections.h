// Who is connected to the HTTP server, and for how long already: whoever takes
// too long is hung up on, and so is the oldest of too many. So a newcomer always
// gets in, and a request that comes in one piece is never the oldest.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>

namespace plm {

// Any thread. A connection must be closed() here before its socket is closed,
// so that a socket that is shut down is never another one with the same number.
class Connections {
 public:
  struct Limits {
    std::chrono::seconds to_ask{10};     // from the connection to the end of the request, TLS included
    std::chrono::seconds to_listen{30};  // to take the answer
    std::size_t idle = 64;               // connections that are asking or listening
  };
  explicit Connections(Limits limits) : limits_(limits) {}

  using Key = const void*;
  void opened(Key key, int fd);  // from now on it is asking
  void asked(Key key);           // the server works for it: no limit of time
  void answered(Key key);        // it is listening
  void closed(Key key);

  // Hangs up on those that are too slow, until the stop.
  void watch(const std::stop_token& stop);

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Entry {
    int fd = -1;
    std::optional<SteadyTime> deadline;  // none: the server works, or it was hung up on
    std::uint64_t age = 0;               // the key in by_age_; the smaller, the older
  };
  // Each with the lock.
  void wait_for_client(Entry& entry, Key key, std::chrono::seconds limit);
  void stop_waiting(Entry& entry);
  void hang_up(Entry& entry);

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::unordered_map<Key, Entry> entries_;
  std::map<std::uint64_t, Key> by_age_;  // those that the server waits for
  std::uint64_t next_age_ = 0;
};

}  // namespace plm
