// The secret that a client of the API shows: "Authorization: Bearer TOKEN".
#pragma once

#include <string_view>

#include "base/error.h"

namespace plm {

inline constexpr std::size_t kLeastTokenLength = 16;

// Whether this can be a token: 16 to 1024 of the characters that the header
// allows (letters, digits, "-._~+/="). Errors: invalid_argument, without the token.
[[nodiscard]] Status check_token(std::string_view token);

// Whether the header "Authorization" shows the token. Takes the same time
// wherever the two differ.
[[nodiscard]] bool shows_token(std::string_view authorization, std::string_view token);

}  // namespace plm
