// The configuration file.
#pragma once

#include <string>

#include "app/settings.h"
#include "base/error.h"

namespace plm {

// Every key is an option's name, "log-level"; its value a string, a whole
// number, a boolean or an array of strings. Errors: invalid_argument, naming
// file and key, or file and line; never a value.
[[nodiscard]] Result<Settings> read_toml_file(const std::string& path);

}  // namespace plm
