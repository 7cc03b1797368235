#include "bson/view.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "bson/test_values.h"

namespace plm::bson {
namespace {

std::int64_t int64_of(std::string_view json, std::int64_t otherwise) {
  return value_from_json(json).value().as_int64(otherwise);
}

TEST(View, ListsTheElementsInTheirOrder) {
  const Document document = from_json(R"({"b": 1, "a": "x", "": null, "b": {"c": []}})");
  std::vector<std::string> keys;
  std::vector<Type> types;
  for (const auto& [key, value] : document.view()) {
    keys.emplace_back(key);
    types.push_back(value.type());
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"b", "a", "", "b"}));
  EXPECT_EQ(types, (std::vector<Type>{BSON_TYPE_INT32, BSON_TYPE_UTF8, BSON_TYPE_NULL, BSON_TYPE_DOCUMENT}));
}

TEST(View, FindsTheFirstOfEqualKeysAndNothingForUnknownOnes) {
  const Document document = from_json(R"({"a": 1, "b": 2, "a": 3})");
  EXPECT_EQ(document["a"].int32(), 1);
  EXPECT_EQ(document["b"].int32(), 2);
  EXPECT_FALSE(document["c"].exists());
  EXPECT_FALSE(document["ab"].exists());
  EXPECT_EQ(document["c"].type(), BSON_TYPE_EOD);
}

TEST(View, OfNothingIsTheEmptyDocument) {
  EXPECT_TRUE(View().empty());
  EXPECT_EQ(View().size(), 5U);
  EXPECT_TRUE(View().begin() == View().end());
  EXPECT_FALSE(View()["a"].exists());
}

TEST(View, ReadsThePayloadOfEachType) {
  const Document document = from_json(R"({
      "double": 1.5, "text": "a\u0000b", "document": {"x": 1}, "array": [1, 2],
      "binary": {"$binary": {"base64": "AQI=", "subType": "80"}}, "bool": true, "int32": -7,
      "timestamp": {"$timestamp": {"t": 17, "i": 3}}, "int64": {"$numberLong": "-9223372036854775808"},
      "decimal": {"$numberDecimal": "1"}, "last": 5})");
  EXPECT_EQ(document["double"].float64(), 1.5);
  EXPECT_EQ(document["text"].string(), std::string_view("a\0b", 3));
  EXPECT_EQ(document["document"].document()["x"].int32(), 1);
  EXPECT_EQ(document["array"].document()["1"].int32(), 2);
  EXPECT_EQ(document["binary"].binary_subtype(), 0x80);
  EXPECT_EQ(std::vector<std::uint8_t>(document["binary"].binary().begin(), document["binary"].binary().end()),
            (std::vector<std::uint8_t>{1, 2}));
  EXPECT_TRUE(document["bool"].boolean());
  EXPECT_EQ(document["int32"].int32(), -7);
  EXPECT_EQ(document["timestamp"].timestamp(), (std::uint64_t{17} << 32U) | 3U);
  EXPECT_EQ(document["int64"].int64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(document["decimal"].decimal().low, 1U);
  EXPECT_EQ(document["last"].int32(), 5);
}

TEST(View, StepsOverEveryTypeAsLibbsonDoes) {
  RandomValues random(test_seed());
  for (int i = 0; i < 2000; ++i) {
    const Document document = random.document();
    bson_t whole;
    ASSERT_TRUE(bson_init_static(&whole, document.view().data(), document.size_bytes()));
    bson_iter_t other;
    ASSERT_TRUE(bson_iter_init(&other, &whole));
    for (const auto& [key, value] : document.view()) {
      ASSERT_TRUE(bson_iter_next(&other));
      EXPECT_EQ(key, bson_iter_key(&other));
      EXPECT_EQ(value.type(), bson_iter_type(&other));
    }
    EXPECT_FALSE(bson_iter_next(&other));
  }
}

TEST(Value, ConvertsAnyNumberToAnInt64) {
  constexpr auto max = std::numeric_limits<std::int64_t>::max();
  constexpr auto min = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(int64_of("-3", 9), -3);
  EXPECT_EQ(int64_of(R"({"$numberLong": "9223372036854775807"})", 9), max);
  EXPECT_EQ(int64_of("2.9", 9), 2);
  EXPECT_EQ(int64_of("-2.9", 9), -2);
  EXPECT_EQ(int64_of(R"({"$numberDouble": "-9223372036854775808"})", 9), min);
  EXPECT_EQ(int64_of(R"({"$numberDouble": "9223372036854774784"})", 9), 9223372036854774784);
  EXPECT_EQ(int64_of(R"({"$numberDecimal": "1E+3"})", 9), 1000);
  EXPECT_EQ(int64_of(R"({"$numberDecimal": "-2.9"})", 9), -2);
  EXPECT_EQ(int64_of("true", 9), 1);
  EXPECT_EQ(int64_of("false", 9), 0);
}

