#include "api/request_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The refusal of a start with this body.
std::string refusal_of(std::string_view body) {
  const auto options = parse_start_body(body, {});
  if (options) return "accepted";
  EXPECT_EQ(options.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(options.error().message.find('\n'), std::string::npos);
  return options.error().message;
}

TEST(StartBody, MaySayEverything) {
  const auto options = parse_start_body(R"({
    "includeNamespaces": ["shop.*", "hr.people.old"], "excludeNamespaces": ["shop.carts"],
    "pauseOnInitialSync": true, "replaceTarget": true,
    "cloneNumParallelCollections": 2, "cloneNumReadWorkers": 3, "cloneNumInsertWorkers": 4,
    "cloneSegmentSize": "500MB", "cloneReadBatchSize": 4194304, "replNumWorkers": 5, "replBulkOpsSize": 600})",
                                        {});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_THAT(options->include_namespaces, ElementsAre("shop.*", "hr.people.old"));
  EXPECT_THAT(options->exclude_namespaces, ElementsAre("shop.carts"));
  EXPECT_TRUE(options->pause_on_initial_sync);
  EXPECT_TRUE(options->replace_target);
  EXPECT_EQ(options->tuning, (Tuning{2, 3, 4, 500'000'000, 4194304, 5, 600}));
}

TEST(StartBody, MaySayNothing) {
  for (const auto body : {"", "  \r\n", "{}"}) {
    const auto options = parse_start_body(body, {});
    ASSERT_TRUE(options) << body;
    EXPECT_EQ(*options, JobOptions{});
  }
}

TEST(StartBody, ReplacesDefaultsFieldByField) {
  JobOptions defaults;
  defaults.include_namespaces = {"a.*"};
  defaults.exclude_namespaces = {"a.b"};
  defaults.replace_target = true;
  defaults.tuning.apply_workers = 7;
  const auto options = parse_start_body(R"({"includeNamespaces": [], "replaceTarget": false})", defaults);
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->include_namespaces.empty());
  EXPECT_THAT(options->exclude_namespaces, ElementsAre("a.b"));
  EXPECT_FALSE(options->replace_target);
  EXPECT_EQ(options->tuning.apply_workers, 7);
}

TEST(StartBody, IsRefusedWithTheNameOfTheWrongField) {
  struct Case {
    const char* body;
    const char* message;
  };
  const std::vector<Case> cases = {
      {R"({"includeNamespace": []})", "includeNamespace: unknown field"},
      {R"({"includeNamespaces": "a.b"})", "includeNamespaces: must be an array of strings, not a string"},
      {R"({"includeNamespaces": ["a.b", 1]})", "includeNamespaces: must hold strings only, not a number"},
      {R"({"includeNamespaces": ["nodot"]})", "includeNamespaces: \"nodot\" needs the form"},
      {R"({"excludeNamespaces": [".x"]})", "excludeNamespaces: \".x\" has no database name"},
      {R"({"includeNamespaces": ["admin.*"]})",
       "includeNamespaces: \"admin.*\" names a database that never takes part"},
      {R"({"excludeNamespaces": null})", "excludeNamespaces: must be an array of strings, not null"},
      {R"({"replaceTarget": "yes"})", "replaceTarget: must be true or false, not a string"},
      {R"({"pauseOnInitialSync": 1})", "pauseOnInitialSync: must be true or false, not a number"},
      {R"({"cloneNumReadWorkers": "4"})", "cloneNumReadWorkers: must be a whole number, not a string"},
      {R"({"cloneNumReadWorkers": 1.5})", "cloneNumReadWorkers: must be a whole number, not a fractional number"},
      {R"({"cloneNumReadWorkers": -1})", "cloneNumReadWorkers: must be a whole number from 0"},
      {R"({"cloneNumReadWorkers": 257})", "cloneNumReadWorkers: is too large"},
      {R"({"replNumWorkers": 18446744073709551615})", "replNumWorkers: is too large"},
      {R"({"replNumWorkers": 99999999999999999999})", "replNumWorkers: must be a whole number"},
      {R"({"replNumWorkers": [1]})", "replNumWorkers: must be a whole number, not an array"},
      {R"({"cloneSegmentSize": "500 parsecs"})", "cloneSegmentSize: \"500 parsecs\" is not a size"},
      {R"({"cloneSegmentSize": "1TB"})", "cloneSegmentSize: must be a size from 0"},
      {R"({"cloneSegmentSize": -1})", "cloneSegmentSize: must be a size from 0"},
      {R"({"cloneReadBatchSize": {}})", "cloneReadBatchSize: must be a size"},
      {R"({"replaceTarget": true, "replaceTarget": false})", "replaceTarget: given twice"},
  };
  for (const auto& [body, message] : cases) EXPECT_THAT(refusal_of(body), HasSubstr(message)) << body;
}

