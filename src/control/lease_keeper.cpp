#include "control/lease_keeper.h"

#include <utility>

#include "base/log.h"
#include "base/signal.h"

namespace plm {

LeaseKeeper::LeaseKeeper(StateStore& store, Clock& clock, Self self, std::function<void()> on_loss, Drive drive)
    : store_(store), clock_(clock), self_(std::move(self)), on_loss_(std::move(on_loss)) {
  if (drive == Drive::threads) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Result<Epoch> LeaseKeeper::acquire() {
  if (held_) return epoch_;
  const SteadyTime looked_at = clock_.steady_now();
  auto seen = store_.look_at_lease();
  if (!seen) {
    watched_.reset();  // what happened meanwhile was not seen
    return fail(std::move(seen.error()));
  }
  if (!is_free(*seen, looked_at)) {
    other_owner_ = seen->owner->name();
    return fail(ErrorCode::superseded, "another plm works on this target: " + other_owner_);
  }
  auto taken = store_.take_lease(self_.owner, seen->epoch);
  if (!taken) return taken;
  log::info("this plm works on the target now", {{"epoch", *taken}});
  watched_.reset();
  other_lives_ = false;
  epoch_ = *taken;
  lost_ = false;
  held_ = true;
  return taken;
}

bool LeaseKeeper::is_free(const LeaseSight& seen, SteadyTime looked_at) {
  // Our own: from an attempt whose outcome was unknown, or from before we lost it.
  if (!seen.owner || seen.owner->id == self_.owner.id) return true;
  if (self_.is_gone && self_.is_gone(*seen.owner)) return true;
  other_lives_ = other_lives_ || (watched_ && watched_->renewals != seen.renewals);
  if (!watched_ || watched_->epoch != seen.epoch || watched_->renewals != seen.renewals) {
    watched_ = {seen.epoch, seen.renewals, clock_.steady_now()};
  }
  return looked_at - watched_->since >= kLeaseTime;
}

void LeaseKeeper::stand_down() {
  held_ = false;
  lost_ = false;
  watched_.reset();
  other_owner_ = "another plm";
}

Status LeaseKeeper::release() {
  if (!held_.exchange(false) || lost_) return {};
  return store_.release_lease();
}

void LeaseKeeper::renew() {
  if (!held_ || lost_) return;
  const Status renewed = store_.renew_lease();
  if (renewed || renewed.error().code != ErrorCode::superseded) return;
  // Released meanwhile, or taken from us.
  if (!held_) return;
  lost_ = true;
  on_loss_();
}

void LeaseKeeper::turn() {
  const SteadyTime now = clock_.steady_now();
  if (now - renewed_at_ < kRenewInterval) return;
  renewed_at_ = now;
  renew();
}

void LeaseKeeper::run(const std::stop_token& stop) {
  Signal nobody;
  while (!stop.stop_requested()) {
    renew();
    nobody.wait(nobody.seen(), kRenewInterval, stop);
  }
}

}  // namespace plm
