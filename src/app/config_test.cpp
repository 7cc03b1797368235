#include "app/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_certificate.h"
#include "app/scratch_file.h"

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Variables = std::map<std::string, std::string>;

constexpr auto kSource = "mongodb://source.example/?replicaSet=rs0";
constexpr auto kToken = "0123456789-secret";
constexpr auto kTarget = "mongodb://target.example/?replicaSet=rs1";

Result<DaemonInvocation> configure(std::vector<std::string> arguments, const Variables& variables = {}) {
  return configure_daemon(
      arguments,
      [&variables](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      "1");
}

// With both connection strings given.
Result<DaemonInvocation> configure_rest(std::vector<std::string> arguments, const Variables& variables = {}) {
  arguments.insert(arguments.begin(), {"--source", kSource, "--target", kTarget});
  return configure(std::move(arguments), variables);
}

std::string refusal_of(const Result<DaemonInvocation>& invocation) {
  if (invocation) return "accepted";
  EXPECT_EQ(invocation.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(invocation.error().message, Not(HasSubstr("\n")));
  EXPECT_THAT(invocation.error().message, Not(HasSubstr("secret")));
  return invocation.error().message;
}

TEST(DaemonConfig, HasDefaults) {
  const auto invocation = configure_rest({});
  ASSERT_TRUE(invocation) << invocation.error().message;
  const DaemonConfig& config = invocation->config;
  EXPECT_EQ(config.source_uri, kSource);
  EXPECT_EQ(config.target_uri, kTarget);
  EXPECT_EQ(config.listen, "127.0.0.1");
  EXPECT_EQ(config.port, 2242);
  EXPECT_EQ(config.log_level, log::Level::info);
  EXPECT_EQ(config.log_format, log::Format::text);
  EXPECT_EQ(config.memory_limit_bytes, 512LL * 1024 * 1024);
  EXPECT_FALSE(config.apply_mode);
  EXPECT_FALSE(config.reset_state);
  EXPECT_FALSE(config.start);
  EXPECT_EQ(config.job, JobOptions{});
}

TEST(DaemonConfig, TakesEveryOptionFromFlags) {
  const auto invocation = configure_rest({"--listen",
                                          "::1",
                                          "--port",
                                          "1",
                                          "--log-level",
                                          "trace",
                                          "--log-json",
                                          "--memory-limit",
                                          "1GiB",
                                          "--reset-state",
                                          "--start",
                                          "--replace-target",
                                          "--pause-on-initial-sync",
                                          "--include-namespaces",
                                          "a.b, c.*",
                                          "--include-namespaces",
                                          "d.*",
                                          "--exclude-namespaces",
                                          "c.x",
                                          "--clone-num-parallel-collections",
                                          "1",
                                          "--clone-num-read-workers",
                                          "2",
                                          "--clone-num-insert-workers",
                                          "3",
                                          "--clone-segment-size",
                                          "500MB",
                                          "--clone-read-batch-size",
                                          "4MiB",
                                          "--repl-num-workers",
                                          "5",
                                          "--repl-bulk-ops-size",
                                          "6"});
  ASSERT_TRUE(invocation) << invocation.error().message;
  const DaemonConfig& config = invocation->config;
  EXPECT_EQ(config.listen, "::1");
  EXPECT_EQ(config.port, 1);
  EXPECT_EQ(config.log_level, log::Level::trace);
  EXPECT_EQ(config.log_format, log::Format::json);
  EXPECT_EQ(config.memory_limit_bytes, 1LL << 30);
  EXPECT_TRUE(config.reset_state);
  EXPECT_TRUE(config.start);
  EXPECT_TRUE(config.job.replace_target);
  EXPECT_TRUE(config.job.pause_on_initial_sync);
  EXPECT_THAT(config.job.include_namespaces, ElementsAre("a.b", "c.*", "d.*"));
  EXPECT_THAT(config.job.exclude_namespaces, ElementsAre("c.x"));
  EXPECT_EQ(config.job.tuning, (Tuning{1, 2, 3, 500'000'000, 4 << 20, 5, 6}));
}

TEST(DaemonConfig, TakesEveryOptionFromTheEnvironmentAndFromAFile) {
  // What is given for each option, and what a flag of that value leads to.
  const ScratchFile token(std::string(kToken) + "\n");
  const TlsIdentity identity = make_test_identity();
  const ScratchFile certificate(identity.certificate_pem);
  const ScratchFile key(identity.key_pem);
  const std::map<std::string, std::string> values = {{"source", kSource},
                                                     {"api-token-file", token.path()},
                                                     {"api-tls-cert", certificate.path()},
                                                     {"api-tls-key", key.path()},
                                                     {"target", kTarget},
                                                     {"listen", "0.0.0.0"},
                                                     {"port", "8080"},
                                                     {"log-level", "warn"},
                                                     {"log-json", "true"},
                                                     {"memory-limit", "256MiB"},
                                                     {"apply-mode", "portable"},
                                                     {"reset-state", "true"},
                                                     {"start", "true"},
                                                     {"include-namespaces", "a.*,b.*"},
                                                     {"exclude-namespaces", "a.c"},
                                                     {"replace-target", "true"},
                                                     {"pause-on-initial-sync", "true"},
                                                     {"clone-num-parallel-collections", "1"},
                                                     {"clone-num-read-workers", "2"},
                                                     {"clone-num-insert-workers", "3"},
                                                     {"clone-segment-size", "64MiB"},
                                                     {"clone-read-batch-size", "1MB"},
                                                     {"repl-num-workers", "4"},
                                                     {"repl-bulk-ops-size", "5"}};
  Variables variables;
  std::string text;
  for (const Option& option : daemon_options()) {
    if (option.name.ends_with("-uri-file")) continue;  // another form of source and target
    ASSERT_TRUE(values.contains(option.name)) << option.name << " is not in this test";
    variables[option.variable] = values.at(option.name);
    text += option.name + " = \"" + values.at(option.name) + "\"\n";
  }
  const ScratchFile file(text);
  for (const auto& invocation :
       {configure({}, variables), configure({"--config", file.path()}), configure({}, {{"PLM_CONFIG", file.path()}})}) {
    ASSERT_TRUE(invocation) << invocation.error().message;
    const DaemonConfig& config = invocation->config;
    EXPECT_EQ(config.source_uri, kSource);
    EXPECT_EQ(config.target_uri, kTarget);
    EXPECT_EQ(config.listen, "0.0.0.0");
    EXPECT_EQ(config.api_token, kToken);
    ASSERT_TRUE(config.api_tls);
    EXPECT_EQ(config.api_tls->certificate_pem, identity.certificate_pem);
    EXPECT_EQ(config.api_tls->key_pem, identity.key_pem);
    EXPECT_EQ(config.port, 8080);
    EXPECT_EQ(config.log_level, log::Level::warn);
    EXPECT_EQ(config.log_format, log::Format::json);
    EXPECT_EQ(config.memory_limit_bytes, 256LL << 20);
    EXPECT_EQ(config.apply_mode, ApplyMode::portable);
    EXPECT_TRUE(config.reset_state);
    EXPECT_TRUE(config.start);
    EXPECT_THAT(config.job.include_namespaces, ElementsAre("a.*", "b.*"));
    EXPECT_THAT(config.job.exclude_namespaces, ElementsAre("a.c"));
    EXPECT_TRUE(config.job.replace_target);
    EXPECT_TRUE(config.job.pause_on_initial_sync);
    EXPECT_EQ(config.job.tuning, (Tuning{1, 2, 3, 64 << 20, 1'000'000, 4, 5}));
  }
}

TEST(DaemonConfig, LetsAFlagBeatAVariableAndAVariableTheFile) {
  const ScratchFile file("port = 3\nlisten = \"127.0.0.3\"\nlog-level = \"error\"\nstart = true\n");
  const auto invocation =
      configure_rest({"--port", "1", "--config", file.path(), "--start=false"},
                     {{"PLM_PORT", "2"}, {"PLM_LISTEN", "127.0.0.2"}, {"PLM_CONFIG", "/nonexistent"}});
  ASSERT_TRUE(invocation) << invocation.error().message;
  EXPECT_EQ(invocation->config.port, 1);
  EXPECT_EQ(invocation->config.listen, "127.0.0.2");
  EXPECT_EQ(invocation->config.log_level, log::Level::error);
  EXPECT_FALSE(invocation->config.start);
}

TEST(DaemonConfig, RefusesBadValuesNamingWhereTheyAre) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{"--port", "0"}, "--port: \"0\" is not a port (1 to 65535)"},
      {{"--port", "65536"}, "--port: \"65536\" is not a port"},
      {{"--port", "-1"}, "--port: \"-1\" is not a port"},
      {{"--port", "80x"}, "--port: \"80x\" is not a port"},
      {{"--port", ""}, "--port"},
      {{"--port", "1", "--port", "2"}, "--port: given more than once"},
      {{"--listen", "here"}, "--listen: \"here\" is not an IP address"},
      {{"--log-level", "loud"}, "--log-level: \"loud\" is not a log level; there are trace"},
      {{"--apply-mode", "fast"}, "--apply-mode: \"fast\" is not a mode; there are auto"},
      {{"--memory-limit", "much"}, "--memory-limit: \"much\" is not a size"},
      {{"--memory-limit", "64MiB"}, "--memory-limit: \"64MiB\" is too little"},
      {{"--include-namespaces", "nodot"}, "--include-namespaces: \"nodot\" needs the form"},
      {{"--include-namespaces", "a.b,"}, "--include-namespaces: \"\" needs the form"},
      {{"--exclude-namespaces", "admin.*"}, "names a database that never takes part"},
      {{"--clone-segment-size", "1 parsec"}, "--clone-segment-size: \"1 parsec\" is not a size"},
      {{"--clone-segment-size", "1TiB"}, "--clone-segment-size: must be a size from 0"},
      {{"--repl-num-workers", "x"}, "--repl-num-workers: \"x\" is not a whole number"},
      {{"--repl-num-workers", "1000"}, "--repl-num-workers: must be a whole number from 0"},
      {{"--config", "/nonexistent/plm.toml"}, "cannot read /nonexistent/plm.toml: No such file"},
  };
  for (const auto& [arguments, message] : cases) {
    EXPECT_THAT(refusal_of(configure_rest(arguments)), HasSubstr(message)) << message;
  }
  EXPECT_THAT(refusal_of(configure_rest({}, {{"PLM_LOG_JSON", "yes"}})),
              HasSubstr("PLM_LOG_JSON: \"yes\" is neither true nor false"));
  const ScratchFile file("port = \"many\"\n");
  EXPECT_THAT(refusal_of(configure_rest({"--config", file.path()})),
              HasSubstr("port in " + file.path() + ": \"many\" is not a port"));
}

