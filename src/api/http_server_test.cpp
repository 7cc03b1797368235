// Real requests over real sockets, friendly and hostile.
#include "api/http_server.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <latch>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "api/fake_job_control.h"
#include "api/routes.h"
#include "api/test_certificate.h"

namespace plm {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using SteadyClock = std::chrono::steady_clock;

struct Answer {
  long status = 0;
  std::string headers;
  std::string body;
};

std::size_t append(char* data, std::size_t one, std::size_t size, void* out) {
  static_cast<std::string*>(out)->append(data, one * size);
  return one * size;
}

// One request by libcurl, as clients send it.
Answer call(const std::string& url, const std::string& method, const std::string& body = {},
            const std::vector<std::string>& headers = {}, const std::string& ca_pem = {}) {
  Answer answer;
  CURL* curl = curl_easy_init();
  curl_slist* list = nullptr;
  for (const auto& line : headers) list = curl_slist_append(list, line.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_blob authority{const_cast<char*>(ca_pem.data()), ca_pem.size(), CURL_BLOB_COPY};
  if (!ca_pem.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &authority);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  if (!body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &append);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
  const CURLcode code = curl_easy_perform(curl);
  EXPECT_EQ(code, CURLE_OK) << curl_easy_strerror(code);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_slist_free_all(list);
  curl_easy_cleanup(curl);
  return answer;
}

// A connection whose bytes a test chooses.
class Socket {
 public:
  explicit Socket(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  Socket(Socket&&) = delete;
  Socket& operator=(Socket&&) = delete;

  // Whether the other side still took it.
  bool write(std::string_view text) const { return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) >= 0; }
  // At most this much of what is there.
  [[nodiscard]] std::size_t read_some(std::size_t most) {
    std::string buffer(most, '\0');
    const auto count = recv(fd_, buffer.data(), most, MSG_DONTWAIT);
    if (count == 0) closed_ = true;
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  // Everything until the server hangs up, or the limit.
  [[nodiscard]] std::string read_all(std::chrono::milliseconds limit) {
    std::string out;
    const auto deadline = SteadyClock::now() + limit;
    while (!closed_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now());
      pollfd waiting{fd_, POLLIN, 0};
      if (left <= 0ms || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
      char buffer[4096];
      const auto count = recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) closed_ = true;
      if (count > 0) out.append(buffer, static_cast<std::size_t>(count));
    }
    return out;
  }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  int fd_;
  bool closed_ = false;
};

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    options_.port = 0;
    options_.read_timeout = 1s;
  }
  void listen() {
    auto server = HttpServer::listen(options_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }
  void start() {
    listen();
    ASSERT_TRUE(server_->serve([this](const HttpRequest& request) { return routes_.handle(request); }));
  }
  [[nodiscard]] std::string url(const std::string& path) const {
    return fmt::format("http://127.0.0.1:{}{}", server_->port(), path);
  }

  HttpOptions options_;
  FakeJobControl job_;
  Routes routes_{job_, {}, "1"};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersInJsonWithItsCharset) {
  start();
  const Answer answer = call(url("/status"), "GET");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body)["state"], "idle");
  EXPECT_THAT(answer.headers, HasSubstr("Content-Type: application/json; charset=utf-8\r\n"));
  EXPECT_THAT(answer.headers, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer.headers, HasSubstr("Cache-Control: no-store\r\n"));
}

TEST_F(HttpServerTest, TakesCommandsWithAndWithoutABody) {
  start();
  EXPECT_EQ(call(url("/pause"), "POST").status, 200);
  const std::vector<std::string> type = {"Content-Type: application/json"};
  EXPECT_EQ(call(url("/start"), "POST", R"({"includeNamespaces":["a.*"]})", type).status, 200);
  EXPECT_THAT(job_.started_with().include_namespaces, testing::ElementsAre("a.*"));
  EXPECT_EQ(call(url("/start"), "POST", "{}", {"Content-Type: text/plain"}).status, 415);
  EXPECT_EQ(call(url("/start?x=1"), "POST").status, 200);
}

