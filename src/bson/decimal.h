// Decimal128 taken apart, for comparing it exactly with numbers of other types.
// Source of the encoding: IEEE 754-2008, 3.5.2, binary integer significand.
#pragma once

#include <bson/bson.h>

#include <compare>
#include <cstdint>
#include <optional>

namespace plm::bson {

__extension__ using Uint128 = unsigned __int128;

// (negative ? -1 : 1) * coefficient * 10^exponent, or one of the special values.
struct Decimal {
  enum class Kind { finite, infinite, nan };

  Kind kind = Kind::finite;
  bool negative = false;
  Uint128 coefficient = 0;  // below 10^34, so it never overflows when it is scaled to 34 digits
  int exponent = 0;         // -6176 to 6111

  // An encoding that is not canonical (coefficient of 10^34 or more) is zero, as in the server.
  static Decimal from(bson_decimal128_t encoded);
  static Decimal from(std::int64_t number);

  [[nodiscard]] bool is_zero() const { return kind == Kind::finite && coefficient == 0; }
  // Correctly rounded to the nearest double; infinite beyond its range.
  [[nodiscard]] double to_double() const;
  // The same number, when it is one that an int64 can hold.
  [[nodiscard]] std::optional<std::int64_t> to_int64() const;
  // Without its fraction, when that is a number that an int64 can hold.
  [[nodiscard]] std::optional<std::int64_t> whole_part() const;
};

// Exact. Neither side may be a NaN; zeros are equal whatever their sign.
[[nodiscard]] std::weak_ordering compare(const Decimal& left, const Decimal& right);
[[nodiscard]] std::weak_ordering compare(const Decimal& left, double right);

}  // namespace plm::bson
