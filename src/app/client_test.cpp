// The client commands against a real HTTP server with a job of the test's.
#include "app/client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "api/fake_job_control.h"
#include "api/http_server.h"
#include "api/routes.h"
#include "api/test_certificate.h"
#include "app/scratch_file.h"

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Variables = std::map<std::string, std::string>;

Result<ClientCommand> parse(const std::vector<std::string>& arguments, const Variables& variables = {}) {
  return parse_client_arguments(
      arguments,
      [&variables](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      "1.2.3");
}

TEST(ClientArguments, FindTheDaemon) {
  EXPECT_EQ(parse({"status"})->url, "http://127.0.0.1:2242");
  EXPECT_EQ(parse({"status", "--port", "1"}, {{"PLM_PORT", "2"}})->url, "http://127.0.0.1:1");
  EXPECT_EQ(parse({"status"}, {{"PLM_PORT", "2"}})->url, "http://127.0.0.1:2");
  EXPECT_EQ(parse({"status", "--host", "db1"})->url, "http://db1:2242");
  EXPECT_EQ(parse({"status", "--host", "::1"})->url, "http://[::1]:2242");
  EXPECT_EQ(parse({"pause", "--url", "https://plm.example/x/"})->url, "https://plm.example/x");
  EXPECT_EQ(parse({"pause"}, {{"PLM_URL", "http://a:1"}, {"PLM_PORT", "2"}})->url, "http://a:1");
  EXPECT_EQ(parse({"pause", "--port", "3"}, {{"PLM_URL", "http://a:1"}})->url, "http://127.0.0.1:3");
}

TEST(ClientArguments, SayWhomToTrust) {
  const ScratchFile token("0123456789abcdef\n");
  const ScratchFile authority("PEM");
  EXPECT_EQ(parse({"status", "--api-token-file", token.path()})->token, "0123456789abcdef");
  EXPECT_EQ(parse({"status"}, {{"PLM_API_TOKEN_FILE", token.path()}})->token, "0123456789abcdef");
  EXPECT_EQ(parse({"status"})->token, "");
  EXPECT_EQ(parse({"status", "--api-ca-file", authority.path()})->ca_file, authority.path());
  EXPECT_EQ(parse({"status", "--api-ca-file", authority.path()})->url, "https://127.0.0.1:2242");
  EXPECT_EQ(parse({"status"}, {{"PLM_API_CA_FILE", authority.path()}})->url, "https://127.0.0.1:2242");
}

TEST(ClientArguments, ThatAreWrongAreNamedInOneLine) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{"status", "--nope"}, "status: unknown option --nope; see \"plm status --help\""},
      {{"pause", "now"}, "pause: unexpected argument now; there are options only"},
      {{"start", "--include-namespace", "a.b"}, "start: unknown option --include-namespace; see"},
      {{"status", "--port", "0"}, "--port: \"0\" is not a port"},
      {{"status", "--url", "ftp://a"}, "is not an http URL"},
      {{"status", "--url", "http://a", "--port", "1"}, "--url: give either"},
      {{"start", "--include-namespaces", "nodot"}, "--include-namespaces: \"nodot\" needs the form"},
      {{"start", "--clone-segment-size", "big"}, "--clone-segment-size: \"big\" is not a size"},
      {{"start", "--repl-num-workers", "x"}, "--repl-num-workers: \"x\" is not a whole number"},
      {{"pause", "--watch"}, "--watch"},
      {{"pause", "--api-token-file", "/nonexistent/token"},
       "--api-token-file: cannot read /nonexistent/token: No such"},
      {{"pause", "--api-ca-file", "/nonexistent/ca"}, "--api-ca-file: cannot read /nonexistent/ca: No such"},
      {{"pause", "--api-ca-file", "/dev/null", "--url", "http://a"}, "--api-ca-file: needs an https URL"},
      {{"resume", "--include-namespaces", "a.b"}, "--include-namespaces"},
      {{"resume", "--recopy", "some"}, "--recopy: must be \"changed\" or \"all\", not another string"},
      {{"resume", "--recopy"}, "--recopy"},
  };
  for (const auto& [arguments, message] : cases) {
    const auto command = parse(arguments);
    ASSERT_FALSE(command) << message;
    EXPECT_EQ(command.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(command.error().message, HasSubstr(message));
    EXPECT_THAT(command.error().message, Not(HasSubstr("\n")));
  }
  EXPECT_THAT(parse({"status"}, {{"PLM_PORT", "x"}}).error().message, HasSubstr("PLM_PORT: \"x\" is not a port"));
}

