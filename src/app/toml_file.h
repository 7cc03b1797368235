// The configuration file.
#pragma once

#include <string>
#include <string_view>

#include "app/settings.h"
#include "base/error.h"

namespace plm {

// Every key is an option's name, "log-level"; its value a string, a whole
// number, a boolean or an array of strings. Errors: invalid_argument, naming
// file and key, or file and line; never a value.
[[nodiscard]] Result<Settings> read_toml_file(const std::string& path);
// The same of a file's text; the path is for messages.
[[nodiscard]] Result<Settings> parse_toml(std::string_view text, const std::string& path);

}  // namespace plm
