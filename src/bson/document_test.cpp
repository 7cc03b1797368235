#include "bson/document.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "bson/test_values.h"

namespace plm::bson {
namespace {

TEST(Builder, WritesWhatJsonDescribes) {
  const std::uint8_t data[] = {1, 2, 3};
  const Document inner = from_json(R"({"x": 1})");
  Builder out;
  out.append("text", std::string_view("a\0b", 3))
      .append("literal", "c")
      .append("string", std::string("d"))
      .append("bool", true)
      .append("int32", -5)
      .append("int64", std::int64_t{1} << 40U)
      .append("double", 0.5)
      .append("view", inner.view())
      .append("document", inner)
      .append("value", inner["x"])
      .append_array("array", from_json(R"({"0": "y"})").view())
      .append_timestamp("timestamp", (std::uint64_t{9} << 32U) | 4U)
      .append_date("date", std::chrono::system_clock::time_point(std::chrono::milliseconds(1700)))
      .append_binary("binary", 4, data)
      .append_null("null")
      .append_all(from_json(R"({"all": 1, "of": 2})").view());
  const Document wanted = from_json(R"({
      "text": "a\u0000b", "literal": "c", "string": "d", "bool": true, "int32": -5,
      "int64": {"$numberLong": "1099511627776"}, "double": 0.5, "view": {"x": 1}, "document": {"x": 1}, "value": 1,
      "array": ["y"], "timestamp": {"$timestamp": {"t": 9, "i": 4}}, "date": {"$date": {"$numberLong": "1700"}},
      "binary": {"$binary": {"base64": "AQID", "subType": "04"}}, "null": null, "all": 1, "of": 2})");
  EXPECT_TRUE(out.view() == wanted.view()) << out.view().json();
  EXPECT_TRUE(valid(out.view().bytes()));
}

TEST(Builder, WritesEmptyDocumentsAndEmptyKeys) {
  EXPECT_TRUE(Builder().view() == View());
  Builder out;
  out.append("", "").append("", View());
  EXPECT_TRUE(out.view() == from_json(R"({"": "", "": {}})").view());
}

TEST(Builder, OpensAndClosesNestedScopesInPlace) {
  Builder out;
  out.append("before", 1);
  {
    auto outer = out.document("outer");
    outer->append("a", 1);
    {
      auto list = outer->array("list");
      list.append("first");
      list.append(from_json(R"({"second": 2})"));
      {
        list.document()->append("third", 3);
      }
      EXPECT_EQ(list.count(), 3U);
    }
    {
      auto empty = outer->document("empty");
    }
    outer->append("z", 1);
  }
  {
    auto empty = out.array("empty");
  }
  out.append("after", 1);
  EXPECT_TRUE(out.view() == from_json(R"({
      "before": 1, "outer": {"a": 1, "list": ["first", {"second": 2}, {"third": 3}], "empty": {}, "z": 1},
      "empty": [], "after": 1})")
                                .view())
      << out.view().json();
}

TEST(Builder, NumbersTheElementsOfLongArrays) {
  Builder out;
  {
    auto list = out.array("list");
    for (std::int32_t i = 0; i < 1234; ++i) list.append(i);
  }
  const View list = out.view()["list"].document();
  std::int32_t next = 0;
  for (const auto& [key, value] : list) {
    EXPECT_EQ(key, std::to_string(next));
    EXPECT_EQ(value.int32(), next);
    ++next;
  }
  EXPECT_EQ(next, 1234);
}

TEST(Builder, GoesOnAfterItWasViewed) {
  Builder out;
  EXPECT_TRUE(out.view().empty());
  out.append("a", 1);
  EXPECT_TRUE(out.view() == from_json(R"({"a": 1})").view());
  EXPECT_TRUE(out.view() == from_json(R"({"a": 1})").view());
  {
    out.document("b")->append("c", 2);
  }
  EXPECT_TRUE(out.view() == from_json(R"({"a": 1, "b": {"c": 2}})").view());
  {
    out.array("d").append(3);
  }
  EXPECT_TRUE(out.view() == from_json(R"({"a": 1, "b": {"c": 2}, "d": [3]})").view());
  out.append_all(from_json(R"({"e": 4})").view());
  EXPECT_TRUE(out.view() == from_json(R"({"a": 1, "b": {"c": 2}, "d": [3], "e": 4})").view());
}

TEST(Builder, IsEmptyAgainAfterClear) {
  Builder out;
  out.append("a", 1);
  out.clear();
  EXPECT_TRUE(out.view() == View());
  out.clear();
  out.append("b", 2);
  EXPECT_TRUE(out.view() == from_json(R"({"b": 2})").view());
}

TEST(Builder, KnowsItsSizeBeforeAndAfterItIsFinished) {
  Builder out;
  EXPECT_EQ(out.size_bytes(), 5U);
  out.append("a", 1);
  EXPECT_EQ(out.size_bytes(), 12U);
  EXPECT_EQ(out.view().size(), 12U);
  EXPECT_EQ(out.size_bytes(), 12U);
  out.append("b", 1);
  EXPECT_EQ(out.size_bytes(), out.view().size());
}

TEST(Builder, CopiesValuesOfEveryType) {
  RandomValues random(test_seed());
  for (int i = 0; i < 2000; ++i) {
    const Document document = random.document();
    Builder by_element;
    for (const auto& [key, value] : document.view()) by_element.append(key, value);
    EXPECT_TRUE(by_element.view() == document.view());
    Builder whole;
    whole.append_all(document.view());
    EXPECT_TRUE(whole.take() == document);
  }
}

TEST(BuilderDeathTest, RefusesAValueThatDoesNotExist) {
  Builder out;
  EXPECT_DEATH(out.append("a", Value()), "broken invariant");
}

TEST(Document, OwnsACopyOfWhatItWasMadeFrom) {
  Builder out;
  out.append("a", 1);
  const Document copy(out.view());
  out.clear();
  out.append("b", 2);
  EXPECT_TRUE(out.view() == from_json(R"({"b": 2})").view());
  EXPECT_EQ(copy["a"].int32(), 1);
  EXPECT_EQ(copy.size_bytes(), 12U);
  EXPECT_FALSE(copy.empty());
  EXPECT_TRUE(Document().empty());
}

TEST(Document, IsEqualOnlyByteForByte) {
  EXPECT_TRUE(from_json(R"({"a": 1})") == from_json(R"({"a": 1})"));
  EXPECT_FALSE(from_json(R"({"a": 1})") == from_json(R"({"a": 1.0})"));
  EXPECT_FALSE(from_json(R"({"a": 1})") == from_json(R"({"a": 1, "b": 1})"));
}

TEST(OwnedValue, OutlivesItsOrigin) {
  OwnedValue owned;
  EXPECT_FALSE(owned.exists());
  EXPECT_FALSE(owned.value().exists());
  {
    const Document document = from_json(R"({"a": {"b": "text"}})");
    owned = OwnedValue(document["a"]);
  }
  ASSERT_TRUE(owned);
  EXPECT_EQ(owned.value().document()["b"].string(), "text");
  EXPECT_FALSE(OwnedValue(Value()).exists());
}

}  // namespace
}  // namespace plm::bson
