#include "bson/decimal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace plm::bson {
namespace {

Decimal decimal(const char* text) {
  bson_decimal128_t encoded;
  EXPECT_TRUE(bson_decimal128_from_string(text, &encoded)) << text;
  return Decimal::from(encoded);
}

TEST(Decimal, TakesSignCoefficientAndExponentApart) {
  const Decimal number = decimal("-123.4500");
  EXPECT_EQ(number.kind, Decimal::Kind::finite);
  EXPECT_TRUE(number.negative);
  EXPECT_TRUE(number.coefficient == 1234500);
  EXPECT_EQ(number.exponent, -4);
  EXPECT_EQ(decimal("1E+6111").exponent, 6111);
  EXPECT_EQ(decimal("1E-6176").exponent, -6176);
  EXPECT_EQ(decimal("NaN").kind, Decimal::Kind::nan);
  EXPECT_EQ(decimal("-Infinity").kind, Decimal::Kind::infinite);
  EXPECT_TRUE(decimal("-Infinity").negative);
}

TEST(Decimal, RoundsToTheNearestDouble) {
  EXPECT_EQ(decimal("0.1").to_double(), 0.1);
  EXPECT_EQ(decimal("-2.5E+3").to_double(), -2500.0);
  EXPECT_EQ(decimal("9007199254740993").to_double(), 0x1p53);  // a tie goes to the even one
  EXPECT_EQ(decimal("9007199254740993.000000000000000001").to_double(), 0x1p53 + 2);
  EXPECT_EQ(decimal("5E-324").to_double(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(decimal("2.2E-308").to_double(), 2.2e-308);
  EXPECT_EQ(decimal("1E-400").to_double(), 0.0);
  EXPECT_EQ(decimal("1E+400").to_double(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(decimal("-1E+400").to_double(), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(decimal("NaN").to_double()));
}

TEST(Decimal, IsAnInt64OnlyWhenItHasNoFractionAndFits) {
  struct Case {
    const char* text;
    std::optional<std::int64_t> exact;
    std::optional<std::int64_t> whole;
  };
  constexpr auto max = std::numeric_limits<std::int64_t>::max();
  constexpr auto min = std::numeric_limits<std::int64_t>::min();
  const Case cases[] = {
      {"0", 0, 0},
      {"-0E-6176", 0, 0},
      {"0E+6111", 0, 0},
      {"42.000", 42, 42},
      {"-42.001", std::nullopt, -42},
      {"1E-6176", std::nullopt, 0},
      {"0.9999999999999999999999999999999999", std::nullopt, 0},
      {"1.000000000000000000000000000000000", 1, 1},
      {"1E+18", 1'000'000'000'000'000'000, 1'000'000'000'000'000'000},
      {"1E+19", std::nullopt, std::nullopt},
      {"9223372036854775807", max, max},
      {"9223372036854775807.9", std::nullopt, max},
      {"9223372036854775808", std::nullopt, std::nullopt},
      {"-9223372036854775808", min, min},
      {"-9223372036854775809", std::nullopt, std::nullopt},
      {"9999999999999999999999999999999999E+6111", std::nullopt, std::nullopt},
      {"Infinity", std::nullopt, std::nullopt},
      {"NaN", std::nullopt, std::nullopt},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(decimal(one.text).to_int64(), one.exact) << one.text;
    EXPECT_EQ(decimal(one.text).whole_part(), one.whole) << one.text;
  }
}

TEST(Decimal, HoldsEveryInt64) {
  for (const std::int64_t number : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
                                    std::int64_t{1}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(Decimal::from(number).to_int64(), number);
    EXPECT_TRUE(compare(Decimal::from(number), decimal(std::to_string(number).c_str())) == 0);
  }
}

}  // namespace
}  // namespace plm::bson
