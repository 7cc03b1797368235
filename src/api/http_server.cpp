#include "api/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stop_token>
#include <system_error>
#include <thread>

#include "api/connections.h"
#include "api/token.h"

namespace plm {

namespace {

// Room for the request line and all headers; more is refused by libmicrohttpd with 431.
constexpr std::size_t kConnectionMemoryBytes = std::size_t{32} << 10;
// A longer body than this is refused before it is sent; a shorter one that is
// too large is read and thrown away, so that clients get to see the refusal.
constexpr std::size_t kDrainedBodyBytes = std::size_t{64} << 20;
// libmicrohttpd refuses newcomers at its own limit; ours, which hangs up on the
// oldest instead, is met first. The room between the two is for those that were
// hung up on and whose threads have not come to know it: on a busy machine many.
constexpr unsigned kRoomForNewcomers = 256;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<Address> parse_address(const std::string& text, std::uint16_t port) {
  Address out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    out.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    out.size = sizeof *v6;
  } else {
    return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" is not an IP address to listen on", text));
  }
  return out;
}

std::string reason_of(int error) {
  if (error == EADDRINUSE) return "the port is taken";
  if (error == EADDRNOTAVAIL) return "this machine does not have the address";
  if (error == EACCES) return "not permitted";
  return std::generic_category().message(error);
}

// The socket is made here and not by libmicrohttpd, which would not say why it failed.
Result<int> listening_socket(const HttpOptions& options) {
  const auto address = parse_address(options.address, options.port);
  if (!address) return fail(address.error());
  const int fd = socket(address->get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, address->get(), address->size) != 0 || listen(fd, SOMAXCONN) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return fail(ErrorCode::network,
                fmt::format("cannot listen on {} port {}: {}", options.address, options.port, reason_of(error)));
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (getsockname(fd, address.get(), &address.size) != 0) return 0;
  // Both families keep the port at the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

std::string header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string() : std::string(value);
}

