#include "app/process_identity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>

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

// When a process began, in clock ticks since the machine's start; none: there is
// no such process, or only what is left of it until its parent asks (proc(5)).
std::optional<std::int64_t> start_of(std::int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The name in parentheses may hold anything; the state is the third field.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string state;
  fields >> state;
  if (state == "Z" || state == "X") return std::nullopt;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  std::int64_t started = 0;
  fields >> started;
  return started;
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
  out.started = start_of(out.pid).value_or(0);
  return out;
}

bool is_gone(const LeaseOwner& other, const LeaseOwner& self) {
  if (self.machine.empty() || other.machine != self.machine || other.pid <= 0) return false;
  const auto started = start_of(other.pid);
  return !started || (other.started != 0 && *started != other.started);
}

}  // namespace plm
