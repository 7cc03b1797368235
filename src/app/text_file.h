// Small files that a user names.
#pragma once

#include <string>

#include "base/error.h"

namespace plm {

// The whole file. Errors: invalid_argument, "cannot read PATH: why".
[[nodiscard]] Result<std::string> read_text_file(const std::string& path);

}  // namespace plm
