#include "app/process_identity.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <random>

namespace plm {

namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

// Changes when the machine is started again: process numbers begin anew then.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string out;
  std::getline(file, out);
  return out;
}

// Containers of one machine have spaces of process numbers of their own: "pid:[4026531836]".
std::string process_space() {
  std::array<char, 64> link{};
  const ssize_t length = readlink("/proc/self/ns/pid", link.data(), link.size() - 1);
  return length > 0 ? std::string(link.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

LeaseOwner this_process() {
  std::random_device random;
  LeaseOwner out;
  out.id = fmt::format("{:08x}{:08x}{:08x}", random(), random(), random());
  out.host = host_name();
  const std::string boot = boot_id();
  const std::string space = process_space();
  if (!boot.empty() && !space.empty()) out.machine = boot + " " + space;
  out.pid = getpid();
  return out;
}

bool is_gone(const LeaseOwner& other, const LeaseOwner& self) {
  if (self.machine.empty() || other.machine != self.machine || other.pid <= 0) return false;
  return kill(static_cast<pid_t>(other.pid), 0) != 0 && errno == ESRCH;
}

}  // namespace plm