TEST(DaemonConfig, NeedsATokenWhereOthersCanAsk) {
  const ScratchFile token(kToken);
  for (const auto address : {"0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(refusal_of(configure_rest({"--listen", address})),
              fmt::format("--listen: others can reach {}: a token is needed (--api-token-file)", address));
    EXPECT_TRUE(configure_rest({"--listen", address, "--api-token-file", token.path()})) << address;
  }
  EXPECT_THAT(refusal_of(configure_rest({}, {{"PLM_LISTEN", "0.0.0.0"}})), HasSubstr("PLM_LISTEN: others can reach"));
  for (const auto address : {"127.0.0.1", "127.1.2.3", "::1", "localhost"}) {
    EXPECT_TRUE(configure_rest({"--listen", address})) << address;
  }
}

TEST(DaemonConfig, RefusesATokenThatIsNone) {
  const auto with = [](const std::string& path) { return refusal_of(configure_rest({"--api-token-file", path})); };
  EXPECT_THAT(with("/nonexistent/token"), HasSubstr("--api-token-file: cannot read /nonexistent/token: No such file"));
  const ScratchFile empty(" \n");
  EXPECT_THAT(with(empty.path()), HasSubstr("is empty"));
  const ScratchFile little("secret\n");
  EXPECT_THAT(with(little.path()), HasSubstr("a token has 16 to 1024 characters, this one 6"));
  const ScratchFile blanks("secret secret secret\n");
  EXPECT_THAT(with(blanks.path()), HasSubstr("a token consists of letters"));
}

