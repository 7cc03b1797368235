// The daemon's life: listen, open the engine, serve, stop on SIGTERM or SIGINT.
#pragma once

#include <string>

#include "app/config.h"

namespace plm {

// Returns the program's exit code: 0 after a requested stop, 1 when it could
// not start (one line on standard error says why). Blocks SIGTERM and SIGINT in
// the calling thread for good; call it once, before any thread is made.
[[nodiscard]] int run_daemon(const DaemonConfig& config, const std::string& version);

}  // namespace plm
