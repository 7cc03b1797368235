// Sizes as people write them: "500MB", "512MiB", "1.5 GiB", "64kb", "1048576".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace plm {

// Bytes. KB, MB, GB, TB are powers of 1000; KiB, MiB, GiB, TiB of 1024; B or
// nothing is bytes. The letters' case does not matter; one blank may stand in
// front of the unit. Errors: invalid_argument, saying what a size looks like;
// the caller puts the name of the setting in front.
[[nodiscard]] Result<std::int64_t> parse_size(std::string_view text);

// For people: "0 B", "999 B", "1.2 KB", "512.0 MB" (powers of 1000).
[[nodiscard]] std::string format_size(std::int64_t bytes);

}  // namespace plm