TEST(DaemonConfig, NeedsCertificateAndKeyTogether) {
  const TlsIdentity identity = make_test_identity();
  const ScratchFile certificate(identity.certificate_pem);
  const ScratchFile key(identity.key_pem);
  EXPECT_THAT(refusal_of(configure_rest({"--api-tls-cert", certificate.path()})),
              HasSubstr("--api-tls-cert: a certificate and its key are needed together"));
  EXPECT_THAT(refusal_of(configure_rest({"--api-tls-key", key.path()})),
              HasSubstr("--api-tls-key: a certificate and its key are needed together"));
  EXPECT_THAT(refusal_of(configure_rest({"--api-tls-cert", key.path(), "--api-tls-key", certificate.path()})),
              HasSubstr("--api-tls-cert: the certificate and the private key cannot be used"));
  EXPECT_THAT(refusal_of(configure_rest({"--api-tls-cert", certificate.path(), "--api-tls-key", "/nonexistent/key"})),
              HasSubstr("--api-tls-key: cannot read /nonexistent/key"));
}

TEST(DaemonConfig, NeedsASourceAndATarget) {
  EXPECT_THAT(refusal_of(configure({"--target", kTarget})), HasSubstr("--source: needed"));
  EXPECT_THAT(refusal_of(configure({"--source", kSource})), HasSubstr("--target: needed"));
}

