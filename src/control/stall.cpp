#include "control/stall.h"

namespace plm {

Millis StallDetector::Watched::still_for(const Work& work, SteadyTime now) {
  if (!known || !work.present || work.numbers != numbers) {
    known = true;
    numbers = work.numbers;
    since = now;
  }
  return std::chrono::duration_cast<Millis>(now - since);
}

std::optional<StallDetector::Stall> StallDetector::look(const Seen& seen, SteadyTime now) {
  const Millis copying = copying_.still_for(seen.copying, now);
  const Millis stream = stream_.still_for(seen.stream, now);
  if (stream >= kStallAfter) return Stall{"the stream of changes", stream};
  if (copying >= kStallAfter) return Stall{"copying", copying};
  return std::nullopt;
}

}  // namespace plm
