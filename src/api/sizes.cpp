#include "api/sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace plm {

namespace {

struct Unit {
  std::string_view name;
  double bytes;
};

constexpr std::array<Unit, 10> kUnits = {{{"", 1},
                                          {"b", 1},
                                          {"kb", 1e3},
                                          {"mb", 1e6},
                                          {"gb", 1e9},
                                          {"tb", 1e12},
                                          {"kib", 1024.0},
                                          {"mib", 1024.0 * 1024},
                                          {"gib", 1024.0 * 1024 * 1024},
                                          {"tib", 1024.0 * 1024 * 1024 * 1024}}};

// Whole doubles are exact up to here, and no size of ours comes near.
constexpr double kLargest = 9007199254740992.0;

auto not_a_size(std::string_view text) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("\"{}\" is not a size; write bytes, or a number with KB, MB, GB, KiB, MiB or GiB", text));
}

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  double number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [rest, problem] = std::from_chars(begin, end, number, std::chars_format::fixed);
  if (problem != std::errc() || !std::isfinite(number) || std::signbit(number)) return not_a_size(text);

  std::string unit(rest, end);
  if (unit.size() > 1 && unit.front() == ' ') unit.erase(0, 1);
  std::ranges::transform(unit, unit.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto* const found = std::ranges::find(kUnits, unit, &Unit::name);
  if (found == kUnits.end()) return not_a_size(text);

  const double bytes = number * found->bytes;
  if (bytes > kLargest) return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" is too large", text));
  if (found->bytes == 1 && bytes != std::floor(bytes)) return not_a_size(text);
  return static_cast<std::int64_t>(bytes);
}

std::string format_size(std::int64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames = {"KB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  // 999.95 would be printed as 1000.0
  while (value >= 999.95 && unit + 1 < kNames.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kNames[unit]);
}

}  // namespace plm
