// Spans of time for people.
#pragma once

#include <cstdint>
#include <string>

namespace plm {

// "0 s", "59 s", "1 min 5 s", "2 h 3 min", "3 d 4 h".
[[nodiscard]] std::string format_duration(std::int64_t seconds);

}  // namespace plm
