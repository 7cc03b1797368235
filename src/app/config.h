// What the daemon is to do, checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/tls.h"
#include "app/settings.h"
#include "base/error.h"
#include "base/log.h"
#include "control/job_options.h"
#include "seams/target.h"

namespace plm {

struct DaemonConfig {
  std::string source_uri;  // with secrets: never shown
  std::string target_uri;
  std::string listen = "127.0.0.1";
  std::uint16_t port = 2242;
  std::string api_token;               // a secret; empty: none is needed
  std::optional<TlsIdentity> api_tls;  // none: plain HTTP
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
  std::int64_t memory_limit_bytes = std::int64_t{512} << 20;
  std::optional<ApplyMode> apply_mode;  // none: what the target is found to allow
  bool reset_state = false;
  bool start = false;
  JobOptions job;  // defaults of every start
};

// Below this the batches that are under way at once have no room.
inline constexpr std::int64_t kLeastMemoryBytes = std::int64_t{128} << 20;

// Errors of all of these: invalid_argument, one line that names the setting and
// where it was made, and holds no secret.

// From what was set, whatever the place; reads the files with URIs, token and
// certificate. An address that others can reach is refused without a token.
[[nodiscard]] Result<DaemonConfig> make_config(const Settings& settings);

struct DaemonInvocation {
  std::optional<std::string> print;  // print this and stop
  DaemonConfig config;
};
// Command line, environment and configuration file together.
[[nodiscard]] Result<DaemonInvocation> configure_daemon(const std::vector<std::string>& arguments,
                                                        const Environment& environment, std::string_view version);

// The token in a file, on one line. Errors: invalid_argument, without the token.
[[nodiscard]] Result<std::string> read_token_file(std::string_view path);

// A port from 1 to 65535.
[[nodiscard]] Result<std::uint16_t> parse_port(std::string_view text);

// "a.b,c.*" as entries; blanks around them do not count, empty ones stay and
// are refused where the filter is made.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);

}  // namespace plm
