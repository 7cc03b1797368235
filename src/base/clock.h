// The seam to time. The engine never sleeps and never asks the system for the
// time: it asks a Clock, which tests move by hand.
#pragma once

#include <chrono>

namespace plm {

using Millis = std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back; for intervals. Any thread.
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  // Civil time, for logs and reports only. Any thread.
  [[nodiscard]] virtual WallTime wall_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] WallTime wall_now() const override { return std::chrono::system_clock::now(); }
};

// A clock that stands still until a test moves it.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override { return SteadyTime{} + passed_; }
  [[nodiscard]] WallTime wall_now() const override { return WallTime{std::chrono::seconds{1'700'000'000}} + passed_; }
  void advance(Millis by) { passed_ += by; }

 private:
  Millis passed_{0};
};

}  // namespace plm
