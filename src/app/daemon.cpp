#include "app/daemon.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "api/http_server.h"
#include "api/routes.h"
#include "app/client.h"
#include "app/wiring.h"
#include "base/log.h"

namespace plm {

namespace {

// Whoever sends SIGTERM expects an end within five seconds.
constexpr Millis kStopLimit{4500};
// How long the log line that says "ready" waits for the servers' versions.
constexpr Millis kVersionsLimit{3000};

// SIGTERM and SIGINT are waited for: no code of ours runs in a signal handler.
class StopSignals {
 public:
  // Blocks the signals here and in every thread made from now on.
  StopSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    signal(SIGPIPE, SIG_IGN);  // a peer that hangs up is an error of that call only
  }

  // True when one has come within this time.
  [[nodiscard]] bool came_within(Millis time) const {
    const timespec limit{time.count() / 1000, time.count() % 1000 * 1'000'000};
    return sigtimedwait(&signals_, nullptr, &limit) > 0;
  }
  void wait() const {
    while (!came_within(std::chrono::hours(1))) {
    }
  }

 private:
  sigset_t signals_{};
};

int cannot_start(const Error& error) {
  log::error("cannot start", {{"error", error.message}});
  return exit_code::failed;
}

// True when the program is to end already.
bool wait_for_versions(const JobControl& job, const StopSignals& signals) {
  for (Millis waited{0}; waited < kVersionsLimit; waited += Millis(50)) {
    const StatusReport status = job.status();
    if (!status.source.version.empty() && !status.target.version.empty()) return false;
    if (signals.came_within(Millis(50))) return true;
  }
  return false;
}

void log_ready(const DaemonConfig& config, const StatusReport& status, std::string_view version) {
  log::info("ready", {{"listen", config.listen},
                      {"port", config.port},
                      {"tls", config.api_tls.has_value()},
                      {"token", config.api_token.empty() ? "none" : "needed"},
                      {"version", version},
                      {"source", status.source.uri},
                      {"source_version", status.source.version},
                      {"target", status.target.uri},
                      {"target_version", status.target.version},
                      {"memory_limit_bytes", config.memory_limit_bytes}});
}

}  // namespace

int run_daemon(const DaemonConfig& config, const std::string& version) {
  const StopSignals signals;
  log::configure(config.log_level, config.log_format);
  log::info("plm starts", {{"version", version}, {"pid", static_cast<std::int64_t>(getpid())}});

  HttpOptions http;
  http.address = config.listen;
  http.port = config.port;
  http.token = config.api_token;
  http.tls = config.api_tls;
  // The port is taken before a saved job goes on: a second daemon ends here.
  const auto server = HttpServer::listen(http);
  if (!server) return cannot_start(server.error());
  const auto engine = make_engine(config);
  if (!engine) return cannot_start(engine.error());
  JobControl& job = (*engine)->job();
  Routes routes(job, config.job, version);
  if (const Status serves = (*server)->serve([&routes](const HttpRequest& request) { return routes.handle(request); });
      !serves) {
    return cannot_start(serves.error());
  }
  if (!wait_for_versions(job, signals)) {
    log_ready(config, job.status(), version);
    signals.wait();
  }

  log::info("stopping");
  (*server)->stop_accepting();
  if ((*engine)->shutdown(kStopLimit)) {
    log::info("stopped");
  } else {
    log::warn("stopped without an answer of a server; what was saved last holds");
  }
  // Threads that wait for a server that does not answer would hold up an
  // orderly end for as long as their calls may take. Nothing of theirs counts
  // any more.
  _exit(exit_code::done);
}

}  // namespace plm
