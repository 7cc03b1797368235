#include "bson/decimal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>

#include "base/check.h"

namespace plm::bson {

namespace {

constexpr int kMaxDigits = 34;

constexpr std::array<Uint128, kMaxDigits + 1> kPowersOfTen = [] {
  std::array<Uint128, kMaxDigits + 1> out{};
  out[0] = 1;
  for (std::size_t i = 1; i < out.size(); ++i) out[i] = out[i - 1] * 10;
  return out;
}();

constexpr Uint128 power_of_ten(int exponent) { return kPowersOfTen[static_cast<std::size_t>(exponent)]; }

int digit_count(Uint128 coefficient) {
  int count = 1;
  while (count < kMaxDigits && coefficient >= power_of_ten(count)) ++count;
  return count;
}

// The decimal digits of a coefficient.
class Digits {
 public:
  explicit Digits(Uint128 coefficient) {
    do {
      buffer_[--start_] = static_cast<char>('0' + static_cast<int>(coefficient % 10));
      coefficient /= 10;
    } while (coefficient != 0);
  }
  [[nodiscard]] std::string_view text() const { return {buffer_.data() + start_, buffer_.size() - start_}; }

 private:
  std::array<char, kMaxDigits> buffer_{};
  std::size_t start_ = kMaxDigits;
};

std::weak_ordering reversed_if(bool negative, std::weak_ordering order) { return negative ? 0 <=> order : order; }

// Neither is zero.
std::weak_ordering compare_magnitudes(const Decimal& left, const Decimal& right) {
  const int left_digits = digit_count(left.coefficient);
  const int right_digits = digit_count(right.coefficient);
  if (const auto order = left.exponent + left_digits <=> right.exponent + right_digits; order != 0) return order;
  // The leading digits stand at the same place, so both become numbers of the
  // same count of digits, 34 at most.
  const int digits = std::max(left_digits, right_digits);
  return left.coefficient * power_of_ten(digits - left_digits) <=>
         right.coefficient * power_of_ten(digits - right_digits);
}

// Neither is zero. Every double is a finite decimal fraction of at most 767
// significant digits; all of them are written out and compared.
std::weak_ordering compare_magnitudes(const Decimal& left, double right) {
  constexpr int kMaxDigitsBehindPoint = 766;
  std::array<char, kMaxDigitsBehindPoint + 16> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(right),
                                 std::chars_format::scientific, kMaxDigitsBehindPoint);
  CHECK(end.ec == std::errc{});
  // d.ddd...e+xx
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t mark = text.find('e');
  int right_exponent = 0;
  const char* exponent = text.data() + mark + (text[mark + 1] == '+' ? 2 : 1);
  CHECK(std::from_chars(exponent, text.data() + text.size(), right_exponent).ec == std::errc{});

  const Digits left_digits(left.coefficient);
  const std::string_view digits = left_digits.text();
  const int left_exponent = left.exponent + static_cast<int>(digits.size()) - 1;
  if (left_exponent != right_exponent) return left_exponent <=> right_exponent;

  if (digits[0] != text[0]) return digits[0] <=> text[0];
  const std::string_view fraction = text.substr(2, mark - 2);
  const std::string_view left_fraction = digits.substr(1);
  for (std::size_t i = 0; i < fraction.size(); ++i) {
    const char digit = i < left_fraction.size() ? left_fraction[i] : '0';
    if (digit != fraction[i]) return digit <=> fraction[i];
  }
  return std::weak_ordering::equivalent;
}

}  // namespace

