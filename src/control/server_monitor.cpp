#include "control/server_monitor.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/signal.h"

namespace plm {

namespace {

constexpr Millis kInterval{1000};
constexpr Millis kPatience{5000};

}  // namespace

ServerMonitor::ServerMonitor(std::string name, std::string redacted_uri, Clock& clock, Probe probe, Drive drive)
    : name_(std::move(name)), clock_(clock), probe_(std::move(probe)) {
  report_.uri = std::move(redacted_uri);
  if (drive == Drive::threads) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

ServerReport ServerMonitor::report() const {
  const std::lock_guard lock(mutex_);
  ServerReport out = report_;
  std::optional<SteadyTime> since = silent_since_;
  if (!since && asked_at_) since = asked_at_->steady;
  if (since) out.silent_for = std::chrono::duration_cast<Millis>(clock_.steady_now() - *since);
  if (out.reachable && asked_at_ && out.silent_for > kPatience) {
    out.reachable = false;
    out.unreachable_since = asked_at_->wall;
    out.unreachable_because = "it does not answer";
  }
  return out;
}

void ServerMonitor::ask() {
  {
    const std::lock_guard lock(mutex_);
    asked_at_ = {clock_.wall_now(), clock_.steady_now()};
  }
  auto version = probe_();
  const std::lock_guard lock(mutex_);
  const Moment asked_at = *std::exchange(asked_at_, std::nullopt);
  if (version) {
    if (!report_.reachable) log::info("server is reachable again", {{"server", name_}});
    report_.reachable = true;
    silent_since_.reset();
    report_.unreachable_because.clear();
    report_.version = *version;
    return;
  }
  if (report_.reachable) {
    report_.reachable = false;
    report_.unreachable_since = asked_at.wall;
    silent_since_ = asked_at.steady;
    log::warn("server is unreachable", {{"server", name_}, {"reason", version.error().message}});
  }
  report_.unreachable_because = version.error().message;
}

void ServerMonitor::run(const std::stop_token& stop) {
  Signal nobody;
  while (!stop.stop_requested()) {
    ask();
    nobody.wait(nobody.seen(), kInterval, stop);
  }
}

}  // namespace plm
