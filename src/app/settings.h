// What can be set for the daemon, and what was set where. Every option is a
// flag (--log-level), an environment variable (PLM_LOG_LEVEL) and a key of the
// configuration file (log-level); a flag beats a variable, a variable the file.
// Values stay text here; config.h says what they mean.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace plm {

struct Option {
  enum class Kind {
    value,  // --port 2242
    flag,   // --start
    list,   // --include-namespaces a.b,c.*; may be repeated
  };
  std::string name;      // "log-level"
  std::string variable;  // "PLM_LOG_LEVEL"
  Kind kind = Kind::value;
  std::string value_name;  // for the help: "LEVEL"
  std::string help;
};

// All options of the daemon but --config, --help and --version.
[[nodiscard]] const std::vector<Option>& daemon_options();

// What somebody wrote for one option, and where: "--port", "PLM_PORT" or
// "port in /etc/plm.toml".
struct Setting {
  std::vector<std::string> values;
  std::string origin;
};
using Settings = std::map<std::string, Setting, std::less<>>;  // by name of the option

// Reads an environment variable; nullptr when it is not set. std::getenv, or a test's.
using Environment = std::function<const char*(const char*)>;

// What a command line asks for.
struct CommandLine {
  std::optional<std::string> print;  // --help, --version: print this and stop
  Settings flags;
  std::optional<std::string> config_file;
};

// The arguments behind "plm" or "plm serve". Errors: invalid_argument, naming
// the argument; never a URI in it.
[[nodiscard]] Result<CommandLine> parse_daemon_arguments(const std::vector<std::string>& arguments,
                                                         std::string_view version);

[[nodiscard]] Settings settings_of(const Environment& environment);

// The stronger source first.
[[nodiscard]] Settings merged(const Settings& flags, const Settings& environment, const Settings& file);

// An argument as it may be shown: URIs hold passwords.
[[nodiscard]] std::string showable(std::string_view argument);

// One line for arguments that mean nothing; not empty. An option says more than a
// word, which may be its value; `hint` follows a word.
[[nodiscard]] std::string name_unexpected(const std::vector<std::string>& arguments, std::string_view program,
                                          std::string_view hint);

}  // namespace plm
