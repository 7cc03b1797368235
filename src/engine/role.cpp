#include "engine/role.h"

namespace plm {

namespace {

// A role that waits is woken by its signal; this is only how late the end of a
// backoff, or a due save, is noticed.
constexpr Millis kLongestWait{50};

}  // namespace

Status drive_role(Role& role, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const std::uint64_t seen = role.signal().seen();
    auto step = role.step();
    if (!step) return fail(std::move(step.error()));
    if (*step == Step::waiting) role.signal().wait(seen, kLongestWait, stop);
  }
  return {};
}

}  // namespace plm
