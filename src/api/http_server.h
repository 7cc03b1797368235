// A small HTTP/1.1 server for a handful of clients: operators, scripts, a
// metrics collector. It knows bytes, limits and time; what a request means is
// the handler's business.
//
// Every connection has a thread of its own, so a request that takes seconds
// (pause) does not hold up another (status). A connection carries one request,
// must deliver it within read_timeout and take the answer within write_timeout:
// whoever sends slowly, does not read, or floods headers costs bounded memory
// and ends soon. When there are more than max_connections, the oldest that the
// server waits for is hung up on, so that newcomers get in.
//
// The server also tells who may ask: whoever shows the token, or everybody when
// there is none. What others send as a body is read and thrown away.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/tls.h"
#include "base/error.h"

namespace plm {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // "/status", decoded, without the query
  // Headers; empty when absent.
  std::string host;
  std::string origin;
  std::string content_type;
  std::string body;
  bool body_too_large = false;  // then `body` is empty
  bool over_tls = false;
  bool authorized = false;  // when not, `body` is empty
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json; charset=utf-8";
  std::string allow;  // the header of a 405; empty: none
};

// Called from many threads at once. Must not throw.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpOptions {
  std::string address = "127.0.0.1";  // an IPv4 or IPv6 address
  std::uint16_t port = 2242;          // 0: any free one
  std::size_t max_body_bytes = std::size_t{1} << 20;
  unsigned max_connections = 64;
  std::chrono::seconds read_timeout{10};
  std::chrono::seconds write_timeout{30};
  std::string token;               // as in api/token.h; empty: everybody may ask
  std::optional<TlsIdentity> tls;  // none: plain HTTP
};

class HttpServer {
 public:
  // Takes the port; whoever connects from now on waits for serve(). Errors:
  // invalid_argument (not an address, not a certificate and its key), network
  // (the port is taken or not allowed), in one line that names the address.
  static Result<std::unique_ptr<HttpServer>> listen(const HttpOptions& options);

  // Answers from now on. Once. Errors: network.
  Status serve(HttpHandler handler);

  // Waits for handlers that run.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  HttpServer(HttpServer&&) = delete;
  HttpServer& operator=(HttpServer&&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // Takes no more connections; those that are open go on.
  void stop_accepting();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace plm
