// Which request does what, and how a refusal looks. Thread-safe: it holds no
// state but how many commands are under way.
#pragma once

#include <atomic>
#include <string>

#include "api/http_server.h"
#include "control/job_control.h"

namespace plm {

class Routes {
 public:
  // `job` outlives this. `defaults` are the options of a start whose body does
  // not say otherwise.
  Routes(JobControl& job, JobOptions defaults, std::string version);

  [[nodiscard]] HttpResponse handle(const HttpRequest& request) noexcept;

 private:
  struct Route;
  static const Route* find(std::string_view path);

  [[nodiscard]] HttpResponse dispatch(const HttpRequest& request);
  [[nodiscard]] HttpResponse run_command(const Route& route, const HttpRequest& request);
  [[nodiscard]] HttpResponse status() const;
  [[nodiscard]] HttpResponse health() const;
  [[nodiscard]] HttpResponse metrics() const;
  Status start(std::string_view body);
  Status pause(std::string_view body);
  Status resume(std::string_view body);
  Status finalize(std::string_view body);
  Status reset(std::string_view body);

  JobControl& job_;
  const JobOptions defaults_;
  const std::string version_;
  std::atomic<int> commands_under_way_{0};
};

// How an error of the engine is told: the HTTP status and the stable word of
// "code". The only place that maps them.
//
//   invalid_argument  400 "invalid_argument"
//   wrong_state       409 "wrong_state"
//   not_found         404 "not_found"
//   cancelled         503 "shutting_down"
//   network           503 "unreachable"
//   server            503 "server_error"; "missing_privilege" for server code 13
//   stored_format     500 "stored_format"
//
// A more exact word may come as the error's first label, "plm:target_not_empty".
struct ErrorWords {
  int http_status = 500;
  std::string code;
};
[[nodiscard]] ErrorWords words_of(const Error& error);

// Whether a browser sent this POST on behalf of a page that is not ours. A page
// of ours could only have been loaded from this server, by its address or as
// localhost; a name that somebody let point here does not count (DNS rebinding).
[[nodiscard]] bool is_foreign_origin(const HttpRequest& request);

}  // namespace plm
