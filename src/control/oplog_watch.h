// How near a position is to falling out of the source's oplog. A full oplog loses
// its oldest entries as new ones are written; a position that its beginning has
// passed is lost, and with it the job. Pure: what is seen and the time come from
// outside.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "model/cluster_time.h"
#include "seams/source.h"

namespace plm {

enum class OplogLevel { fine, warning, critical, lost };
[[nodiscard]] std::string_view name_of(OplogLevel level);

inline constexpr double kOplogWarning = 0.5;
inline constexpr double kOplogCritical = 0.8;

struct OplogUse {
  // From 0 to 1: what was written behind the position, of all that can be before it is lost.
  double used_fraction = 0;
  // Until it is lost, if it stays where it is. None: the oplog has not been seen to lose anything.
  std::optional<std::int64_t> seconds_left;
  OplogLevel level = OplogLevel::fine;
};

class OplogWatch {
 public:
  // The window as it is now. An empty one tells nothing and is passed over.
  void see(const OplogWindow& window, SteadyTime now);
  // None: no window was seen yet, or there is no position. A source that cannot be
  // asked is taken to go on writing as evenly as before; that a position is lost
  // only it can tell.
  [[nodiscard]] std::optional<OplogUse> use(const ClusterTime& position, SteadyTime now) const;

 private:
  struct Move {
    SteadyTime at{};
    ClusterTime oldest;
  };
  [[nodiscard]] double used_fraction(const ClusterTime& position, SteadyTime now) const;
  [[nodiscard]] std::optional<std::int64_t> seconds_left(const ClusterTime& position, SteadyTime now) const;
  [[nodiscard]] double rate(SteadyTime now) const;

  std::optional<OplogWindow> window_;
  SteadyTime seen_at_{};
  std::deque<Move> moves_;  // of the oldest entry, the latest of them
};

}  // namespace plm