TEST(DaemonConfig, RefusesWhatIsNoConnectionString) {
  EXPECT_THAT(refusal_of(configure({"--source", "postgres://u:secret@h", "--target", kTarget})),
              HasSubstr("--source: "));
  EXPECT_THAT(refusal_of(configure({"--source", kSource, "--target", "mongodb://u:secret:secret@h"})),
              HasSubstr("--target: "));
  EXPECT_THAT(refusal_of(configure({"--target", kTarget}, {{"PLM_SOURCE_URI", "mongodb://"}})),
              HasSubstr("PLM_SOURCE_URI: "));
}

TEST(DaemonConfig, ReadsAConnectionStringFromAFile) {
  const ScratchFile file(std::string("  ") + kSource + "\r\n\n");
  const auto invocation = configure({"--source-uri-file", file.path(), "--target", kTarget});
  ASSERT_TRUE(invocation) << invocation.error().message;
  EXPECT_EQ(invocation->config.source_uri, kSource);
}

TEST(DaemonConfig, RefusesAConnectionStringAndAFileOfOneAtOnce) {
  const ScratchFile file(kSource);
  EXPECT_EQ(refusal_of(configure({"--source", kSource, "--source-uri-file", file.path(), "--target", kTarget})),
            "--source: only one of this and --source-uri-file may be given");
  // From a weaker place it is only beaten.
  EXPECT_TRUE(configure({"--source", kSource, "--target", kTarget}, {{"PLM_SOURCE_URI_FILE", "/nonexistent"}}));
}

TEST(DaemonConfig, RefusesFilesThatHoldNoConnectionString) {
  const auto with = [](const std::string& path) {
    return refusal_of(configure({"--source-uri-file", path, "--target", kTarget}));
  };
  EXPECT_THAT(with("/nonexistent/uri"), HasSubstr("--source-uri-file: cannot read /nonexistent/uri: No such file"));
  EXPECT_THAT(with("/tmp"), HasSubstr("--source-uri-file: "));
  const ScratchFile empty(" \n");
  EXPECT_THAT(with(empty.path()), HasSubstr("is empty"));
  const ScratchFile two("mongodb://u:secret@a\nmongodb://u:secret@b\n");
  EXPECT_THAT(with(two.path()), HasSubstr("holds more than one line"));
  const ScratchFile wrong("u:secret@h");
  EXPECT_THAT(with(wrong.path()), HasSubstr("--source-uri-file: "));
}

TEST(DaemonConfig, IsNotAskedForWhenHelpIs) {
  EXPECT_TRUE(configure({"--help"})->print);
  EXPECT_EQ(configure({"--version"})->print, "plm 1\n");
}

TEST(SplitList, KeepsEmptyEntriesForTheFilterToRefuse) {
  EXPECT_THAT(split_list("a.b"), ElementsAre("a.b"));
  EXPECT_THAT(split_list(" a.b ,c.* "), ElementsAre("a.b", "c.*"));
  EXPECT_THAT(split_list("a.b,,c.*"), ElementsAre("a.b", "", "c.*"));
  EXPECT_THAT(split_list(""), ElementsAre(""));
}

}  // namespace
}  // namespace plm
