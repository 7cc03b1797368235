#include "mongo/deposed_primaries.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace plm::mongo {
namespace {

// A server on this machine that accepts nobody, and clients that are connected all the same.
class SilentServer {
 public:
  SilentServer() : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(descriptor_, 8), 0);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  ~SilentServer() { close(descriptor_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  SilentServer(SilentServer&&) = delete;
  SilentServer& operator=(SilentServer&&) = delete;

  [[nodiscard]] std::uint16_t port() const { return ntohs(address_.sin_port); }
  [[nodiscard]] int connect() const {
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)), 0);
    return client;
  }

 private:
  int descriptor_;
  sockaddr_in address_{};
};

// Whether a read at this connection ends at once.
bool is_shut_down(int descriptor) {
  std::array<char, 1> byte{};
  return recv(descriptor, byte.data(), byte.size(), MSG_DONTWAIT) == 0;
}

TEST(DeposedPrimaries, ShutsDownTheConnectionsToOneMemberOnly) {
  const SilentServer deposed;
  const SilentServer other;
  const int first = deposed.connect();
  const int second = deposed.connect();
  const int elsewhere = other.connect();
  EXPECT_EQ(shut_down_connections(addresses_of({"localhost", deposed.port()})), 2);
  EXPECT_TRUE(is_shut_down(first));
  EXPECT_TRUE(is_shut_down(second));
  EXPECT_FALSE(is_shut_down(elsewhere));
  for (const int client : {first, second, elsewhere}) close(client);
}

TEST(DeposedPrimaries, AMemberWithoutConnectionsOrAddressIsNothingToDo) {
  EXPECT_EQ(shut_down_connections(addresses_of({"localhost", 1})), 0);
  EXPECT_TRUE(addresses_of({"no-such-host.invalid", 27017}).empty());
}

}  // namespace
}  // namespace plm::mongo
