#include "api/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "api/fake_job_control.h"

namespace plm {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

HttpRequest post(std::string path, std::string body = {}) {
  HttpRequest request;
  request.method = "POST";
  request.path = std::move(path);
  request.host = "127.0.0.1:2242";
  request.authorized = true;
  if (!body.empty()) request.content_type = "application/json";
  request.body = std::move(body);
  return request;
}

HttpRequest get(std::string path) {
  HttpRequest request;
  request.method = "GET";
  request.authorized = true;
  request.path = std::move(path);
  return request;
}

class RoutesTest : public testing::Test {
 protected:
  FakeJobControl job_;
  JobOptions defaults_;
  // A refusal's status, and that its body is as documented.
  static int refused(const HttpResponse& response, std::string_view code) {
    const json body = json::parse(response.body);
    EXPECT_EQ(body["ok"], false);
    EXPECT_EQ(body["code"], std::string(code)) << response.body;
    EXPECT_FALSE(body["error"].get<std::string>().empty());
    EXPECT_EQ(body.size(), 3);
    EXPECT_EQ(response.content_type, "application/json; charset=utf-8");
    return response.status;
  }
};

TEST_F(RoutesTest, GiveEachCommandToTheJob) {
  Routes routes(job_, defaults_, "1");
  for (const auto path : {"/start", "/pause", "/resume", "/finalize", "/reset"}) {
    const HttpResponse response = routes.handle(post(path));
    EXPECT_EQ(response.status, 200) << path;
    EXPECT_EQ(response.body, R"({"ok":true})");
  }
  EXPECT_EQ(routes.handle(post("/resume", R"({"fromFailure":true})")).status, 200);
  EXPECT_EQ(routes.handle(post("/resume", R"({"recopy":"changed"})")).status, 200);
  EXPECT_THAT(job_.commands(), ElementsAre("start", "pause", "resume", "finalize", "reset", "resume from failure",
                                           "resume, copying again: changed"));
}

TEST_F(RoutesTest, StartWithTheBodyOverTheDefaults) {
  defaults_.replace_target = true;
  defaults_.tuning.apply_workers = 3;
  Routes routes(job_, defaults_, "1");
  EXPECT_EQ(routes.handle(post("/start", R"({"includeNamespaces":["a.*"],"replNumWorkers":5})")).status, 200);
  JobOptions expected;
  expected.include_namespaces = {"a.*"};
  expected.replace_target = true;
  expected.tuning.apply_workers = 5;
  EXPECT_EQ(job_.started_with(), expected);
}

TEST_F(RoutesTest, RefuseABadBodyBeforeTheJobIsAsked) {
  Routes routes(job_, defaults_, "1");
  EXPECT_EQ(refused(routes.handle(post("/start", R"({"nope":1})")), "invalid_argument"), 400);
  EXPECT_EQ(refused(routes.handle(post("/pause", "{")), "invalid_argument"), 400);
  EXPECT_EQ(refused(routes.handle(post("/resume", R"({"fromFailure":1})")), "invalid_argument"), 400);
  EXPECT_EQ(refused(routes.handle(post("/finalize", R"({"now":true})")), "invalid_argument"), 400);
  EXPECT_EQ(refused(routes.handle(post("/reset", "[]")), "invalid_argument"), 400);
  EXPECT_THAT(job_.commands(), IsEmpty());
}

TEST_F(RoutesTest, RefuseUnknownPathsAndWrongMethods) {
  Routes routes(job_, defaults_, "1");
  for (const auto path : {"/", "/stat", "/status/", "/start/x", "", "//status"}) {
    EXPECT_EQ(refused(routes.handle(get(path)), "not_found"), 404) << path;
  }
  for (const auto path : {"/start", "/pause", "/resume", "/finalize", "/reset"}) {
    const HttpResponse response = routes.handle(get(path));
    EXPECT_EQ(refused(response, "method_not_allowed"), 405) << path;
    EXPECT_EQ(response.allow, "POST");
  }
  for (const auto path : {"/status", "/health", "/metrics"}) {
    const HttpResponse response = routes.handle(post(path));
    EXPECT_EQ(refused(response, "method_not_allowed"), 405) << path;
    EXPECT_EQ(response.allow, "GET, HEAD");
  }
  HttpRequest request = post("/pause");
  for (const auto method : {"PUT", "DELETE", "OPTIONS", "TRACE", "HEAD", "post", "BREW"}) {
    request.method = method;
    EXPECT_EQ(routes.handle(request).status, 405) << method;
  }
  EXPECT_THAT(job_.commands(), IsEmpty());
}

TEST_F(RoutesTest, RefuseALargeBody) {
  Routes routes(job_, defaults_, "1");
  HttpRequest request = post("/start");
  request.body_too_large = true;
  EXPECT_EQ(refused(routes.handle(request), "body_too_large"), 413);
}

TEST_F(RoutesTest, RefuseABodyThatIsSaidNotToBeJson) {
  Routes routes(job_, defaults_, "1");
  HttpRequest request = post("/start", "{}");
  for (const auto type : {"text/plain", "multipart/form-data", "application/jsonx", "application/json+x"}) {
    request.content_type = type;
    EXPECT_EQ(refused(routes.handle(request), "unsupported_media_type"), 415) << type;
  }
  for (const auto type : {"", "application/x-www-form-urlencoded", "application/json",
                          "application/json; charset=utf-8", "Application/JSON ;charset=utf-8"}) {
    request.content_type = type;
    EXPECT_EQ(routes.handle(request).status, 200) << type;
  }
}

TEST_F(RoutesTest, RefuseCommandsOfOtherSites) {
  Routes routes(job_, defaults_, "1");
  HttpRequest request = post("/finalize");
  for (const auto origin :
       {"https://evil.example", "http://127.0.0.1:9999", "null", "http://127.0.0.1:2242.evil.example"}) {
    request.origin = origin;
    EXPECT_EQ(refused(routes.handle(request), "foreign_origin"), 403) << origin;
  }
  EXPECT_THAT(job_.commands(), IsEmpty());
  request.origin = "http://127.0.0.1:2242";
  EXPECT_EQ(routes.handle(request).status, 200);
}

HttpRequest of_page(std::string origin, std::string host) {
  HttpRequest request = post("/finalize");
  request.origin = std::move(origin);
  request.host = std::move(host);
  return request;
}

TEST(ForeignOrigin, IsAnyPageNotLoadedFromHere) {
  EXPECT_FALSE(is_foreign_origin(of_page("", "127.0.0.1:2242")));
  EXPECT_FALSE(is_foreign_origin(of_page("http://127.0.0.1:2242", "127.0.0.1:2242")));
  EXPECT_FALSE(is_foreign_origin(of_page("http://localhost:2242", "LOCALHOST:2242")));
  EXPECT_FALSE(is_foreign_origin(of_page("http://[::1]:2242", "[::1]:2242")));
  EXPECT_TRUE(is_foreign_origin(of_page("http://localhost:2242", "127.0.0.1:2242")));
  EXPECT_TRUE(is_foreign_origin(of_page("https://127.0.0.1:2242", "127.0.0.1:2242")));
  EXPECT_TRUE(is_foreign_origin(of_page("null", "127.0.0.1:2242")));
  EXPECT_TRUE(is_foreign_origin(of_page("http://", "")));
  // A name of the attacker's that resolves to this machine.
  EXPECT_TRUE(is_foreign_origin(of_page("http://rebound.example:2242", "rebound.example:2242")));
  EXPECT_TRUE(is_foreign_origin(of_page("http://[", "[")));
}

TEST(ForeignOrigin, OverTlsIsAnyPageLoadedWithoutIt) {
  HttpRequest request = of_page("https://127.0.0.1:2242", "127.0.0.1:2242");
  request.over_tls = true;
  EXPECT_FALSE(is_foreign_origin(request));
  request.origin = "http://127.0.0.1:2242";
  EXPECT_TRUE(is_foreign_origin(request));
}

TEST_F(RoutesTest, TellNothingToWhoeverShowsNoToken) {
  Routes routes(job_, defaults_, "1");
  for (const auto path : {"/status", "/health", "/metrics", "/nowhere", "/"}) {
    HttpRequest request = get(path);
    request.authorized = false;
    EXPECT_EQ(refused(routes.handle(request), "unauthorized"), 401) << path;
  }
  for (const auto path : {"/start", "/pause", "/resume", "/finalize", "/reset", "/status"}) {
    HttpRequest request = post(path);
    request.authorized = false;
    EXPECT_EQ(refused(routes.handle(request), "unauthorized"), 401) << path;
  }
  EXPECT_EQ(routes.handle(HttpRequest()).status, 401);
  EXPECT_THAT(job_.commands(), IsEmpty());
}

TEST_F(RoutesTest, TellHealthByStatusAndReason) {
  Routes routes(job_, defaults_, "1");
  StatusReport report;
  report.state = JobState::running;
  job_.set_report(report);
  EXPECT_EQ(routes.handle(get("/health")).status, 200);
  EXPECT_EQ(routes.handle(get("/health")).body, R"({"ok":true,"state":"running"})");
  report.stall = "nothing moves";
  report.state_problem = "cut off";
  job_.set_report(report);
  const HttpResponse response = routes.handle(get("/health"));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, R"({"ok":false,"state":"running","error":"the saved state could not be read: cut off; )"
                           R"(nothing moves","code":"state_unreadable"})");
}

