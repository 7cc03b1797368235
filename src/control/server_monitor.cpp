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
  const std::optional<Moment>& since = silent_since_ ? silent_since_ : asked_at_;
  if (!since) return out;
  out.silent_for = std::chrono::duration_cast<Millis>(clock_.steady_now() - since->steady);
  out.reachable = !silent_since_ && out.silent_for <= kPatience;
  if (out.reachable) return out;
  out.unreachable_since = since->wall;
  if (!silent_since_) out.unreachable_because = "it does not answer";
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
    if (silent_since_) log::info("server is reachable again", {{"server", name_}});
    silent_since_.reset();
    report_.unreachable_because.clear();
    report_.version = *version;
    return;
  }
  if (!silent_since_) {
    silent_since_ = asked_at;
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
