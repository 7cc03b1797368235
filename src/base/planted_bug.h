// Bugs planted on purpose, one at a time, to prove that tests find bugs of their kind: those in the sources are for the
// differential tester; tests/guards puts its own into a copy of them. They exist in
// builds with PLM_PLANTED_BUGS only; in every other build planted_bug() is a constant false and leaves nothing behind.
#pragma once

#include <string_view>

#ifdef PLM_PLANTED_BUGS
#include <atomic>
#include <cstdlib>
#endif

namespace plm {

#ifdef PLM_PLANTED_BUGS
// True at each `every`th call in a process whose variable PLM_PLANTED_BUG is this name. Any thread.
inline bool planted_bug(std::string_view name, unsigned every = 1) {
  static const char* const chosen = std::getenv("PLM_PLANTED_BUG");
  static std::atomic<unsigned> calls{0};
  return chosen != nullptr && name == chosen && ++calls % every == 0;
}
#else
constexpr bool planted_bug(std::string_view, unsigned = 1) { return false; }
#endif

}  // namespace plm
