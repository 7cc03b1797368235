// One simulated migration, drawn from a seed: a workload writes to a source in
// memory while the engine's roles are stepped in a random order; calls fail,
// replies get lost, writes are held back and arrive late, the process crashes and
// starts again, or another one takes over while it sleeps, and wakes up; the oplog
// loses the job's position, and the job is copied again. At the end both sides must
// hold the same.
#pragma once

#include <cstdint>
#include <string>

namespace plm {

struct SimulationResult {
  std::string failure;  // empty: both sides were the same
  std::uint64_t steps = 0;
  std::uint64_t lives = 0;  // processes that worked on the job
  std::uint64_t recopies = 0;
  std::uint64_t events = 0;  // of the source's oplog that were read
};

enum class WritesOfThePast {
  are_shut_out,
  land_late,  // what would happen without the fences (I6): some seeds must fail
};
[[nodiscard]] SimulationResult simulate(std::uint64_t seed, WritesOfThePast past = WritesOfThePast::are_shut_out);

}  // namespace plm
