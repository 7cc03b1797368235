#include "mongo/deposed_primaries.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "mongo/handles.h"

namespace plm::mongo {
namespace {

// A member that stepped down in order answers or closes by itself.
constexpr std::chrono::seconds kGrace{1};

using CallbacksHandle = std::unique_ptr<mongoc_apm_callbacks_t, DestroyedBy<mongoc_apm_callbacks_destroy>>;
using AddressesHandle = std::unique_ptr<addrinfo, DestroyedBy<freeaddrinfo>>;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

std::optional<Member> primary_of(const mongoc_topology_description_t* topology) {
  std::size_t count = 0;
  mongoc_server_description_t** servers = mongoc_topology_description_get_servers(topology, &count);
  std::optional<Member> out;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::string_view(mongoc_server_description_type(servers[i])) != "RSPrimary") continue;
    const mongoc_host_list_t* host = mongoc_server_description_host(servers[i]);
    out = Member{static_cast<const char*>(host->host), host->port};
  }
  mongoc_server_descriptions_destroy_all(servers, count);
  return out;
}

bool same_endpoint(const sockaddr_storage& peer, const sockaddr_storage& address) {
  if (peer.ss_family != address.ss_family) return false;
  if (peer.ss_family == AF_INET) {
    const auto& left = reinterpret_cast<const sockaddr_in&>(peer);
    const auto& right = reinterpret_cast<const sockaddr_in&>(address);
    return left.sin_port == right.sin_port && left.sin_addr.s_addr == right.sin_addr.s_addr;
  }
  if (peer.ss_family != AF_INET6) return false;
  const auto& left = reinterpret_cast<const sockaddr_in6&>(peer);
  const auto& right = reinterpret_cast<const sockaddr_in6&>(address);
  return left.sin6_port == right.sin6_port && std::ranges::equal(left.sin6_addr.s6_addr, right.sin6_addr.s6_addr);
}

// The peer of a descriptor that is a connected socket.
std::optional<sockaddr_storage> peer_of(int descriptor) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return std::nullopt;
  return peer;
}

std::vector<int> open_descriptors() {
  std::vector<int> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename().string();
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number >= 0) out.push_back(number);
  }
  return out;
}

}  // namespace

Addresses addresses_of(const Member& member) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(member.host.c_str(), std::to_string(member.port).c_str(), &hints, &found) != 0) return {};
  const AddressesHandle handle(found);
  Addresses out;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    sockaddr_storage copy{};
    std::memcpy(&copy, address->ai_addr, std::min<std::size_t>(address->ai_addrlen, sizeof(copy)));
    out.push_back(copy);
  }
  return out;
}

int shut_down_connections(std::span<const sockaddr_storage> addresses) {
  int count = 0;
  for (const int number : open_descriptors()) {
    // A descriptor of our own: the driver may close this one now, and its number may name another file then.
    const Descriptor connection(dup(number));
    const auto peer = peer_of(connection.number());
    if (!peer) continue;
    const bool meant =
        std::ranges::any_of(addresses, [&](const auto& address) { return same_endpoint(*peer, address); });
    if (meant && shutdown(connection.number(), SHUT_RDWR) == 0) ++count;
  }
  return count;
}

DeposedPrimaries::DeposedPrimaries() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

void DeposedPrimaries::watch(mongoc_client_pool_t* pool) {
  const CallbacksHandle callbacks(mongoc_apm_callbacks_new());
  mongoc_apm_set_topology_changed_cb(callbacks.get(), topology_changed);
  mongoc_client_pool_set_apm_callbacks(pool, callbacks.get(), this);
}

void DeposedPrimaries::topology_changed(const mongoc_apm_topology_changed_t* event) {
  const auto primary = primary_of(mongoc_apm_topology_changed_get_new_description(event));
  if (primary) static_cast<DeposedPrimaries*>(mongoc_apm_topology_changed_get_context(event))->see(*primary);
}

void DeposedPrimaries::see(const Member& primary) {
  const std::lock_guard lock(mutex_);
  if (primary == primary_) return;
  std::erase(deposed_, primary);
  if (primary_) deposed_.push_back(*primary_);
  primary_ = primary;
  new_.push_back(primary);
  changed_.notify_one();
}

void DeposedPrimaries::look_up(const Member& member) {
  if (Addresses found = addresses_of(member); !found.empty()) addresses_[member] = std::move(found);
}

void DeposedPrimaries::shut_down(const Member& member) {
  if (const int count = shut_down_connections(addresses_[member]); count > 0) {
    log::info("connections to a member that is no longer primary were shut down",
              {{"member", member.host + ":" + std::to_string(member.port)}, {"connections", count}});
  }
}

void DeposedPrimaries::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !new_.empty() || !deposed_.empty(); })) {
    const std::vector<Member> primaries = std::exchange(new_, {});
    lock.unlock();
    for (const Member& member : primaries) look_up(member);
    lock.lock();
    if (deposed_.empty()) continue;
    changed_.wait_for(lock, stop, kGrace, [] { return false; });
    const std::vector<Member> members = std::exchange(deposed_, {});
    lock.unlock();
    for (const Member& member : members) shut_down(member);
    lock.lock();
  }
}

}  // namespace plm::mongo
