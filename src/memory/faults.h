// What goes wrong in a simulated run. All faults are drawn from one generator,
// so a seed repeats them. One thread.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "base/error.h"
#include "memory/random.h"

namespace plm {

// Probabilities, per call.
struct FaultRates {
  double before = 0;       // the call fails; nothing was done
  double after = 0;        // the call fails, though all of it was done
  double partly = 0;       // a call of several writes fails behind some of them
  double held = 0;         // a write fails, and takes effect some time later, unless it is shut out (I6)
  double reader_dies = 0;  // a RangeReader fails for good
  double stream_dies = 0;  // a ChangeStream fails for good
  double crash = 0;        // the process dies at the call, before or behind its effect
};

// Thrown by a call at which the process dies. Whoever drives the simulation
// catches it, discards every object of the process, and starts the next one.
// Deployments and the state store survive.
struct SimulatedCrash {};

class FaultPlan {
 public:
  // `random` outlives the plan.
  FaultPlan(Random& random, const FaultRates& rates) : random_(random), rates_(rates) {}

  // Without faults a run must come to rest.
  void switch_off() { on_ = false; }
  void switch_on() { on_ = true; }

  // Runs the effect of a call that returns a Result. May throw SimulatedCrash.
  template <typename Effect>
  auto call(Effect&& effect) -> decltype(effect()) {
    if (auto fault = before()) return tl::unexpected<Error>(std::move(*fault));
    auto result = effect();
    if (auto fault = after()) return tl::unexpected<Error>(std::move(*fault));
    return result;
  }

  // The error with which a call fails before or behind its effect; none: it does not.
  std::optional<Error> before();
  std::optional<Error> after();
  // How many of `count` writes a call gets done. Fewer than `count`: it fails with interrupted().
  std::size_t writes_done(std::size_t count);
  Error interrupted();

  bool held_back() { return happens(rates_.held); }
  bool reader_dies() { return on_ && random_.chance(rates_.reader_dies); }
  bool stream_dies() { return on_ && random_.chance(rates_.stream_dies); }

  Random& random() { return random_; }

 private:
  bool happens(double rate) { return on_ && random_.chance(rate); }
  void maybe_crash();

  Random& random_;
  FaultRates rates_;
  bool on_ = true;
};

// An error that a server reports. As from a real one, 26 is not_found.
[[nodiscard]] Error server_error(int code, std::string message);

}  // namespace plm
