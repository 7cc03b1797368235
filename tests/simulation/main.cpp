// plm_simulation [FIRST [COUNT [land-late]]]: simulates COUNT migrations from seed
// FIRST on; says which seeds failed and why. Exit code 1 when any did. With
// "land-late" writes of the past are not shut out, and some seeds must fail.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/log.h"
#include "simulation.h"

int main(int argc, char** argv) {
  const std::uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2000;
  plm::log::configure(count == 1 ? plm::log::Level::debug : plm::log::Level::error, plm::log::Format::text);
  const bool late = argc > 3 && std::strcmp(argv[3], "land-late") == 0;
  const auto past = late ? plm::WritesOfThePast::land_late : plm::WritesOfThePast::are_shut_out;
  std::uint64_t failed = 0;
  plm::SimulationResult sum;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const plm::SimulationResult result = plm::simulate(seed, past);
    sum.steps += result.steps;
    sum.lives += result.lives;
    sum.recopies += result.recopies;
    sum.events += result.events;
    if (result.failure.empty()) continue;
    ++failed;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), result.failure.c_str());
    std::fflush(stdout);
  }
  std::printf(
      "%llu migrations from seed %llu on, %llu failed; %llu steps, %llu processes, %llu copies made again, "
      "%llu events\n",
      static_cast<unsigned long long>(count), static_cast<unsigned long long>(first),
      static_cast<unsigned long long>(failed), static_cast<unsigned long long>(sum.steps),
      static_cast<unsigned long long>(sum.lives), static_cast<unsigned long long>(sum.recopies),
      static_cast<unsigned long long>(sum.events));
  return failed == 0 ? 0 : 1;
}
