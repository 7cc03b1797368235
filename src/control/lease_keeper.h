// This process's part in the lease: takes it when nobody works on the target,
// keeps it by renewing it, notices when it is lost. A process that waits for the
// lease is a standby.
//
// The lease of a dead owner is taken when it has not changed for ten seconds, by
// the watcher's own steady clock and seen without a gap; at once when the owner
// has let go of it, or was a process of this machine that is no more. That an
// owner who is only slow loses it does no harm: nothing that he sends afterwards
// has an effect (I6).
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"
#include "seams/lease.h"
#include "seams/state_store.h"

namespace plm {

inline constexpr Millis kLeaseTime{10'000};
inline constexpr Millis kRenewInterval{2000};

class LeaseKeeper {
 public:
  struct Self {
    LeaseOwner owner;
    // Whether another owner was a process of this machine and is no more. Empty: never.
    std::function<bool(const LeaseOwner&)> is_gone;
  };
  // `store` and `clock` outlive this. `on_loss` is called by the thread that renews.
  LeaseKeeper(StateStore& store, Clock& clock, Self self, std::function<void()> on_loss, Drive drive = Drive::threads);

  // One attempt to have the lease. Errors: superseded, naming the owner, and
  // those of the store. One thread, as for stand_down() and release().
  Result<Epoch> acquire();
  // Who had the lease when it was looked at last; of the same thread.
  [[nodiscard]] const std::string& other_owner() const { return other_owner_; }
  // Whether that one was seen to renew it; of the same thread.
  [[nodiscard]] bool other_lives() const { return other_lives_; }
  // Any thread.
  [[nodiscard]] bool lost() const { return lost_; }
  // Nothing is done any more under the epoch of before.
  void stand_down();
  // So that the next one does not have to wait. The last call.
  Status release();

  // By hand: renews when it is time.
  void turn();

 private:
  // Whether what is seen may be taken. `looked_at`: before the look.
  [[nodiscard]] bool is_free(const LeaseSight& seen, SteadyTime looked_at);
  void run(const std::stop_token& stop);
  void renew();

  StateStore& store_;
  Clock& clock_;
  Self self_;
  std::function<void()> on_loss_;

  // The lease of another owner, since it was first seen as it is.
  struct Watched {
    Epoch epoch = 0;
    std::int64_t renewals = 0;
    SteadyTime since{};
  };
  std::optional<Watched> watched_;
  std::string other_owner_ = "another plm";
  bool other_lives_ = false;
  Epoch epoch_ = 0;
  SteadyTime renewed_at_{};  // by hand
  std::atomic<bool> held_ = false;
  std::atomic<bool> lost_ = false;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace plm