TEST(Value, GivesTheDefaultForWhatIsNoInt64) {
  for (const char* json :
       {R"({"$numberDouble": "9223372036854775808"})", R"({"$numberDouble": "-1e300"})", R"({"$numberDouble": "NaN"})",
        R"({"$numberDouble": "Infinity"})", R"({"$numberDecimal": "9223372036854775808"})",
        R"({"$numberDecimal": "NaN"})", "null", R"("1")", "[1]", R"({"$date": {"$numberLong": "5"}})"}) {
    EXPECT_EQ(int64_of(json, 9), 9) << json;
  }
  EXPECT_EQ(Value().as_int64(9), 9);
}

TEST(Value, IsTrueAsTheServerSeesIt) {
  for (const char* json : {"true", "1", "-1", "0.5", R"({"$numberDouble": "NaN"})", R"({"$numberLong": "4294967296"})",
                           R"({"$numberDecimal": "0.1"})", R"({"$numberDecimal": "NaN"})"}) {
    EXPECT_TRUE(value_from_json(json).value().as_bool(false)) << json;
  }
  for (const char* json : {"false", "0", "0.0", R"({"$numberDouble": "-0.0"})", R"({"$numberLong": "0"})",
                           R"({"$numberDecimal": "0.00"})"}) {
    EXPECT_FALSE(value_from_json(json).value().as_bool(true)) << json;
  }
  for (const char* json : {"null", R"("true")", "{}"}) {
    EXPECT_TRUE(value_from_json(json).value().as_bool(true)) << json;
    EXPECT_FALSE(value_from_json(json).value().as_bool(false)) << json;
  }
  EXPECT_TRUE(Value().as_bool(true));
}

TEST(Value, GivesDefaultsForOtherTypes) {
  EXPECT_EQ(value_from_json(R"("x")").value().as_string("y"), "x");
  EXPECT_EQ(value_from_json("1").value().as_string("y"), "y");
  EXPECT_EQ(Value().as_string(), "");
  EXPECT_EQ(value_from_json(R"({"a": 1})").value().as_document()["a"].int32(), 1);
  EXPECT_EQ(value_from_json("[7]").value().as_document()["0"].int32(), 7);
  EXPECT_TRUE(value_from_json("1").value().as_document().empty());
  EXPECT_TRUE(Value().as_document().empty());
}

TEST(Json, OfAValueIsTheValueAlone) {
  EXPECT_EQ(to_json(value_from_json("1").value()), "1");
  EXPECT_EQ(to_json(value_from_json(R"("a: b")").value()), R"("a: b")");
  EXPECT_EQ(to_json(value_from_json(R"({"a": {"b": 1}})").value()), R"({ "a" : { "b" : 1 } })");
  EXPECT_EQ(to_json(value_from_json(R"({"$oid": "0123456789abcdef01234567"})").value()),
            R"({ "$oid" : "0123456789abcdef01234567" })");
}

TEST(Json, IsCutBetweenTwoCharacters) {
  // Six bytes in front, then two bytes for each character.
  const Document document = from_json("{\"\": \"\u00e9\u00e9\u00e9\"}");
  ASSERT_EQ(document.view().json(), "{ \"\" : \"\u00e9\u00e9\u00e9\" }");
  EXPECT_EQ(document.view().json(8), "{ \"\" : \"...");
  EXPECT_EQ(document.view().json(9), "{ \"\" : \"...");
  EXPECT_EQ(document.view().json(10), "{ \"\" : \"\u00e9...");
  EXPECT_EQ(document.view().json(0), "...");
  EXPECT_EQ(to_json(document[""], 4), "\"\u00e9...");
  EXPECT_EQ(to_json(document[""], 8), "\"\u00e9\u00e9\u00e9\"");
}

TEST(Json, SaysSoWhenThereIsNone) {
  Builder out;
  out.append("a", "\xff");
  EXPECT_EQ(out.view().json(), "(document that has no JSON form)");
  EXPECT_EQ(to_json(out.view()["a"]), "(document that has no JSON form)");
}

}  // namespace
}  // namespace plm::bson