TEST(ClientArguments, OfAStartBecomeItsBody) {
  EXPECT_EQ(parse({"start"})->body, "{}");
  const auto command = parse({"start", "--include-namespaces", "a.b, c.*", "--include-namespaces", "d.*",
                              "--exclude-namespaces", "c.x", "--replace-target", "--pause-on-initial-sync",
                              "--clone-segment-size", "500MB", "--repl-num-workers", "3"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(command->body,
            R"({"includeNamespaces":["a.b","c.*","d.*"],"excludeNamespaces":["c.x"],"replaceTarget":true,)"
            R"("pauseOnInitialSync":true,"cloneSegmentSize":"500MB","replNumWorkers":3})");
}

TEST(ClientArguments, OfAResumeBecomeItsBody) {
  EXPECT_EQ(parse({"resume"})->body, "");
  EXPECT_EQ(parse({"resume", "--from-failure"})->body, R"({"fromFailure":true})");
  EXPECT_EQ(parse({"resume", "--recopy", "changed"})->body, R"({"recopy":"changed"})");
  EXPECT_EQ(parse({"resume", "--recopy", "all", "--from-failure"})->body, R"({"fromFailure":true,"recopy":"all"})");
  EXPECT_THAT(*parse({"resume", "--help"})->print, HasSubstr("--recopy changed|all"));
}

TEST(ClientArguments, MayAskForHelpOrVersion) {
  EXPECT_EQ(parse({"version"})->print, "plm 1.2.3\n");
  EXPECT_EQ(parse({"version", "--json"})->print, "{\"version\":\"1.2.3\"}\n");
  for (const auto name : {"status", "health", "start", "pause", "resume", "finalize", "reset", "version"}) {
    EXPECT_TRUE(is_client_command(name));
    const auto help = parse({name, "--help"});
    ASSERT_TRUE(help) << name;
    EXPECT_THAT(*help->print, HasSubstr("--json"));
  }
  EXPECT_FALSE(is_client_command("serve"));
  EXPECT_FALSE(is_client_command("--help"));
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    HttpOptions options;
    options.port = 0;
    server_ = *HttpServer::listen(options);
    EXPECT_TRUE(server_->serve([this](const HttpRequest& request) { return routes_.handle(request); }));
  }
  // The exit code; what was written is in out_ and err_.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--port", fmt::format("{}", server_->port())});
    const auto command = parse(arguments);
    EXPECT_TRUE(command) << command.error().message;
    out_.str("");
    err_.str("");
    return run_client(*command, {out_, err_});
  }

  FakeJobControl job_;
  Routes routes_{job_, {}, "1"};
  std::unique_ptr<HttpServer> server_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(ClientTest, GivesCommandsAndSaysWhatBecameOfThem) {
  EXPECT_EQ(run({"start", "--include-namespaces", "a.*", "--replace-target"}), exit_code::done);
  EXPECT_THAT(out_.str(), HasSubstr("Started."));
  EXPECT_THAT(job_.started_with().include_namespaces, ElementsAre("a.*"));
  EXPECT_TRUE(job_.started_with().replace_target);
  EXPECT_EQ(run({"pause"}), exit_code::done);
  EXPECT_EQ(out_.str(), "Paused.\n");
  EXPECT_EQ(run({"resume"}), exit_code::done);
  EXPECT_EQ(run({"resume", "--from-failure"}), exit_code::done);
  EXPECT_EQ(run({"resume", "--recopy", "all"}), exit_code::done);
  EXPECT_EQ(run({"finalize"}), exit_code::done);
  EXPECT_EQ(run({"finalize", "--waive-parked"}), exit_code::done);
  EXPECT_EQ(run({"reset"}), exit_code::done);
  EXPECT_EQ(err_.str(), "");
  EXPECT_THAT(job_.commands(),
              ElementsAre("start", "pause", "resume", "resume from failure", "resume, copying again: all", "finalize",
                          "finalize, waiving what is parked", "reset"));
}

TEST_F(ClientTest, TellsHealthByItsExitCode) {
  EXPECT_EQ(run({"health"}), exit_code::done);
  EXPECT_EQ(out_.str(), "Healthy.\n");
  StatusReport report;
  report.state = JobState::failed;
  report.error = "the disk is gone";
  job_.set_report(report);
  EXPECT_EQ(run({"health"}), exit_code::failed);
  EXPECT_EQ(err_.str(), "plm: the job has failed: the disk is gone\n");
  EXPECT_EQ(run({"health", "--json"}), exit_code::failed);
  EXPECT_EQ(out_.str(),
            R"({"ok":false,"state":"failed","error":"the job has failed: the disk is gone","code":"failed"})"
            "\n");
}

TEST(Client, ShowsItsTokenOverTls) {
  FakeJobControl job;
  Routes routes(job, {}, "1");
  HttpOptions options;
  options.port = 0;
  options.token = "0123456789abcdef";
  options.tls = make_test_identity();
  const auto server = *HttpServer::listen(options);
  ASSERT_TRUE(server->serve([&routes](const HttpRequest& request) { return routes.handle(request); }));
  const std::string port = fmt::format("{}", server->port());
  const ScratchFile token(options.token);
  const ScratchFile wrong_token("fedcba9876543210");
  const ScratchFile authority(options.tls->certificate_pem);
  const ScratchFile wrong_authority(make_test_identity().certificate_pem);
  std::ostringstream out;
  std::ostringstream err;
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--port", port});
    out.str("");
    err.str("");
    return run_client(*parse(arguments), {out, err});
  };
  const std::vector<std::string> trust = {"--api-token-file", token.path(), "--api-ca-file", authority.path()};
  EXPECT_EQ(run({"status", trust[0], trust[1], trust[2], trust[3]}), exit_code::done) << err.str();
  EXPECT_EQ(run({"health", trust[0], trust[1], trust[2], trust[3]}), exit_code::done) << err.str();
  EXPECT_EQ(run({"pause", trust[0], trust[1], trust[2], trust[3]}), exit_code::done) << err.str();
  EXPECT_EQ(run({"finalize", "--api-token-file", wrong_token.path(), trust[2], trust[3]}), exit_code::failed);
  EXPECT_THAT(err.str(), HasSubstr("Authorization: Bearer"));
  EXPECT_EQ(run({"finalize", trust[2], trust[3]}), exit_code::failed);
  EXPECT_EQ(run({"finalize", trust[0], trust[1], "--api-ca-file", wrong_authority.path()}), exit_code::unreachable);
  EXPECT_THAT(err.str(), HasSubstr("certificate"));
  EXPECT_EQ(run({"finalize", trust[0], trust[1]}), exit_code::unreachable);  // http where https is spoken
  EXPECT_THAT(job.commands(), ElementsAre("pause"));
}