TEST(StartBody, IsRefusedWhenItIsNoJsonObject) {
  EXPECT_THAT(refusal_of("{"), HasSubstr("not valid JSON, at byte 2"));
  EXPECT_THAT(refusal_of("{} {}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of("{'a': 1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of("includeNamespaces=a.b"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of("{\"a\xff\": 1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of(std::string_view("\0", 1)), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("must be a JSON object, not an array"));
  EXPECT_THAT(refusal_of("true"), HasSubstr("must be a JSON object, not a boolean"));
}

TEST(StartBody, IsRefusedWhenItIsNestedDeeply) {
  const std::string open(500'000, '[');
  EXPECT_EQ(refusal_of(open), "the body is nested too deeply");
  EXPECT_EQ(refusal_of(R"({"a":[[[[[]]]]]})"), "the body is nested too deeply");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  EXPECT_EQ(refusal_of(objects), "the body is nested too deeply");
}

TEST(FinalizeBody, KnowsOneField) {
  EXPECT_FALSE(parse_finalize_body("")->waive_parked);
  EXPECT_TRUE(parse_finalize_body(R"({"waiveParked": true})")->waive_parked);
  EXPECT_EQ(parse_finalize_body(R"({"waiveParked": 1})").error().message,
            "waiveParked: must be true or false, not a number");
  EXPECT_EQ(parse_finalize_body(R"({"waive": true})").error().message, "waive: unknown field");
}

TEST(ResumeBody, KnowsTwoFields) {
  EXPECT_FALSE(parse_resume_body("")->from_failure);
  EXPECT_FALSE(parse_resume_body(R"({"fromFailure": false})")->from_failure);
  EXPECT_TRUE(parse_resume_body(R"({"fromFailure": true})")->from_failure);
  EXPECT_EQ(parse_resume_body(R"({"fromFailure": "true"})").error().message,
            "fromFailure: must be true or false, not a string");
  EXPECT_EQ(parse_resume_body(R"({"force": true})").error().message, "force: unknown field");
  EXPECT_EQ(parse_resume_body("")->recopy, Recopy::none);
  EXPECT_EQ(parse_resume_body(R"({"recopy": "changed"})")->recopy, Recopy::changed);
  EXPECT_EQ(parse_resume_body(R"({"recopy": "all", "fromFailure": true})")->recopy, Recopy::all);
}

TEST(ResumeBody, RefusesOtherWaysToCopyAgain) {
  for (const std::string_view value : {R"("none")", R"("")", R"("everything")"}) {
    EXPECT_EQ(parse_resume_body("{\"recopy\": " + std::string(value) + "}").error().message,
              "recopy: must be \"changed\" or \"all\", not another string");
  }
  EXPECT_EQ(parse_resume_body(R"({"recopy": true})").error().message,
            "recopy: must be \"changed\" or \"all\", not a boolean");
  EXPECT_EQ(parse_resume_body(R"({"recopy": null})").error().message,
            "recopy: must be \"changed\" or \"all\", not null");
}

TEST(EmptyBody, TakesNoFields) {
  EXPECT_TRUE(parse_empty_body(""));
  EXPECT_TRUE(parse_empty_body("{}"));
  EXPECT_EQ(parse_empty_body(R"({"force": true})").error().message, "force: unknown field");
  EXPECT_FALSE(parse_empty_body("[]"));
}

}  // namespace
}  // namespace plm