TEST_F(RoutesTest, TellErrorsOfTheJobAsDocumented) {
  struct Case {
    Error error;
    int status;
    const char* code;
  };
  const std::vector<Case> cases = {
      {{ErrorCode::invalid_argument, 0, {}, "x"}, 400, "invalid_argument"},
      {{ErrorCode::wrong_state, 0, {}, "the job is idle; possible: start"}, 409, "wrong_state"},
      {{ErrorCode::wrong_state, 0, {"plm:target_not_empty"}, "x"}, 409, "target_not_empty"},
      {{ErrorCode::wrong_state, 0, {"NoWritesPerformed"}, "x"}, 409, "wrong_state"},
      {{ErrorCode::not_found, 0, {}, "x"}, 404, "not_found"},
      {{ErrorCode::network, 0, {}, "x"}, 503, "unreachable"},
      {{ErrorCode::server, 1, {}, "x"}, 503, "server_error"},
      {{ErrorCode::server, server_code::unauthorized, {}, "x"}, 503, "missing_privilege"},
      {{ErrorCode::cancelled, 0, {}, "x"}, 503, "shutting_down"},
      {{ErrorCode::stored_format, 0, {}, "x"}, 500, "stored_format"},
  };
  Routes routes(job_, defaults_, "1");
  for (const Case& one : cases) {
    job_.on_command = [&one](const std::string&) -> Status { return fail(one.error); };
    const HttpResponse response = routes.handle(post("/pause"));
    EXPECT_EQ(refused(response, one.code), one.status) << one.code;
    EXPECT_EQ(json::parse(response.body)["error"], one.error.message);
  }
}

