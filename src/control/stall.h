// Whether a job stands still: there is work, and nothing of it has moved for 30
// seconds. Copying and the stream are watched apart, because either may be stuck
// while the other flows. Pure: what is seen and the time come from outside.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace plm {

inline constexpr Millis kStallAfter{30'000};

class StallDetector {
 public:
  // What one part of the job has to do, and numbers of which one changes
  // whenever it moves.
  struct Work {
    bool present = false;
    std::array<std::uint64_t, 4> numbers{};
  };
  struct Seen {
    Work copying;
    Work stream;
  };
  struct Stall {
    std::string_view what;  // "copying", "the stream of changes"
    Millis lasting{};
  };
  // None: everything that has work has moved within 30 s.
  [[nodiscard]] std::optional<Stall> look(const Seen& seen, SteadyTime now);
  // Another engine, or a pause: what was seen does not count any more.
  void forget() { copying_ = stream_ = {}; }

 private:
  struct Watched {
    bool known = false;
    std::array<std::uint64_t, 4> numbers{};
    SteadyTime since{};

    Millis still_for(const Work& work, SteadyTime now);
  };
  Watched copying_;
  Watched stream_;
};

}  // namespace plm
