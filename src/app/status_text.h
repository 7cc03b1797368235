// The answer of GET /status for people.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace plm {

// Several lines, plain ASCII but for names, each with a word in front that says
// what it is about. Errors: invalid_argument when the text is not a status.
[[nodiscard]] Result<std::string> status_text(std::string_view json);

// "[######..............]", `done` from 0 to 1.
[[nodiscard]] std::string progress_bar(double done);

// "1,234,567"
[[nodiscard]] std::string format_count(std::int64_t number);

}  // namespace plm
