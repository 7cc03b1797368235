#include "app/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Settings one(const std::string& name, const std::string& value) { return {{name, {{value}, "from " + value}}}; }

TEST(Options, HaveAFlagAVariableAndAKeyOfTheSameName) {
  std::set<std::string> names;
  std::set<std::string> variables;
  for (const Option& option : daemon_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_TRUE(variables.insert(option.variable).second) << option.variable;
    EXPECT_THAT(option.variable, testing::StartsWith("PLM_"));
    EXPECT_FALSE(option.help.empty());
    EXPECT_EQ(option.value_name.empty(), option.kind == Option::Kind::flag) << option.name;
  }
  EXPECT_TRUE(variables.contains("PLM_SOURCE_URI"));
  EXPECT_TRUE(variables.contains("PLM_TARGET_URI"));
  EXPECT_TRUE(variables.contains("PLM_LOG_LEVEL"));
  EXPECT_TRUE(variables.contains("PLM_CLONE_NUM_PARALLEL_COLLECTIONS"));
}

TEST(DaemonArguments, AreReadWithTheirOrigin) {
  const auto line = parse_daemon_arguments({"--source", "a", "--port=1", "--log-json", "--start=false", "--config", "f",
                                            "--include-namespaces", "a.b,c.*", "--include-namespaces", "d.*"},
                                           "1");
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->flags.size(), 5);
  EXPECT_EQ(line->flags.at("source").origin, "--source");
  EXPECT_THAT(line->flags.at("port").values, ElementsAre("1"));
  EXPECT_THAT(line->flags.at("log-json").values, ElementsAre("true"));
  EXPECT_THAT(line->flags.at("start").values, ElementsAre("false"));
  EXPECT_THAT(line->flags.at("include-namespaces").values, ElementsAre("a.b,c.*", "d.*"));
  EXPECT_EQ(line->config_file, "f");
  EXPECT_FALSE(line->print);
}

TEST(DaemonArguments, ThatAreWrongAreNamedInOneLine) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{"--nope"}, "unknown option --nope"},
      {{"--nope=mongodb://u:secret@h"}, "unknown option --nope"},
      {{"--sorce", "mongodb://u:secret@h"}, "unknown option --sorce"},
      {{"mongodb://u:secret@h"}, "unexpected argument (not shown: it may hold a password)"},
      {{"--port", "1", "status"}, "unexpected argument status; a command comes first"},
      {{"--port"}, "--port"},
      {{"--config", "a", "--config", "b"}, "--config: given twice"},
      {{"--start=perhaps"}, "--start"},
  };
  for (const auto& [arguments, message] : cases) {
    const auto line = parse_daemon_arguments(arguments, "1");
    ASSERT_FALSE(line) << message;
    EXPECT_EQ(line.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(line.error().message, HasSubstr(message));
    EXPECT_THAT(line.error().message, Not(HasSubstr("secret")));
    EXPECT_THAT(line.error().message, Not(HasSubstr("\n")));
  }
}

TEST(DaemonArguments, MayAskForHelpOrVersion) {
  EXPECT_EQ(parse_daemon_arguments({"--version"}, "1.2.3")->print, "plm 1.2.3\n");
  const auto help = parse_daemon_arguments({"--help"}, "1")->print;
  ASSERT_TRUE(help);
  for (const Option& option : daemon_options()) {
    EXPECT_THAT(*help, HasSubstr("--" + option.name));
    EXPECT_THAT(*help, HasSubstr("[" + option.variable + "]"));
  }
  for (const auto word : {"--config", "status", "finalize", "reset"}) EXPECT_THAT(*help, HasSubstr(word));
  EXPECT_THAT(*help, Not(HasSubstr("...")));
}

TEST(EnvironmentSettings, AreThoseThatAreSet) {
  const std::map<std::string, std::string> variables = {{"PLM_PORT", "1"}, {"PLM_LISTEN", ""}, {"PORT", "2"}};
  const auto settings = settings_of([&variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
  EXPECT_EQ(settings.size(), 1);
  EXPECT_THAT(settings.at("port").values, ElementsAre("1"));
  EXPECT_EQ(settings.at("port").origin, "PLM_PORT");
}

TEST(MergedSettings, TakeTheFlagThenTheVariableThenTheFile) {
  const Settings none;
  for (const bool flag : {false, true}) {
    for (const bool variable : {false, true}) {
      for (const bool file : {false, true}) {
        const auto out = merged(flag ? one("port", "flag") : none, variable ? one("port", "variable") : none,
                                file ? one("port", "file") : none);
        const std::string expected = flag ? "flag" : variable ? "variable" : file ? "file" : "";
        EXPECT_EQ(out.contains("port") ? out.at("port").values.front() : "", expected);
      }
    }
  }
}

TEST(MergedSettings, LetAConnectionStringBeatAFileOfAWeakerPlace) {
  const auto by_flag =
      merged(one("source", "flag"), one("source-uri-file", "variable"), one("source-uri-file", "file"));
  EXPECT_EQ(by_flag.size(), 1);
  EXPECT_TRUE(by_flag.contains("source"));
  const auto by_variable = merged({}, one("target-uri-file", "variable"), one("target", "file"));
  EXPECT_EQ(by_variable.size(), 1);
  EXPECT_TRUE(by_variable.contains("target-uri-file"));
}

TEST(MergedSettings, KeepBothFormsOfOnePlace) {
  Settings both = one("source", "a");
  both.merge(one("source-uri-file", "b"));
  EXPECT_EQ(merged(both, {}, {}).size(), 2);
  EXPECT_EQ(merged({}, both, {}).size(), 2);
  EXPECT_EQ(merged({}, {}, both).size(), 2);
}

}  // namespace
}  // namespace plm
