#include "app/toml_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/scratch_file.h"

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string refusal_of(const std::string& text) {
  const ScratchFile file(text);
  const auto settings = read_toml_file(file.path());
  if (settings) return "accepted";
  EXPECT_EQ(settings.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(settings.error().message, HasSubstr(file.path()));
  EXPECT_THAT(settings.error().message, Not(HasSubstr("\n")));
  return settings.error().message;
}

TEST(TomlFile, HoldsStringsNumbersBooleansAndLists) {
  const ScratchFile file(
      "# a comment\n"
      "source = \"mongodb://a\"\n"
      "port = 2_243\n"
      "log-json = true\n"
      "include-namespaces = [\"a.b,c\", \"d.*\"]\n");
  const auto settings = read_toml_file(file.path());
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->size(), 4);
  EXPECT_THAT(settings->at("source").values, ElementsAre("mongodb://a"));
  EXPECT_THAT(settings->at("port").values, ElementsAre("2243"));
  EXPECT_THAT(settings->at("log-json").values, ElementsAre("true"));
  EXPECT_THAT(settings->at("include-namespaces").values, ElementsAre("a.b,c", "d.*"));
  EXPECT_EQ(settings->at("port").origin, "port in " + file.path());
}

TEST(TomlFile, MayBeEmpty) {
  const ScratchFile file("");
  EXPECT_TRUE(read_toml_file(file.path())->empty());
}

TEST(TomlFile, IsRefusedWithTheKeyThatIsWrong) {
  EXPECT_THAT(refusal_of("prot = 1\n"), HasSubstr("unknown key prot"));
  EXPECT_THAT(refusal_of("[server]\nport = 1\n"), HasSubstr("unknown key server"));
  EXPECT_THAT(refusal_of("config = \"x\"\n"), HasSubstr("unknown key config"));
  EXPECT_THAT(refusal_of("port = 1.5\n"), HasSubstr("port must be a string"));
  EXPECT_THAT(refusal_of("port = 2026-11-23\n"), HasSubstr("port must be a string"));
  EXPECT_THAT(refusal_of("port = {a = 1}\n"), HasSubstr("port must be a string"));
  EXPECT_THAT(refusal_of("include-namespaces = [1]\n"), HasSubstr("include-namespaces must be"));
}

TEST(TomlFile, IsRefusedWithTheLineThatIsNoToml) {
  EXPECT_THAT(refusal_of("port = 1\nthis is not toml\n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal_of("port = 1\nport = 2\n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal_of("source = \"mongodb://u:secret@h\n"), Not(HasSubstr("secret")));
}

TEST(TomlFile, ThatCannotBeReadIsNamed) {
  const auto missing = read_toml_file("/nonexistent/plm.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "cannot read /nonexistent/plm.toml: No such file or directory");
  const auto directory = read_toml_file("/tmp");
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().message, HasSubstr("cannot read /tmp"));
}

}  // namespace
}  // namespace plm
