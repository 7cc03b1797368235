// A primary that freezes, or is cut off, keeps its connections: what was sent to it
// would wait for the socket's timeout, long after the others have elected a new
// one. Here the connections to a member that is no longer primary are shut down,
// so that what waits fails at once and is sent again to the new one.
#pragma once

#include <mongoc/mongoc.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace plm::mongo {

struct Member {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Member&, const Member&) = default;
};

// Of one pool. Its own thread, since looking up a name may take long.
class DeposedPrimaries {
 public:
  DeposedPrimaries();
  // Hears of every primary that the driver's monitoring sees, from then on. Before
  // the pool's first use; it must not outlive this.
  void watch(mongoc_client_pool_t* pool);

 private:
  // From the threads of the driver, in the middle of its work: must not wait.
  static void topology_changed(const mongoc_apm_topology_changed_t* event);
  void see(const Member& primary);
  void run(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Member> primary_;  // the last one that was seen
  std::vector<Member> deposed_;    // whose connections are still to be shut down
  std::jthread thread_;            // last: it uses the others
};

// Shuts down all TCP connections of this process to a member; whoever waits at one
// of them gets an error of the network. Returns how many there were.
int shut_down_connections(const Member& member);

}  // namespace plm::mongo