TEST_F(RoutesTest, AnswerAnExceptionWith500AndNoInternals) {
  job_.on_command = [](const std::string&) -> Status { throw std::runtime_error("secret detail"); };
  Routes routes(job_, defaults_, "1");
  const HttpResponse response = routes.handle(post("/pause"));
  EXPECT_EQ(refused(response, "internal"), 500);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
}

TEST_F(RoutesTest, BoundTheCommandsUnderWay) {
  constexpr int kLimit = 16;
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  bool open = false;
  job_.on_command = [&](const std::string&) {
    std::unique_lock lock(mutex);
    ++inside;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    return Status{};
  };
  Routes routes(job_, defaults_, "1");
  {
    std::vector<std::jthread> callers;
    callers.reserve(kLimit);
    for (int i = 0; i < kLimit; ++i) {
      callers.emplace_back([&] { EXPECT_EQ(routes.handle(post("/pause")).status, 200); });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside == kLimit; });
    lock.unlock();
    EXPECT_EQ(refused(routes.handle(post("/pause")), "busy"), 503);
    EXPECT_EQ(routes.handle(get("/status")).status, 200);
    lock.lock();
    open = true;
    changed.notify_all();
  }
  EXPECT_EQ(routes.handle(post("/pause")).status, 200);
}

TEST_F(RoutesTest, ShowStatusAndMetrics) {
  StatusReport report;
  report.state = JobState::paused;
  report.lag_seconds = 12;
  job_.set_report(report);
  Routes routes(job_, defaults_, "9.8.7");
  const HttpResponse status = routes.handle(get("/status"));
  EXPECT_EQ(status.status, 200);
  EXPECT_EQ(json::parse(status.body)["state"], "paused");
  const HttpResponse metrics = routes.handle(get("/metrics"));
  EXPECT_EQ(metrics.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(metrics.body, HasSubstr("plm_lag_seconds 12\n"));
  EXPECT_THAT(metrics.body, HasSubstr("plm_build_info{version=\"9.8.7\"} 1\n"));
}

}  // namespace
}  // namespace plm