bool send(MHD_Connection* connection, const HttpResponse& response) {
  MHD_Response* raw = MHD_create_response_from_buffer(response.body.size(), const_cast<char*>(response.body.data()),
                                                      MHD_RESPMEM_MUST_COPY);
  if (raw == nullptr) return false;
  MHD_add_response_header(raw, MHD_HTTP_HEADER_CONTENT_TYPE, response.content_type.c_str());
  MHD_add_response_header(raw, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  MHD_add_response_header(raw, "X-Content-Type-Options", "nosniff");
  MHD_add_response_header(raw, MHD_HTTP_HEADER_CONNECTION, "close");
  if (response.status == MHD_HTTP_UNAUTHORIZED)
    MHD_add_response_header(raw, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"plm\"");
  if (!response.allow.empty()) MHD_add_response_header(raw, MHD_HTTP_HEADER_ALLOW, response.allow.c_str());
  const bool queued = MHD_queue_response(connection, static_cast<unsigned>(response.status), raw) == MHD_YES;
  MHD_destroy_response(raw);
  return queued;
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpOptions& opts, int listening_fd)
      : options(opts),
        connections({opts.read_timeout, opts.write_timeout, opts.max_connections}),
        port(port_of(listening_fd)),
        own_fd(listening_fd) {}

  ~Impl() {
    if (daemon != nullptr) MHD_stop_daemon(daemon);
    if (own_fd >= 0) close(own_fd);
  }

  bool start_daemon() {
    const auto timeout = static_cast<unsigned>(options.read_timeout.count());
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
    std::array<MHD_OptionItem, 4> tls = {{{MHD_OPTION_END, 0, nullptr}}};
    if (options.tls) {
      flags |= MHD_USE_TLS;
      // libmicrohttpd copies none of these and changes none.
      tls = {{{MHD_OPTION_HTTPS_MEM_CERT, 0, const_cast<char*>(options.tls->certificate_pem.c_str())},
              {MHD_OPTION_HTTPS_MEM_KEY, 0, const_cast<char*>(options.tls->key_pem.c_str())},
              {MHD_OPTION_HTTPS_PRIORITIES, 0, const_cast<char*>(kTlsPriorities)},
              {MHD_OPTION_END, 0, nullptr}}};
    }
    daemon = MHD_start_daemon(flags, 0, nullptr, nullptr, &Impl::on_request, this, MHD_OPTION_LISTEN_SOCKET, own_fd,
                              MHD_OPTION_CONNECTION_LIMIT, options.max_connections + kRoomForNewcomers,
                              MHD_OPTION_CONNECTION_TIMEOUT, timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                              kConnectionMemoryBytes, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
                              &Impl::on_connection, this, MHD_OPTION_NOTIFY_COMPLETED, &Impl::on_completed, this,
                              MHD_OPTION_ARRAY, tls.data(), MHD_OPTION_END);
    if (daemon == nullptr) return false;
    own_fd = -1;  // the daemon closes it
    watcher = std::jthread([this](const std::stop_token& stop) { connections.watch(stop); });
    return true;
  }

  // The callbacks below run in the connection's thread, called by C code:
  // nothing may be thrown through it.

  static void on_connection(void* self, MHD_Connection* connection, void** /*socket_context*/,
                            MHD_ConnectionNotificationCode what) noexcept {
    auto& connections = static_cast<Impl*>(self)->connections;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
      connections.closed(connection);
    } else if (const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)) {
      connections.opened(connection, info->connect_fd);
    }
  }

  static void on_completed(void* /*self*/, MHD_Connection* /*connection*/, void** context,
                           MHD_RequestTerminationCode /*why*/) noexcept {
    delete static_cast<HttpRequest*>(*context);  // NOLINT(cppcoreguidelines-owning-memory): a C callback's context
    *context = nullptr;
  }

  // First call: headers. Then one call for each piece of the body; then one
  // with no piece, which must answer.
  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* url, const char* method,
                               const char* /*version*/, const char* piece, std::size_t* piece_size,
                               void** context) noexcept {
    try {
      auto& impl = *static_cast<Impl*>(self);
      if (*context == nullptr) {
        auto request = std::make_unique<HttpRequest>(impl.read_headers(connection, url, method));
        *context = request.release();
        return impl.begin(connection, *static_cast<HttpRequest*>(*context)) ? MHD_YES : MHD_NO;
      }
      auto& request = *static_cast<HttpRequest*>(*context);
      if (*piece_size != 0) {
        impl.take_piece(request, {piece, *piece_size});
        *piece_size = 0;
        return MHD_YES;
      }
      return impl.answer(connection, request) ? MHD_YES : MHD_NO;
    } catch (...) {
      return MHD_NO;  // out of memory: hang up
    }
  }

  HttpRequest read_headers(MHD_Connection* connection, const char* url, const char* method) const {
    HttpRequest request;
    request.method = method;
    request.path = url;
    request.host = header(connection, MHD_HTTP_HEADER_HOST);
    request.origin = header(connection, MHD_HTTP_HEADER_ORIGIN);
    request.content_type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    request.over_tls = options.tls.has_value();
    request.authorized =
        options.token.empty() || shows_token(header(connection, MHD_HTTP_HEADER_AUTHORIZATION), options.token);
    return request;
  }

  // A body that will be far too large, or one whose sender waits to be told, is refused at once.
  bool begin(MHD_Connection* connection, HttpRequest& request) {
    const std::uint64_t announced =
        std::strtoull(header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH).c_str(), nullptr, 10);
    if (announced <= options.max_body_bytes) return true;
    request.body_too_large = true;
    const bool waits = !header(connection, MHD_HTTP_HEADER_EXPECT).empty();
    return waits || announced > kDrainedBodyBytes ? answer(connection, request) : true;
  }

  void take_piece(HttpRequest& request, std::string_view piece) const {
    if (request.body.size() + piece.size() > options.max_body_bytes) request.body_too_large = true;
    if (request.body_too_large || !request.authorized) {
      request.body.clear();
    } else {
      request.body += piece;
    }
  }

  bool answer(MHD_Connection* connection, const HttpRequest& request) {
    connections.asked(connection);
    // The time the handler takes is not the client's silence.
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
    const HttpResponse response = handler(request);
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                              static_cast<unsigned>(options.read_timeout.count()));
    connections.answered(connection);
    return send(connection, response);
  }

  const HttpOptions options;
  HttpHandler handler;
  Connections connections;
  const std::uint16_t port;
  MHD_Daemon* daemon = nullptr;
  int own_fd;            // the listening socket, while the daemon does not have it
  std::jthread watcher;  // the last member: it stops before `connections` goes
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpOptions& options) {
  if (options.tls) {
    if (auto usable = check_identity(*options.tls); !usable) return fail(std::move(usable.error()));
  }
  const auto fd = listening_socket(options);
  if (!fd) return fail(fd.error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Impl>(options, *fd)));
}

Status HttpServer::serve(HttpHandler handler) {
  impl_->handler = std::move(handler);
  if (impl_->start_daemon()) return {};
  return fail(ErrorCode::network, fmt::format("cannot serve {} port {}", impl_->options.address, impl_->port));
}

std::uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::stop_accepting() {
  if (impl_->daemon != nullptr && impl_->own_fd < 0) impl_->own_fd = MHD_quiesce_daemon(impl_->daemon);
}

}  // namespace plm
