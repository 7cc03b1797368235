#include "model/diff.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "bson/test_values.h"
#include "memory/random_documents.h"

namespace plm {
namespace {

using bson::from_json;

// The cases of testdata/record_diffs.py; PLM_DIFF_CASES names another file of them.
std::string recorded_cases() {
  const char* path = std::getenv("PLM_DIFF_CASES");
  return path != nullptr ? path : PLM_MODEL_TESTDATA "/diffs.jsonl";
}

std::string applied(std::string_view document, std::string_view diff) {
  const auto result = apply_diff(from_json(document).view(), from_json(diff).view());
  return result ? result->view().json() : std::to_string(result.error().server_code);
}

std::string same(std::string_view document) { return from_json(document).view().json(); }

TEST(Diff, MakesWhatTheServerMade) {
  std::ifstream cases(recorded_cases());
  int seen = 0;
  for (std::string line; std::getline(cases, line); ++seen) {
    const bson::Document recorded = from_json(line);
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

// A server's answer is not known: what is taken for one here would lose a field.
TEST(Diff, RefusesADocumentThatHasAChangedFieldTwice) {
  bson::Builder twice;
  twice.append("a", 1).append("b", 1).append("a", 2);
  EXPECT_FALSE(apply_diff(twice.view(), from_json(R"({"u": {"a": 9}})").view()));
  EXPECT_FALSE(apply_diff(twice.view(), from_json(R"({"d": {"a": false}})").view()));
  EXPECT_TRUE(apply_diff(twice.view(), from_json(R"({"u": {"b": 9}})").view()));
}

// ---- Composing -----------------------------------------------------------------

std::string composed(std::string_view first, std::string_view second) {
  const auto result = compose_diffs(from_json(first).view(), from_json(second).view());
  return result ? result->view().json() : "none";
}

TEST(ComposedDiffs, TakeTheLaterValue) {
  EXPECT_EQ(composed(R"({"u": {"a": 1, "b": 1}})", R"({"u": {"b": 2, "c": 2}})"),
            same(R"({"u": {"a": 1, "b": 2, "c": 2}})"));
  EXPECT_EQ(composed(R"({"i": {"n": 1}})", R"({"u": {"n": 2}})"), same(R"({"i": {"n": 2}})"));
  EXPECT_EQ(composed(R"({"sa": {"u": {"x": 1}}})", R"({"u": {"a": 2}})"), same(R"({"u": {"a": 2}})"));
}

TEST(ComposedDiffs, KeepWhatOnlyOneTouches) {
  EXPECT_EQ(composed(R"({"d": {"a": false}, "sx": {"u": {"q": 1}}})",
                     R"({"d": {"b": false}, "i": {"n": 1}, "sy": {"u": {"q": 1}}})"),
            same(R"({"d": {"a": false, "b": false}, "i": {"n": 1}, "sx": {"u": {"q": 1}}, "sy": {"u": {"q": 1}}})"));
}

TEST(ComposedDiffs, GoIntoNestedDocuments) {
  EXPECT_EQ(composed(R"({"sa": {"u": {"x": 1}}})", R"({"sa": {"u": {"x": 2}, "i": {"y": 2}}})"),
            same(R"({"sa": {"u": {"x": 2}, "i": {"y": 2}}})"));
  EXPECT_EQ(composed(R"({"u": {"a": {"x": 1, "y": 1}}})", R"({"sa": {"u": {"x": 2}}})"),
            same(R"({"u": {"a": {"x": 2, "y": 1}}})"));
  EXPECT_EQ(composed(R"({"i": {"a": [1]}})", R"({"sa": {"a": true, "u1": 2}})"), same(R"({"i": {"a": [1, 2]}})"));
}

TEST(ComposedDiffs, AreNoneWhereOneWouldNotDoTheSame) {
  EXPECT_EQ(composed(R"({"d": {"a": false}})", R"({"i": {"a": 1}})"), "none");
  EXPECT_EQ(composed(R"({"u": {"a": 1}})", R"({"d": {"a": false}})"), "none");
  EXPECT_EQ(composed(R"({"sa": {"a": true, "u1": 2}})", R"({"sa": {"a": true, "u2": 2}})"), "none");
  // Of a document without b, b comes behind n.
  EXPECT_EQ(composed(R"({"i": {"n": 1}})", R"({"u": {"b": 1}})"), "none");
  EXPECT_EQ(composed(R"({"u": {"a": 1}})", R"({"x": {"a": false}})"), "none");
}

// Also of documents that the diffs were not made for, as when a stretch of the oplog is applied twice.
TEST(ComposedDiffs, DoWhatBothDoToEveryDocument) {
  Random random(2);
  int composed = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bson::OwnedValue id = random_id(random, 16);
    const bson::Document before = random_document(random, id.value());
    const bson::Document first = random_diff(random, before.view());
    const bson::Document between = apply_diff(before.view(), first.view()).value();
    const bson::Document second = random_diff(random, between.view());
    const auto both = compose_diffs(first.view(), second.view());
    if (!both) continue;
    ++composed;
    ASSERT_TRUE(bson::valid(both->view().bytes()));
    const bson::Document other = random_document(random, id.value());
    for (const bson::Document& document : {before, other}) {
      const auto after_first = apply_diff(document.view(), first.view());
      ASSERT_TRUE(after_first);
      const auto after_second = apply_diff(after_first->view(), second.view());
      const auto after_both = apply_diff(document.view(), both->view());
      ASSERT_TRUE(after_second && after_both) << first.view().json() << second.view().json();
      ASSERT_EQ(after_second->view(), after_both->view()) << document.view().json() << "\n"
                                                          << first.view().json() << "\n"
                                                          << second.view().json() << "\n"
                                                          << both->view().json() << "\n"
                                                          << after_second->view().json() << "\n"
                                                          << after_both->view().json();
    }
  }
  EXPECT_GT(composed, 2000);
}

}  // namespace
}  // namespace plm