Decimal Decimal::from(bson_decimal128_t encoded) {
  Decimal out;
  out.negative = (encoded.high >> 63U) != 0;
  const auto combination = (encoded.high >> 58U) & 0x1fU;
  if (combination == 0x1f) {
    out.kind = Kind::nan;
  } else if (combination == 0x1e) {
    out.kind = Kind::infinite;
  } else if (combination < 0x18) {
    out.exponent = static_cast<int>((encoded.high >> 49U) & 0x3fffU) - 6176;
    out.coefficient = (Uint128{encoded.high & 0x1'ffff'ffff'ffffU} << 64U) | encoded.low;
    if (out.coefficient >= power_of_ten(kMaxDigits)) out.coefficient = 0;
  }
  // Otherwise it is the form for coefficients of 2^113 and more, all of them too large: zero.
  return out;
}

Decimal Decimal::from(std::int64_t number) {
  Decimal out;
  out.negative = number < 0;
  const auto bits = static_cast<std::uint64_t>(number);
  out.coefficient = out.negative ? 0 - bits : bits;
  return out;
}

double Decimal::to_double() const {
  const double sign = negative ? -1.0 : 1.0;
  if (kind == Kind::nan) return std::numeric_limits<double>::quiet_NaN();
  if (kind == Kind::infinite) return sign * std::numeric_limits<double>::infinity();
  if (coefficient == 0) return sign * 0.0;
  std::array<char, kMaxDigits + 8> buffer;
  const Digits digits(coefficient);
  char* end = std::copy(digits.text().begin(), digits.text().end(), buffer.data());
  *end++ = 'e';
  end = std::to_chars(end, buffer.data() + buffer.size(), exponent).ptr;
  double out = 0;
  if (std::from_chars(buffer.data(), end, out).ec == std::errc::result_out_of_range) {
    out = exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
  }
  return sign * out;
}

std::optional<std::int64_t> Decimal::to_int64() const {
  const auto whole = whole_part();
  if (!whole || exponent >= 0 || coefficient == 0) return whole;
  const bool has_fraction = exponent < -kMaxDigits || coefficient % power_of_ten(-exponent) != 0;
  return has_fraction ? std::nullopt : whole;
}

std::optional<std::int64_t> Decimal::whole_part() const {
  constexpr int kMaxInt64Digits = 19;
  if (kind != Kind::finite) return std::nullopt;
  if (coefficient == 0 || exponent < -kMaxDigits) return 0;
  if (digit_count(coefficient) + exponent > kMaxInt64Digits) return std::nullopt;
  const Uint128 magnitude = exponent < 0 ? coefficient / power_of_ten(-exponent) : coefficient * power_of_ten(exponent);
  constexpr Uint128 kLimit = Uint128{1} << 63U;
  if (magnitude > kLimit || (magnitude == kLimit && !negative)) return std::nullopt;
  const auto bits = static_cast<std::uint64_t>(magnitude);
  return static_cast<std::int64_t>(negative ? 0 - bits : bits);
}

std::weak_ordering compare(const Decimal& left, const Decimal& right) {
  if (left.is_zero() && right.is_zero()) return std::weak_ordering::equivalent;
  if (left.is_zero()) return right.negative ? std::weak_ordering::greater : std::weak_ordering::less;
  if (right.is_zero() || left.negative != right.negative) {
    return left.negative ? std::weak_ordering::less : std::weak_ordering::greater;
  }
  const bool left_infinite = left.kind == Decimal::Kind::infinite;
  const bool right_infinite = right.kind == Decimal::Kind::infinite;
  if (left_infinite || right_infinite) return reversed_if(left.negative, left_infinite <=> right_infinite);
  return reversed_if(left.negative, compare_magnitudes(left, right));
}

std::weak_ordering compare(const Decimal& left, double right) {
  if (std::isinf(right)) {
    Decimal infinity;
    infinity.kind = Decimal::Kind::infinite;
    infinity.negative = right < 0;
    return compare(left, infinity);
  }
  // Rounding keeps the order, so two that differ after rounding differ likewise before.
  const double rounded = left.to_double();
  if (rounded < right) return std::weak_ordering::less;
  if (rounded > right) return std::weak_ordering::greater;
  if (right == 0) return compare(left, Decimal{});
  return reversed_if(left.negative, compare_magnitudes(left, right));
}

}  // namespace plm::bson
