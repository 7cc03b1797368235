#include "api/routes.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <exception>

#include "api/metrics.h"
#include "api/request_json.h"
#include "api/status_json.h"
#include "base/log.h"

namespace plm {

namespace {

// Commands wait for each other in the engine; the rest of the server's threads stay free for /status.
constexpr int kMaxCommandsUnderWay = 16;

HttpResponse refuse(int status, std::string_view code, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = refusal_json(message, code);
  return response;
}

HttpResponse refuse(const Error& error) {
  const ErrorWords words = words_of(error);
  return refuse(words.http_status, words.code, error.message);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// JSON, said or not: `curl -d` calls every body a form. Web pages, which can send
// forms, too, are kept out by their Origin.
bool may_be_json(std::string_view content_type) {
  std::string type = lower(content_type.substr(0, content_type.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  return type.empty() || type == "application/json" || type == "application/x-www-form-urlencoded";
}

bool is_ip_address(const std::string& text) {
  in6_addr ignored{};
  return inet_pton(AF_INET, text.c_str(), &ignored) == 1 || inet_pton(AF_INET6, text.c_str(), &ignored) == 1;
}

// The host of "host:port", "[::1]:port" or "host".
std::string host_of(std::string_view authority) {
  if (authority.starts_with('[')) return std::string(authority.substr(1, authority.find(']') - 1));
  return std::string(authority.substr(0, authority.find(':')));
}

}  // namespace

bool is_foreign_origin(const HttpRequest& request) {
  if (request.origin.empty()) return false;  // not a browser's request on behalf of a page
  const std::string own = lower(request.host);
  if (lower(request.origin) != (request.over_tls ? "https://" : "http://") + own) return true;
  const std::string name = host_of(own);
  return name != "localhost" && !is_ip_address(name);
}

ErrorWords words_of(const Error& error) {
  static constexpr std::string_view kPrefix = "plm:";
  const auto exact_or = [&error](std::string_view general) {
    const bool exact = !error.labels.empty() && error.labels.front().starts_with(kPrefix);
    return exact ? error.labels.front().substr(kPrefix.size()) : std::string(general);
  };
  switch (error.code) {
    case ErrorCode::invalid_argument:
      return {400, exact_or("invalid_argument")};
    case ErrorCode::wrong_state:
    case ErrorCode::superseded:
      return {409, exact_or("wrong_state")};
    case ErrorCode::not_found:
      return {404, exact_or("not_found")};
    case ErrorCode::cancelled:
      return {503, exact_or("shutting_down")};
    case ErrorCode::network:
      return {503, exact_or("unreachable")};
    case ErrorCode::server:
      return {503, exact_or(error.server_code == server_code::unauthorized ? "missing_privilege" : "server_error")};
    case ErrorCode::stored_format:
      return {500, exact_or("stored_format")};
  }
  return {500, "internal"};
}

struct Routes::Route {
  std::string_view path;
  HttpResponse (Routes::*read)() const = nullptr;              // a GET, or
  Status (Routes::*command)(std::string_view body) = nullptr;  // a POST

  [[nodiscard]] bool allows(std::string_view method) const {
    return read != nullptr ? method == "GET" || method == "HEAD" : method == "POST";
  }
  [[nodiscard]] std::string allow() const { return read != nullptr ? "GET, HEAD" : "POST"; }
};

const Routes::Route* Routes::find(std::string_view path) {
  static constexpr std::array<Route, 8> kRoutes = {{
      {"/status", &Routes::status, nullptr},
      {"/health", &Routes::health, nullptr},
      {"/metrics", &Routes::metrics, nullptr},
      {"/start", nullptr, &Routes::start},
      {"/pause", nullptr, &Routes::pause},
      {"/resume", nullptr, &Routes::resume},
      {"/finalize", nullptr, &Routes::finalize},
      {"/reset", nullptr, &Routes::reset},
  }};
  const auto* const found = std::ranges::find(kRoutes, path, &Route::path);
  return found == kRoutes.end() ? nullptr : found;
}

Routes::Routes(JobControl& job, JobOptions defaults, std::string version)
    : job_(job), defaults_(std::move(defaults)), version_(std::move(version)) {}

HttpResponse Routes::handle(const HttpRequest& request) noexcept {
  try {
    return dispatch(request);
  } catch (const std::exception& error) {
    log::error("request failed", {{"method", request.method}, {"path", request.path}, {"error", error.what()}});
    return refuse(500, "internal", "plm could not do this because of an error of its own; see its log");
  }
}

HttpResponse Routes::dispatch(const HttpRequest& request) {
  if (!request.authorized) {
    return refuse(401, "unauthorized", "this needs the header \"Authorization: Bearer TOKEN\" with plm's token");
  }
  const Route* route = find(request.path);
  if (route == nullptr) {
    return refuse(404, "not_found",
                  "no such path; there are /status, /health, /metrics, /start, /pause, /resume, /finalize and /reset");
  }
  if (!route->allows(request.method)) {
    HttpResponse response =
        refuse(405, "method_not_allowed", fmt::format("{} takes {} only", route->path, route->allow()));
    response.allow = route->allow();
    return response;
  }
  if (request.body_too_large) return refuse(413, "body_too_large", "the body is larger than 1 MiB");
  return route->read != nullptr ? (this->*route->read)() : run_command(*route, request);
}

HttpResponse Routes::run_command(const Route& route, const HttpRequest& request) {
  if (is_foreign_origin(request)) {
    return refuse(403, "foreign_origin", "a page of another site must not give commands");
  }
  if (!request.body.empty() && !may_be_json(request.content_type)) {
    return refuse(415, "unsupported_media_type", "a body needs the header Content-Type: application/json");
  }
  struct UnderWay {
    explicit UnderWay(std::atomic<int>& counter) : count(counter), number(++counter) {}
    ~UnderWay() { --count; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    UnderWay(UnderWay&&) = delete;
    UnderWay& operator=(UnderWay&&) = delete;
    std::atomic<int>& count;
    int number;
  };
  const UnderWay under_way(commands_under_way_);
  if (under_way.number > kMaxCommandsUnderWay) return refuse(503, "busy", "too many commands are under way");

  if (const Status status = (this->*route.command)(request.body); !status) {
    log::warn("request refused", {{"request", route.path}, {"error", status.error().message}});
    return refuse(status.error());
  }
  log::info("request done", {{"request", route.path}});
  HttpResponse response;
  response.body = success_json();
  return response;
}

HttpResponse Routes::status() const {
  HttpResponse response;
  response.body = status_json(job_.status());
  return response;
}

HttpResponse Routes::health() const {
  const StatusReport report = job_.status();
  const std::vector<HealthProblem> problems = health_problems(report);
  HttpResponse response;
  response.status = problems.empty() ? 200 : 503;
  response.body = health_json(report.state_name(), problems);
  return response;
}

HttpResponse Routes::metrics() const {
  HttpResponse response;
  response.content_type = kMetricsContentType;
  response.body = metrics_text(job_.status(), ProcessUse::now(), version_);
  return response;
}

Status Routes::start(std::string_view body) {
  return parse_start_body(body, defaults_).and_then([this](const JobOptions& options) { return job_.start(options); });
}

Status Routes::pause(std::string_view body) {
  return parse_empty_body(body).and_then([this] { return job_.pause(); });
}

Status Routes::resume(std::string_view body) {
  return parse_resume_body(body).and_then([this](ResumeOptions options) { return job_.resume(options); });
}

Status Routes::finalize(std::string_view body) {
  return parse_finalize_body(body).and_then([this](FinalizeOptions options) { return job_.finalize(options); });
}

Status Routes::reset(std::string_view body) {
  return parse_empty_body(body).and_then([this] { return job_.reset(); });
}

}  // namespace plm
