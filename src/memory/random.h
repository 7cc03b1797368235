// A small generator of pseudo-random numbers (splitmix64, public domain by
// Sebastiano Vigna): the same seed gives the same run on every machine, which
// the distributions of <random> do not promise. One thread.
#pragma once

#include <cstdint>

#include "base/check.h"

namespace plm {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
    return z ^ (z >> 31U);
  }
  // From 0 to bound - 1. The bias of the remainder does not matter here.
  std::uint64_t below(std::uint64_t bound) {
    CHECK(bound > 0);
    return next() % bound;
  }
  // From low to high, both included.
  int between(int low, int high) { return low + static_cast<int>(below(static_cast<std::uint64_t>(high - low) + 1)); }
  // A probability of 0 draws nothing, so that what is switched off changes no run.
  bool chance(double probability) {
    return probability > 0 && static_cast<double>(next() >> 11U) * 0x1.0p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

}  // namespace plm
