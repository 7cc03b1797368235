// Asks one server once a second how it is, so that the status can say so
// without waiting for anybody.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "control/status_report.h"
#include "engine/engine.h"

namespace plm {

class ServerMonitor {
 public:
  // Gives the server's version, or an error. Called from the monitor's thread.
  using Probe = std::function<Result<std::string>()>;

  // Asks in a thread of its own, or, by hand, only in ask().
  ServerMonitor(std::string name, std::string redacted_uri, Clock& clock, Probe probe, Drive drive = Drive::threads);
  ~ServerMonitor() = default;
  ServerMonitor(const ServerMonitor&) = delete;
  ServerMonitor& operator=(const ServerMonitor&) = delete;
  ServerMonitor(ServerMonitor&&) = delete;
  ServerMonitor& operator=(ServerMonitor&&) = delete;

  // A server that has not answered for five seconds is unreachable, though the
  // call that asks it may wait much longer.
  [[nodiscard]] ServerReport report() const;

  void ask();

 private:
  struct Moment {
    WallTime wall{};  // for people
    SteadyTime steady{};
  };
  void run(const std::stop_token& stop);

  std::string name_;  // "source" or "target"
  Clock& clock_;
  Probe probe_;
  mutable std::mutex mutex_;
  ServerReport report_;                 // what the moments below do not tell
  std::optional<Moment> asked_at_;      // and not yet answered
  std::optional<Moment> silent_since_;  // unreachable: asked then, and since then answered with errors only
  std::jthread thread_;                 // last: it uses all of the above
};

}  // namespace plm