TEST_F(HttpServerTest, SaysWhichMethodAPathTakes) {
  start();
  const Answer answer = call(url("/pause"), "GET");
  EXPECT_EQ(answer.status, 405);
  EXPECT_THAT(answer.headers, HasSubstr("Allow: POST\r\n"));
  EXPECT_EQ(call(url("/status"), "DELETE").status, 405);
  const Answer head = call(url("/status"), "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(HttpServerTest, RefusesAPageOfAnotherSite) {
  start();
  EXPECT_EQ(call(url("/finalize"), "POST", "", {"Origin: https://evil.example"}).status, 403);
  EXPECT_TRUE(job_.commands().empty());
  EXPECT_EQ(call(url("/finalize"), "POST", "", {fmt::format("Origin: http://127.0.0.1:{}", server_->port())}).status,
            200);
}

TEST_F(HttpServerTest, TakesABodyOfJustTheLimit) {
  start();
  const std::vector<std::string> type = {"Content-Type: application/json"};
  std::string body = "{}";
  body.resize(std::size_t{1} << 20, ' ');
  EXPECT_EQ(call(url("/start"), "POST", body, type).status, 200);
  body += ' ';
  const Answer answer = call(url("/start"), "POST", body, type);
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(json::parse(answer.body)["code"], "body_too_large");
}

TEST_F(HttpServerTest, RefusesALargeBodyHoweverItIsSent) {
  start();
  const std::string body(std::size_t{5} << 20, ' ');
  const std::string type = "Content-Type: application/json";
  EXPECT_EQ(call(url("/start"), "POST", body, {type, "Expect:"}).status, 413);               // at once
  EXPECT_EQ(call(url("/start"), "POST", body, {type, "Expect: 100-continue"}).status, 413);  // after asking
  EXPECT_EQ(call(url("/start"), "POST", body, {type, "Transfer-Encoding: chunked"}).status, 413);
  EXPECT_TRUE(job_.commands().empty());
}

TEST_F(HttpServerTest, RefusesAnAnnouncedGiantWithoutReadingIt) {
  start();
  Socket socket(server_->port());
  socket.write(
      "POST /start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_THAT(socket.read_all(5s), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, RefusesDeeplyNestedJson) {
  start();
  const Answer answer = call(url("/start"), "POST", std::string(900'000, '['), {"Content-Type: application/json"});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(json::parse(answer.body)["error"], "the body is nested too deeply");
}

TEST_F(HttpServerTest, HangsUpOnWhoeverSendsNothing) {
  start();
  Socket socket(server_->port());
  const auto begin = SteadyClock::now();
  EXPECT_EQ(socket.read_all(10s), "");
  EXPECT_TRUE(socket.closed());
  EXPECT_LT(SteadyClock::now() - begin, 5s);
}

TEST_F(HttpServerTest, HangsUpOnWhoeverSendsDropByDrop) {
  start();
  // Never silent for as long as the limit, yet over it in all: headers, then a body.
  const std::vector<std::string> heads = {"GET /status HTTP/1.1\r\nHost: ",
                                          "POST /start HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"};
  for (const auto& head : heads) {
    Socket socket(server_->port());
    socket.write(head);
    const auto begin = SteadyClock::now();
    while (!socket.closed() && SteadyClock::now() - begin < 10s) {
      socket.write("x");
      (void)socket.read_all(100ms);
    }
    EXPECT_TRUE(socket.closed());
    EXPECT_LT(SteadyClock::now() - begin, 5s);
  }
  EXPECT_TRUE(job_.commands().empty());
}

TEST_F(HttpServerTest, RefusesAFloodOfHeaders) {
  start();
  Socket socket(server_->port());
  socket.write("GET /status HTTP/1.1\r\nHost: x\r\n");
  const std::string line = "X-Flood: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 5000 && socket.write(line); ++i) {
  }
  const std::string answer = socket.read_all(5s);
  EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 4")) << answer;
  EXPECT_TRUE(socket.closed());
  EXPECT_EQ(call(url("/status"), "GET").status, 200);
}

TEST_F(HttpServerTest, SurvivesWhatIsNotHttp) {
  start();
  for (const std::string& noise :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string("\0\0\0\0\r\n\r\n", 8),
        std::string("GET\r\n\r\n"), std::string("GET /status HTTP/9.9\r\n\r\n"), std::string(100'000, 'A'),
        std::string("POST /start HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        std::string("POST /start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    Socket socket(server_->port());
    socket.write(noise);
    const std::string answer = socket.read_all(5s);
    EXPECT_TRUE(answer.empty() || !answer.starts_with("HTTP/1.1 200")) << answer;
  }
  EXPECT_TRUE(job_.commands().empty());
  EXPECT_EQ(call(url("/status"), "GET").status, 200);
}

TEST_F(HttpServerTest, FreesTheConnectionsThatIdlersHold) {
  options_.max_connections = 4;
  start();
  std::vector<std::unique_ptr<Socket>> idlers;
  idlers.reserve(16);
  for (int i = 0; i < 16; ++i) idlers.push_back(std::make_unique<Socket>(server_->port()));
  const auto begin = SteadyClock::now();
  Answer answer;
  while (answer.status != 200 && SteadyClock::now() - begin < 20s) {
    Socket socket(server_->port());
    socket.write("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    if (socket.read_all(10s).starts_with("HTTP/1.1 200")) answer.status = 200;
  }
  EXPECT_EQ(answer.status, 200);
}

TEST_F(HttpServerTest, LetsANewcomerInWhileIdlersHoldEveryConnection) {
  options_.max_connections = 8;
  options_.read_timeout = 600s;
  start();
  std::vector<std::unique_ptr<Socket>> idlers;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 8; ++i) {
      idlers.push_back(std::make_unique<Socket>(server_->port()));
      idlers.back()->write(i % 2 == 0 ? "GET /status HTTP/1.1\r\nX-Slow: " : "");
    }
    EXPECT_EQ(call(url("/status"), "GET").status, 200);
  }
  // The oldest were hung up on.
  EXPECT_EQ(idlers.front()->read_all(5s), "");
  EXPECT_TRUE(idlers.front()->closed());
}

TEST_F(HttpServerTest, HangsUpOnWhoeverDoesNotTakeTheAnswer) {
  options_.write_timeout = 1s;
  StatusReport report;
  report.error = std::string(32'000'000, 'x');  // more than the kernel keeps for a socket
  job_.set_report(report);
  start();
  Socket socket(server_->port());
  socket.write("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(100ms);
  const auto begin = SteadyClock::now();
  // It reads a little now and then: never silent for as long as the limit.
  std::size_t taken = 0;
  while (!socket.closed() && taken < report.error.size() && SteadyClock::now() - begin < 20s) {
    taken += socket.read_some(1000);
    std::this_thread::sleep_for(10ms);
    if (SteadyClock::now() - begin > 12s) taken += socket.read_all(5s).size();
  }
  EXPECT_TRUE(socket.closed());
  EXPECT_LT(taken, report.error.size());
}

constexpr auto kToken = "0123456789abcdef";

TEST_F(HttpServerTest, AnswersOnlyWhoeverShowsTheToken) {
  options_.token = kToken;
  start();
  const std::string good = fmt::format("Authorization: Bearer {}", kToken);
  const std::string bad = fmt::format("Authorization: Bearer {}x", kToken);
  EXPECT_EQ(call(url("/status"), "GET", "", {good}).status, 200);
  EXPECT_EQ(call(url("/pause"), "POST", "", {good}).status, 200);
  for (const auto& headers : std::vector<std::vector<std::string>>{{}, {bad}}) {
    for (const auto path : {"/status", "/health", "/metrics", "/nothing"}) {
      const Answer answer = call(url(path), "GET", "", headers);
      EXPECT_EQ(answer.status, 401) << path;
      EXPECT_THAT(answer.headers, HasSubstr("WWW-Authenticate: Bearer realm=\"plm\"\r\n"));
      EXPECT_EQ(json::parse(answer.body)["code"], "unauthorized");
    }
    EXPECT_EQ(call(url("/finalize"), "POST", "{}", headers).status, 401);
  }
  EXPECT_THAT(job_.commands(), testing::ElementsAre("pause"));
}

TEST_F(HttpServerTest, ThrowsAwayTheBodyOfWhoeverShowsNoToken) {
  options_.token = kToken;
  std::atomic<bool> empty = false;
  listen();
  ASSERT_TRUE(server_->serve([&](const HttpRequest& request) {
    empty = request.body.empty();
    return routes_.handle(request);
  }));
  EXPECT_EQ(call(url("/start"), "POST", std::string(100'000, ' ')).status, 401);
  EXPECT_TRUE(empty);
}

class HttpsServerTest : public HttpServerTest {
 protected:
  HttpsServerTest() { options_.tls = identity_; }
  [[nodiscard]] std::string https(const std::string& path) const {
    return fmt::format("https://localhost:{}{}", server_->port(), path);
  }
  TlsIdentity identity_ = make_test_identity();
};

TEST_F(HttpsServerTest, AnswersOverTls) {
  start();
  EXPECT_EQ(call(https("/status"), "GET", "", {}, identity_.certificate_pem).status, 200);
  const std::string own = fmt::format("Origin: https://localhost:{}", server_->port());
  EXPECT_EQ(call(https("/pause"), "POST", "", {own}, identity_.certificate_pem).status, 200);
  const std::string foreign = fmt::format("Origin: http://localhost:{}", server_->port());
  EXPECT_EQ(call(https("/pause"), "POST", "", {foreign}, identity_.certificate_pem).status, 403);
}

TEST_F(HttpsServerTest, SurvivesWhatIsNotTls) {
  start();
  for (const std::string& noise : {std::string("GET /status HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(100'000, '\x16'),
                                   std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)}) {
    Socket socket(server_->port());
    socket.write(noise);
    EXPECT_THAT(socket.read_all(5s), Not(HasSubstr("200 OK")));
    EXPECT_TRUE(socket.closed());
  }
  EXPECT_EQ(call(https("/status"), "GET", "", {}, identity_.certificate_pem).status, 200);
}

TEST_F(HttpsServerTest, IsRefusedWithAKeyOfAnotherCertificate) {
  options_.tls->key_pem = make_test_identity().key_pem;
  const auto server = HttpServer::listen(options_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message, HasSubstr("do not belong together"));
}

TEST_F(HttpServerTest, ShowsTheStatusWhileACommandTakesItsTime) {
  start();
  std::latch inside(1);
  std::latch open(1);
  job_.on_command = [&](const std::string&) {
    inside.count_down();
    open.wait();
    return Status{};
  };
  std::jthread pause([&] { EXPECT_EQ(call(url("/pause"), "POST").status, 200); });
  inside.wait();
  const auto begin = SteadyClock::now();
  EXPECT_EQ(call(url("/status"), "GET").status, 200);
  EXPECT_LT(SteadyClock::now() - begin, 1s);
  // Longer than the time a client has to send its request: that limit is not the handler's.
  std::this_thread::sleep_for(2500ms);
  open.count_down();
}

TEST_F(HttpServerTest, AnswersManyAtOnce) {
  start();
  std::vector<std::jthread> callers;
  callers.reserve(8);
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([this] {
      for (int n = 0; n < 25; ++n) EXPECT_EQ(call(url("/status"), "GET").status, 200);
    });
  }
}

TEST_F(HttpServerTest, SaysThatAPortIsTaken) {
  start();
  HttpOptions second = options_;
  second.port = server_->port();
  const auto refused = HttpServer::listen(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, fmt::format("cannot listen on 127.0.0.1 port {}: the port is taken", second.port));
}

TEST_F(HttpServerTest, SaysThatAnAddressIsNotOurs) {
  options_.address = "192.0.2.1";
  const auto foreign = HttpServer::listen(options_);
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message, HasSubstr("this machine does not have the address"));
  options_.address = "not an address";
  const auto wrong = HttpServer::listen(options_);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::invalid_argument);
}

TEST_F(HttpServerTest, LetsCallersWaitUntilItServes) {
  listen();
  std::jthread caller([this] { EXPECT_EQ(call(url("/status"), "GET").status, 200); });
  Socket early(server_->port());
  EXPECT_EQ(early.read_all(200ms), "");
  EXPECT_FALSE(early.closed());
  ASSERT_TRUE(server_->serve([this](const HttpRequest& request) { return routes_.handle(request); }));
}

TEST_F(HttpServerTest, FreesItsPortWhenItEnds) {
  start();
  const auto port = server_->port();
  EXPECT_EQ(call(url("/status"), "GET").status, 200);
  server_->stop_accepting();
  server_.reset();
  options_.port = port;
  start();
  EXPECT_EQ(call(url("/status"), "GET").status, 200);
}

TEST_F(HttpServerTest, FinishesACommandAfterItStoppedAccepting) {
  start();
  std::latch inside(1);
  std::latch open(1);
  job_.on_command = [&](const std::string&) {
    inside.count_down();
    open.wait();
    return Status{};
  };
  std::jthread pause([&] { EXPECT_EQ(call(url("/pause"), "POST").status, 200); });
  inside.wait();
  server_->stop_accepting();
  server_->stop_accepting();
  open.count_down();
  pause.join();
}

}  // namespace
}  // namespace plm
