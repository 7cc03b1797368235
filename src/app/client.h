// The commands that talk to a running daemon: status, health, start, pause,
// resume, finalize, reset; and version, which does not.
#pragma once

#include <chrono>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/settings.h"
#include "base/error.h"

namespace plm {

// What the program returns to the shell.
namespace exit_code {
inline constexpr int done = 0;
inline constexpr int failed = 1;  // refused, or it did not work
inline constexpr int usage = 2;
inline constexpr int unreachable = 3;
}  // namespace exit_code

struct ClientCommand {
  std::optional<std::string> print;  // --help, version: print this and stop
  std::string name;                  // "status"
  std::string url;                   // "http://127.0.0.1:2242"
  std::string token;                 // a secret; empty: none
  std::string ca_file;               // empty: the system's authorities
  std::string body;                  // JSON of a POST
  bool json = false;                 // the daemon's answer as it is
  bool watch = false;
};

[[nodiscard]] bool is_client_command(std::string_view word);

// The arguments behind "plm", the command first. What can be checked here is:
// namespaces and sizes as well. Errors: invalid_argument, one line.
[[nodiscard]] Result<ClientCommand> parse_client_arguments(const std::vector<std::string>& arguments,
                                                           const Environment& environment, std::string_view version);

// Runs it; the result is the program's exit code. --watch shows the status every
// second until the program is ended, also while the daemon restarts; with
// `clear_screen` each on an empty screen.
struct ClientOutput {
  std::ostream& out;
  std::ostream& err;
  bool clear_screen = false;
};
[[nodiscard]] int run_client(const ClientCommand& command, const ClientOutput& output);

}  // namespace plm
