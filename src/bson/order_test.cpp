#include "bson/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "bson/test_values.h"

namespace plm::bson {
namespace {

// Rungs from the lowest to the highest. The values of one rung are equal, and
// each value is above all those of the rungs before.
using Ladder = std::vector<std::vector<std::string>>;

void expect_ascending(const Ladder& ladder) {
  struct Step {
    std::size_t rung;
    std::string json;
    OwnedValue value;
  };
  std::vector<Step> steps;
  for (std::size_t rung = 0; rung < ladder.size(); ++rung) {
    for (const std::string& json : ladder[rung]) steps.push_back({rung, json, value_from_json(json)});
  }
  for (const Step& left : steps) {
    for (const Step& right : steps) {
      const std::weak_ordering wanted = left.rung <=> right.rung;
      EXPECT_TRUE(compare(left.value.value(), right.value.value()) == wanted) << left.json << " and " << right.json;
      if (wanted == 0) {
        EXPECT_EQ(hash(left.value.value()), hash(right.value.value())) << left.json << " and " << right.json;
      }
    }
  }
}

TEST(Order, RanksTheTypesAsTheServerDoes) {
  expect_ascending({
      {R"({"$minKey": 1})"},
      {R"({"$undefined": true})"},
      {"null"},
      {R"({"$numberDouble": "NaN"})", R"({"$numberDecimal": "NaN"})"},
      {R"({"$numberInt": "7"})", R"({"$numberLong": "7"})", R"({"$numberDouble": "7"})", R"({"$numberDecimal": "7"})"},
      {R"("")", R"({"$symbol": ""})"},
      {R"("text")", R"({"$symbol": "text"})"},
      {"{}"},
      {R"({"a": 1})"},
      {"[]"},
      {"[1]"},
      {R"({"$binary": {"base64": "", "subType": "00"}})"},
      {R"({"$oid": "000000000000000000000000"})"},
      {"false"},
      {"true"},
      {R"({"$date": {"$numberLong": "-5"}})"},
      {R"({"$timestamp": {"t": 0, "i": 1}})"},
      {R"({"$regularExpression": {"pattern": "a", "options": ""}})"},
      {R"({"$dbPointer": {"$ref": "a", "$id": {"$oid": "000000000000000000000000"}}})"},
      {R"({"$code": "a"})"},
      {R"({"$code": "a", "$scope": {}})"},
      {R"({"$maxKey": 1})"},
  });
}

TEST(Order, ComparesNumbersOfAllTypesExactly) {
  expect_ascending({
      {R"({"$numberDouble": "NaN"})", R"({"$numberDecimal": "NaN"})"},
      {R"({"$numberDouble": "-Infinity"})", R"({"$numberDecimal": "-Infinity"})"},
      {R"({"$numberDecimal": "-9.999999999999999999999999999999999E+6144"})"},
      {R"({"$numberDouble": "-1.7976931348623157e308"})"},
      {R"({"$numberDecimal": "-9223372036854775808.000000000001"})"},
      {R"({"$numberLong": "-9223372036854775808"})", R"({"$numberDouble": "-9223372036854775808"})",
       R"({"$numberDecimal": "-9223372036854775808"})", R"({"$numberDecimal": "-9223372036854775808.000"})"},
      {R"({"$numberLong": "-9223372036854775807"})", R"({"$numberDecimal": "-9223372036854775807"})"},
      {R"({"$numberDouble": "-9223372036854774784"})", R"({"$numberLong": "-9223372036854774784"})"},
      {R"({"$numberInt": "-2147483648"})", R"({"$numberDouble": "-2147483648"})"},
      {R"({"$numberDouble": "-1.5"})", R"({"$numberDecimal": "-1.5"})", R"({"$numberDecimal": "-1.500"})"},
      {R"({"$numberInt": "-1"})", R"({"$numberLong": "-1"})", R"({"$numberDouble": "-1"})",
       R"({"$numberDecimal": "-10E-1"})"},
      // -0.1 as a double is a little below the decimal -0.1
      {R"({"$numberDouble": "-0.1"})"},
      {R"({"$numberDecimal": "-0.1"})", R"({"$numberDecimal": "-0.100000"})"},
      {R"({"$numberDouble": "-5e-324"})"},
      {R"({"$numberDecimal": "-1E-6176"})"},
      {R"({"$numberInt": "0"})", R"({"$numberLong": "0"})", R"({"$numberDouble": "0.0"})",
       R"({"$numberDouble": "-0.0"})", R"({"$numberDecimal": "0"})", R"({"$numberDecimal": "-0"})",
       R"({"$numberDecimal": "0E+6111"})", R"({"$numberDecimal": "-0E-6176"})"},
      {R"({"$numberDecimal": "1E-6176"})"},
      {R"({"$numberDecimal": "4.940656458412465441765687928682213E-324"})"},
      {R"({"$numberDouble": "4.9406564584124654e-324"})"},
      {R"({"$numberDecimal": "4.940656458412465441765687928682214E-324"})"},
      {R"({"$numberDecimal": "0.1"})", R"({"$numberDecimal": "0.1000000000000000000000000000000000"})"},
      {R"({"$numberDecimal": "0.1000000000000000055511151231257827"})"},
      // exactly 0.1000000000000000055511151231257827021181583404541015625
      {R"({"$numberDouble": "0.1"})"},
      {R"({"$numberDecimal": "0.1000000000000000055511151231257828"})"},
      {R"({"$numberDouble": "0.5"})", R"({"$numberDecimal": "0.5"})", R"({"$numberDecimal": "5E-1"})"},
      {R"({"$numberDecimal": "0.9999999999999999999999999999999999"})"},
      {R"({"$numberInt": "1"})", R"({"$numberLong": "1"})", R"({"$numberDouble": "1"})",
       R"({"$numberDecimal": "1.00"})"},
      {R"({"$numberDecimal": "1.000000000000000000000000000000001"})"},
      {R"({"$numberInt": "2147483647"})", R"({"$numberLong": "2147483647"})"},
      {R"({"$numberLong": "2147483648"})", R"({"$numberDouble": "2147483648"})"},
      {R"({"$numberLong": "9007199254740991"})", R"({"$numberDouble": "9007199254740991"})"},
      {R"({"$numberLong": "9007199254740992"})", R"({"$numberDouble": "9007199254740992"})"},
      // 2^53 + 1 is none of the doubles
      {R"({"$numberLong": "9007199254740993"})", R"({"$numberDecimal": "9007199254740993"})"},
      {R"({"$numberDecimal": "9007199254740993.5"})"},
      {R"({"$numberLong": "9007199254740994"})", R"({"$numberDouble": "9007199254740994"})"},
      {R"({"$numberDouble": "9223372036854774784"})", R"({"$numberLong": "9223372036854774784"})"},
      {R"({"$numberLong": "9223372036854775806"})"},
      {R"({"$numberLong": "9223372036854775807"})", R"({"$numberDecimal": "9223372036854775807"})"},
      {R"({"$numberDecimal": "9223372036854775807.5"})"},
      {R"({"$numberDouble": "9223372036854775808"})", R"({"$numberDecimal": "9223372036854775808"})"},
      {R"({"$numberDecimal": "1E+22"})", R"({"$numberDouble": "1e22"})",
       R"({"$numberDecimal": "10000000000000000000000"})"},
      // the double 1e23 is a little below 10^23
      {R"({"$numberDouble": "1e23"})", R"({"$numberDecimal": "99999999999999991611392"})"},
      {R"({"$numberDecimal": "1E+23"})"},
      {R"({"$numberDecimal": "1.797693134862315708145274237317043E+308"})"},
      {R"({"$numberDouble": "1.7976931348623157e308"})"},
      {R"({"$numberDecimal": "1.797693134862315708145274237317044E+308"})"},
      {R"({"$numberDecimal": "1E+309"})"},
      {R"({"$numberDecimal": "9.999999999999999999999999999999999E+6144"})"},
      {R"({"$numberDouble": "Infinity"})", R"({"$numberDecimal": "Infinity"})"},
  });
}

TEST(Order, TakesAllEncodingsOfNaNForOneNumber) {
  const auto double_nan = [](std::uint64_t bits) {
    Builder out;
    out.append("v", std::bit_cast<double>(bits));
    return out.take();
  };
  const auto decimal_nan = [](std::uint64_t high, std::uint64_t low) {
    const std::uint64_t bits[] = {low, high};
    Builder out;
    out.append("v", Value(BSON_TYPE_DECIMAL128, reinterpret_cast<const std::uint8_t*>(bits), sizeof bits));
    return out.take();
  };
  const std::vector<Document> nans = {double_nan(0x7ff8000000000000),     double_nan(0xfff8000000000000),
                                      double_nan(0x7ff0000000000001),     decimal_nan(0x7c00000000000000, 0),
                                      decimal_nan(0xfc00000000000000, 0), decimal_nan(0x7e00000000000000, 17)};
  for (const Document& left : nans) {
    for (const Document& right : nans) {
      EXPECT_TRUE(compare(left["v"], right["v"]) == 0);
      EXPECT_EQ(hash(left["v"]), hash(right["v"]));
    }
    EXPECT_TRUE(compare(left["v"], value_from_json(R"({"$numberDouble": "-Infinity"})").value()) < 0);
    EXPECT_TRUE(compare(value_from_json("null").value(), left["v"]) < 0);
  }
}

TEST(Order, TakesDecimalsThatAreNotCanonicalForZero) {
  // 10^34 in the ordinary form, and the form for still larger coefficients.
  const std::uint64_t encodings[][2] = {
      {0x378d8e6400000000, 0x3041ed09bead87c0}, {0, 0x6c10000000000000}, {~std::uint64_t{0}, 0xec10000000000000}};
  const OwnedValue zero = value_from_json("0");
  for (const auto& bits : encodings) {
    const Value value(BSON_TYPE_DECIMAL128, reinterpret_cast<const std::uint8_t*>(bits), sizeof bits);
    EXPECT_TRUE(compare(value, zero.value()) == 0);
    EXPECT_EQ(hash(value), hash(zero.value()));
  }
}

TEST(Order, ComparesTextByBytesAndThenByLength) {
  expect_ascending({
      {R"("")", R"({"$symbol": ""})"},
      {R"("A")"},
      {R"("a")", R"({"$symbol": "a"})"},
      {R"("a\u0000")", R"({"$symbol": "a\u0000"})"},
      {R"("a\u0000b")"},
      {R"("a\u0001")"},
      {R"("ab")"},
      {R"("b")"},
      {R"("\u00e9")"},
      {R"("\ud83d\ude00")"},
  });
}

TEST(Order, ComparesDocumentsFieldByFieldTypeNameValue) {
  expect_ascending({
      {"{}"},
      // the type of a field decides before its name does
      {R"({"z": null})"},
      {R"({"b": 1})", R"({"b": {"$numberDecimal": "1.0"}})", R"({"b": {"$numberLong": "1"}})"},
      {R"({"b": 1, "a": 1})"},
      {R"({"b": 1, "c": 0})"},
      {R"({"b": 2})"},
      {R"({"b": 9007199254740993})"},
      {R"({"ba": 0})", R"({"ba": {"$numberDouble": "-0.0"}})"},
      {R"({"a": ""})"},
      {R"({"a": "x"})", R"({"a": {"$symbol": "x"}})"},
      {R"({"a": {}})"},
      {R"({"a": {"b": 1}})", R"({"a": {"b": 1.0}})"},
      {R"({"a": {"b": 1}, "c": 1})"},
      {R"({"a": {"b": [1, 2]}})"},
      {R"({"a": {"b": [1, 3]}})"},
      {R"({"a": []})"},
  });
}

TEST(Order, ComparesArraysElementByElement) {
  expect_ascending({
      {"[]"},
      {R"([{"$minKey": 1}])"},
      {"[null]"},
      {R"([{"$numberDouble": "NaN"}])", R"([{"$numberDecimal": "NaN"}])"},
      {"[1]", "[1.0]"},
      {"[1, 1]"},
      {"[1, 2, 0]"},
      {"[1, 3]"},
      {"[2]"},
      {R"(["a"])"},
      {"[{}]"},
      {"[[]]"},
      {R"([{"$maxKey": 1}])"},
  });
}

TEST(Order, IgnoresTheNamesOfArrayElements) {
  Builder odd;
  odd.append("7", 1).append("7", 2);
  Builder holder;
  holder.append_array("v", odd.view());
  const OwnedValue usual = value_from_json("[1, 2]");
  EXPECT_TRUE(compare(holder.view()["v"], usual.value()) == 0);
  EXPECT_EQ(hash(holder.view()["v"]), hash(usual.value()));
}

TEST(Order, ComparesBinariesByLengthSubtypeBytes) {
  expect_ascending({
      {R"({"$binary": {"base64": "", "subType": "00"}})"},
      {R"({"$binary": {"base64": "", "subType": "80"}})"},
      {R"({"$binary": {"base64": "/w==", "subType": "00"}})"},
      {R"({"$binary": {"base64": "AA==", "subType": "05"}})"},
      {R"({"$binary": {"base64": "AAA=", "subType": "00"}})"},
      {R"({"$binary": {"base64": "AAAA", "subType": "00"}})"},
      {R"({"$binary": {"base64": "AAEA", "subType": "00"}})"},
      {R"({"$binary": {"base64": "/wAA", "subType": "00"}})"},
  });
}

TEST(Order, ComparesObjectIdsByBytes) {
  expect_ascending({
      {R"({"$oid": "000000000000000000000000"})"},
      {R"({"$oid": "00000000000000000000ff00"})"},
      {R"({"$oid": "7fffffffffffffffffffffff"})"},
      {R"({"$oid": "800000000000000000000000"})"},
  });
}

TEST(Order, ComparesDatesWithSignAndTimestampsWithout) {
  expect_ascending({
      {R"({"$date": {"$numberLong": "-9223372036854775808"}})"},
      {R"({"$date": {"$numberLong": "-1"}})"},
      {R"({"$date": {"$numberLong": "0"}})"},
      {R"({"$date": {"$numberLong": "9223372036854775807"}})"},
      {R"({"$timestamp": {"t": 0, "i": 0}})"},
      {R"({"$timestamp": {"t": 0, "i": 4294967295}})"},
      {R"({"$timestamp": {"t": 1, "i": 0}})"},
      {R"({"$timestamp": {"t": 4294967295, "i": 0}})"},
  });
}

TEST(Order, ComparesRegularExpressionsByPatternAndFlags) {
  expect_ascending({
      {R"({"$regularExpression": {"pattern": "", "options": "x"}})"},
      {R"({"$regularExpression": {"pattern": "a", "options": ""}})"},
      {R"({"$regularExpression": {"pattern": "a", "options": "i"}})"},
      {R"({"$regularExpression": {"pattern": "a", "options": "m"}})"},
      {R"({"$regularExpression": {"pattern": "ab", "options": ""}})"},
  });
}

TEST(Order, ComparesDbPointersByLengthOfNameNameId) {
  expect_ascending({
      {R"({"$dbPointer": {"$ref": "b", "$id": {"$oid": "000000000000000000000000"}}})"},
      {R"({"$dbPointer": {"$ref": "b", "$id": {"$oid": "000000000000000000000001"}}})"},
      {R"({"$dbPointer": {"$ref": "c", "$id": {"$oid": "000000000000000000000000"}}})"},
      {R"({"$dbPointer": {"$ref": "aa", "$id": {"$oid": "000000000000000000000000"}}})"},
  });
}

TEST(Order, ComparesCodeAndThenItsScope) {
  expect_ascending({
      {R"({"$code": "a"})"},
      {R"({"$code": "b"})"},
      {R"({"$code": "a", "$scope": {}})"},
      {R"({"$code": "a", "$scope": {"x": 1}})", R"({"$code": "a", "$scope": {"x": 1.0}})"},
      {R"({"$code": "a", "$scope": {"x": 2}})"},
      {R"({"$code": "a", "$scope": {"x": "2"}})"},
      {R"({"$code": "ab", "$scope": {}})"},
  });
}

TEST(Order, TakesNoValueForUndefined) {
  const OwnedValue undefined = value_from_json(R"({"$undefined": true})");
  EXPECT_TRUE(compare(Value(), undefined.value()) == 0);
  EXPECT_EQ(hash(Value()), hash(undefined.value()));
  EXPECT_TRUE(compare(Value(), value_from_json("null").value()) < 0);
}

// Sorts the values and then compares every pair: an order that is not total,
// antisymmetric and transitive over them does not pass.
void expect_consistent(std::vector<OwnedValue> values) {
  std::stable_sort(values.begin(), values.end(), [](const OwnedValue& left, const OwnedValue& right) {
    return compare(left.value(), right.value()) < 0;
  });
  std::vector<std::size_t> rungs(values.size());
  std::vector<std::size_t> hashes(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    hashes[i] = hash(values[i].value());
    if (i > 0) rungs[i] = rungs[i - 1] + (compare(values[i - 1].value(), values[i].value()) == 0 ? 0 : 1);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const std::weak_ordering wanted = rungs[i] <=> rungs[j];
      ASSERT_TRUE(compare(values[i].value(), values[j].value()) == wanted)
          << to_json(values[i].value()) << " and " << to_json(values[j].value());
      if (wanted == 0) {
        ASSERT_EQ(hashes[i], hashes[j]) << to_json(values[i].value()) << " and " << to_json(values[j].value());
      }
    }
  }
}

TEST(Order, IsTotalAndTransitiveOverRandomNumbers) {
  RandomValues random(test_seed());
  for (int round = 0; round < 20; ++round) {
    std::vector<OwnedValue> values;
    for (int i = 0; i < 200; ++i) values.push_back(random.number());
    ASSERT_NO_FATAL_FAILURE(expect_consistent(std::move(values)));
  }
}

TEST(Order, IsTotalAndTransitiveOverRandomValues) {
  RandomValues random(test_seed());
  for (int round = 0; round < 20; ++round) {
    std::vector<OwnedValue> values;
    for (int i = 0; i < 200; ++i) values.push_back(random.value());
    ASSERT_NO_FATAL_FAILURE(expect_consistent(std::move(values)));
  }
}

TEST(Hash, TellsValuesOfOneContentButSeveralClassesApart) {
  std::set<std::size_t> hashes;
  const std::vector<std::string> values = {R"({"$minKey": 1})",
                                           R"({"$maxKey": 1})",
                                           "null",
                                           R"({"$undefined": true})",
                                           R"("")",
                                           R"({"$code": ""})",
                                           "{}",
                                           "[]",
                                           "0",
                                           "false",
                                           R"({"$date": {"$numberLong": "0"}})"};
  for (const std::string& json : values) hashes.insert(hash(value_from_json(json).value()));
  EXPECT_EQ(hashes.size(), values.size());
}

TEST(Hash, SpreadsNeighbouringNumbers) {
  // A hash by way of doubles alone would fold 1,024 neighbours into one.
  std::set<std::size_t> hashes;
  constexpr std::int64_t start = std::int64_t{1} << 62U;
  for (std::int64_t i = 0; i < 10'000; ++i) {
    Builder out;
    out.append("v", start + i);
    hashes.insert(hash(out.view()["v"]));
  }
  EXPECT_EQ(hashes.size(), 10'000U);
}

TEST(Hash, DependsOnTheOrderAndTheNamesOfFields) {
  std::set<std::size_t> hashes;
  const std::vector<std::string> values = {R"({"a": 1, "b": 2})", R"({"b": 2, "a": 1})", R"({"a": 2, "b": 1})",
                                           R"({"a": 1})",         R"({"a": {"b": 1}})",  R"({"a": {}, "b": 1})"};
  for (const std::string& json : values) hashes.insert(hash(value_from_json(json).value()));
  EXPECT_EQ(hashes.size(), values.size());
}

}  // namespace
}  // namespace plm::bson
