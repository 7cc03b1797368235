#include "api/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace plm {

namespace {

constexpr std::size_t kLongestToken = 1024;
constexpr std::string_view kScheme = "bearer ";

bool is_token_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("-._~+/=").find(c) != std::string_view::npos;
}

bool has_scheme(std::string_view authorization) {
  return authorization.size() > kScheme.size() &&
         std::ranges::equal(authorization.substr(0, kScheme.size()), kScheme, [](char left, char right) {
           return std::tolower(static_cast<unsigned char>(left)) == right;
         });
}

// Every byte of what was given is looked at, whatever the bytes before it were.
bool equal_in_constant_time(std::string_view given, std::string_view token) {
  volatile std::uint8_t difference = given.size() == token.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto mixed = static_cast<unsigned>(given[i]) ^ static_cast<unsigned>(token[i % token.size()]);
    difference = difference | static_cast<std::uint8_t>(mixed);
  }
  return difference == 0;
}

}  // namespace

Status check_token(std::string_view token) {
  if (token.size() < kLeastTokenLength || token.size() > kLongestToken) {
    return fail(ErrorCode::invalid_argument, fmt::format("a token has {} to {} characters, this one {}",
                                                         kLeastTokenLength, kLongestToken, token.size()));
  }
  if (!std::ranges::all_of(token, is_token_character)) {
    return fail(ErrorCode::invalid_argument, "a token consists of letters, digits and -._~+/=");
  }
  return {};
}

bool shows_token(std::string_view authorization, std::string_view token) {
  if (token.empty() || !has_scheme(authorization)) return false;
  return equal_in_constant_time(authorization.substr(kScheme.size()), token);
}

}  // namespace plm
