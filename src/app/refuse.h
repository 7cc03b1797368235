// Refusals of what a user typed.
#pragma once

#include <utility>

#include <fmt/format.h>

#include "base/error.h"

namespace plm {

// Error: invalid_argument, with one formatted line.
template <typename... Args>
auto refuse(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_argument, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace plm