TEST_F(ClientTest, ReturnsOneForARefusalAndSaysWhy) {
  job_.on_command = [](const std::string&) -> Status { return fail(ErrorCode::wrong_state, "the job is idle"); };
  EXPECT_EQ(run({"pause"}), exit_code::failed);
  EXPECT_EQ(err_.str(), "plm: the job is idle\n");
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(run({"pause", "--json"}), exit_code::failed);
  EXPECT_EQ(out_.str(), "{\"ok\":false,\"error\":\"the job is idle\",\"code\":\"wrong_state\"}\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(ClientTest, ShowsTheStatusForPeopleAndAsJson) {
  StatusReport report;
  report.state = JobState::paused;
  report.info = "Paused";
  job_.set_report(report);
  EXPECT_EQ(run({"status"}), exit_code::done);
  EXPECT_THAT(out_.str(), testing::StartsWith("state        paused\n"));
  EXPECT_EQ(run({"status", "--json"}), exit_code::done);
  EXPECT_EQ(nlohmann::json::parse(out_.str())["state"], "paused");
}

// A stream that fails after some lines, as a pipe whose reader has gone.
class ShortBuffer : public std::stringbuf {
 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    return str().size() > 200 ? 0 : std::stringbuf::xsputn(text, size);
  }
};

TEST_F(ClientTest, WatchesUntilNobodyReadsAnyMore) {
  const auto command = parse({"status", "--watch", "--port", fmt::format("{}", server_->port())});
  ShortBuffer buffer;
  std::ostream out(&buffer);
  EXPECT_EQ(run_client(*command, {out, err_}), exit_code::done);
  const std::string text = buffer.str();
  EXPECT_NE(text.find("state"), text.rfind("state")) << "shown at least twice";
}

TEST_F(ClientTest, ReturnsThreeWhenNobodyAnswers) {
  server_.reset();
  ClientCommand command = *parse({"status"});
  command.url = "http://127.0.0.1:1";
  EXPECT_EQ(run_client(command, {out_, err_}), exit_code::unreachable);
  EXPECT_THAT(err_.str(), testing::StartsWith("plm: cannot reach http://127.0.0.1:1/status: "));
  EXPECT_EQ(std::ranges::count(err_.str(), '\n'), 1);
  command.watch = true;
  EXPECT_EQ(run_client(command, {out_, err_}), exit_code::unreachable);
}

TEST(Client, ReturnsThreeWhenAnotherProgramAnswers) {
  HttpOptions options;
  options.port = 0;
  const auto server = HttpServer::listen(options);
  ASSERT_TRUE(server);
  ASSERT_TRUE((*server)->serve([](const HttpRequest&) { return HttpResponse{200, "<html>", "text/html", ""}; }));
  std::ostringstream out;
  std::ostringstream err;
  const auto command = parse({"status", "--port", fmt::format("{}", (*server)->port())});
  EXPECT_EQ(run_client(*command, {out, err}), exit_code::unreachable);
  EXPECT_THAT(err.str(), HasSubstr("is not plm (HTTP status 200)"));
}

}  // namespace
}  // namespace plm
