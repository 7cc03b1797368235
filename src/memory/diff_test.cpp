#include "memory/diff.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "memory/json.h"
#include "memory/random_documents.h"

namespace plm {
namespace {

// The cases of testdata/record_diffs.py; PLM_DIFF_CASES names another file of them.
std::string recorded_cases() {
  const char* path = std::getenv("PLM_DIFF_CASES");
  return path != nullptr ? path : PLM_MEMORY_TESTDATA "/diffs.jsonl";
}

std::string applied(std::string_view document, std::string_view diff) {
  const auto result = apply_diff(json(document).view(), json(diff).view());
  return result ? result->view().json() : std::to_string(result.error().server_code);
}

std::string same(std::string_view document) { return json(document).view().json(); }

TEST(Diff, MakesWhatTheServerMade) {
  std::ifstream cases(recorded_cases());
  int seen = 0;
  for (std::string line; std::getline(cases, line); ++seen) {
    const bson::Document recorded = json(line);
    const auto after = apply_diff(recorded["before"].document(), recorded["diff"].document());
    if (const bson::Value code = recorded["error"]) {
      ASSERT_FALSE(after) << line;
      EXPECT_EQ(after.error().server_code, code.as_int64()) << line;
    } else {
      ASSERT_TRUE(after) << line;
      EXPECT_EQ(after->view(), recorded["after"].document()) << line << "\ngave " << after->view().json();
    }
  }
  EXPECT_GT(seen, 100);
}

TEST(Diff, ChangesFieldsInTheirPlaces) {
  EXPECT_EQ(applied(R"({"a": 1, "b": 2, "c": 3})", R"({"d": {"a": false}, "u": {"b": 9}, "i": {"n": 1}})"),
            same(R"({"b": 9, "c": 3, "n": 1})"));
}

TEST(Diff, AppendsWhatItUpdatesInVain) {
  EXPECT_EQ(applied(R"({"a": 1})", R"({"u": {"z": 9}, "i": {"y": 8}})"), same(R"({"a": 1, "z": 9, "y": 8})"));
}

TEST(Diff, MovesAnInsertedFieldToTheEnd) {
  EXPECT_EQ(applied(R"({"a": 1, "b": 2})", R"({"i": {"a": 9}})"), same(R"({"b": 2, "a": 9})"));
}

TEST(Diff, LeavesNullWhereItMeetsAnotherKindOfValue) {
  EXPECT_EQ(applied(R"({"a": 1, "b": [1]})", R"({"sa": {"u": {"q": 1}}, "sb": {"u": {"q": 1}}})"),
            same(R"({"a": null, "b": null})"));
  EXPECT_EQ(
      applied(R"({"a": [1, {"q": 1}]})", R"({"sa": {"a": true, "s0": {"u": {"q": 1}}, "s1": {"a": true, "u0": 1}}})"),
      same(R"({"a": [null, null]})"));
}

TEST(Diff, IgnoresPartsOfFieldsThatAreGone) {
  EXPECT_EQ(applied(R"({"a": 1})", R"({"d": {"x": false}, "sz": {"u": {"q": 1}}})"), same(R"({"a": 1})"));
}

TEST(Diff, FillsShortArraysWithNulls) {
  EXPECT_EQ(applied(R"({"a": [1]})", R"({"sa": {"a": true, "u3": 9}})"), same(R"({"a": [1, null, null, 9]})"));
  EXPECT_EQ(applied(R"({"a": [1]})", R"({"sa": {"a": true, "l": 3}})"), same(R"({"a": [1, null, null]})"));
  EXPECT_EQ(applied(R"({"a": [1]})", R"({"sa": {"a": true, "s2": {"u": {"q": 1}}}})"),
            same(R"({"a": [1, null, null]})"));
}

TEST(Diff, IsDescribedByPaths) {
  const bson::Document description = public_update_description(json(R"({"d": {"x": false}, "u": {"y": 1}, "i": {"n": 2},
               "ss": {"d": {"u": false}, "u": {"t": 5}}, "sarr": {"a": true, "l": 2, "s0": {"u": {"q": 7}}, "u1": 3}})")
                                                                   .view());
  EXPECT_EQ(description.view().json(), same(R"({"updatedFields": {"y": 1, "n": 2, "s.t": 5, "arr.0.q": 7, "arr.1": 3},
                                                "removedFields": ["x", "s.u"],
                                                "truncatedArrays": [{"field": "arr", "newSize": 2}]})"));
}

TEST(Diff, OfARandomUpdateCanBeAppliedTwice) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const bson::OwnedValue id = random_id(random, 16);
    const bson::Document before = random_document(random, id.value());
    const bson::Document diff = random_diff(random, before.view());
    const auto once = apply_diff(before.view(), diff.view());
    ASSERT_TRUE(once) << before.view().json() << diff.view().json();
    ASSERT_TRUE(bson::valid(once->view().bytes()));
    const auto twice = apply_diff(once->view(), diff.view());
    ASSERT_TRUE(twice);
    EXPECT_EQ(once->view(), twice->view())
        << before.view().json() << diff.view().json() << once->view().json() << twice->view().json();
  }
}

}  // namespace
}  // namespace plm
