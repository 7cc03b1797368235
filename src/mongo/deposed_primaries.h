// A primary that freezes, or is cut off, keeps its connections: what was sent to it
// would wait for the socket's timeout, long after the others have elected a new
// one. Here the connections to a member that is no longer primary are shut down,
// so that what waits fails at once and is sent again to the new one.
#pragma once

#include <mongoc/mongoc.h>
#include <sys/socket.h>

#include <compare>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace plm::mongo {

struct Member {
  std::string host;
  std::uint16_t port = 0;
  auto operator<=>(const Member&) const = default;
};

using Addresses = std::vector<sockaddr_storage>;

// Of one pool. Its own thread, since looking up a name may take long; each primary's
// is looked up as soon as it is seen, because that of one that is gone may not be
// known any more.
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
  void look_up(const Member& member);
  void shut_down(const Member& member);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Member> primary_;          // the last one that was seen
  std::vector<Member> new_;                // primaries to look up
  std::vector<Member> deposed_;            // whose connections are still to be shut down
  std::map<Member, Addresses> addresses_;  // the thread's own
  std::jthread thread_;                    // last: it uses the others
};

// None when the name is not known.
[[nodiscard]] Addresses addresses_of(const Member& member);
// Shuts down all TCP connections of this process to one of the addresses; whoever
// waits at one of them gets an error of the network. Returns how many there were.
int shut_down_connections(std::span<const sockaddr_storage> addresses);

}  // namespace plm::mongo
