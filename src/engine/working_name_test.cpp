#include "engine/working_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/test_seams.h"

namespace plm {
namespace {

CollectionSpec spec(const std::string& name, std::string_view options = "{}") {
  const Namespace ns{"db", name};
  return {ns, kind_of(ns), uuid_of(1), json(options), {}};
}

TEST(WorkingName, IsOneOfTheCollectionAndItsNumber) {
  const Namespace first = first_working_name(spec("c"));
  EXPECT_TRUE(is_working_name(first));
  EXPECT_FALSE(is_working_name(kNs));
  EXPECT_FALSE(is_working_name({"db", "plm_copy_of_mine"}));
  EXPECT_FALSE(is_working_name({"db", first.collection + "x"}));
  EXPECT_EQ(first.database, "db");
  EXPECT_THAT(first.collection, testing::StartsWith("plm_copy_" + uuid_of(1).text()));
  const Namespace second = next_working_name(first);
  EXPECT_TRUE(is_working_name(second));
  EXPECT_THAT(first.collection, testing::EndsWith("_0"));
  EXPECT_THAT(second.collection, testing::EndsWith("_1"));
  Namespace tenth = second;
  for (int number = 2; number <= 10; ++number) tenth = next_working_name(tenth);
  EXPECT_THAT(tenth.collection, testing::EndsWith("_10"));
}

TEST(WorkingName, IsNotForAllKinds) {
  EXPECT_TRUE(may_have_working_name(spec("c")));
  EXPECT_TRUE(may_have_working_name(spec("c", R"({"validator": {"a": 1}})")));
  EXPECT_FALSE(may_have_working_name(spec("c", R"({"capped": true, "size": 4096})")));
  EXPECT_FALSE(may_have_working_name(spec("c", R"({"collation": {"locale": "de"}})")));
  EXPECT_FALSE(may_have_working_name(spec("system.js")));
  EXPECT_FALSE(may_have_working_name(spec("system.buckets.c")));
}

}  // namespace
}  // namespace plm
