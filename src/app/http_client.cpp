#include "app/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

namespace plm {

namespace {

constexpr std::size_t kMaxAnswerBytes = std::size_t{64} << 20;  // 10,000 collections being copied are 1 MB
constexpr std::chrono::seconds kConnectLimit{5};

void ensure_curl() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)done;
}

// Called by C code: hangs up by taking less than there is.
std::size_t take_piece(char* data, std::size_t /*one*/, std::size_t size, void* out) noexcept {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size > kMaxAnswerBytes) return 0;
  try {
    body.append(data, size);
  } catch (...) {
    return 0;
  }
  return size;
}

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

void set_call(CURL* curl, const HttpCall& call, HttpAnswer& answer, char* error) {
  curl_easy_setopt(curl, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(kConnectLimit.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(call.time_limit.count()));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_piece);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  if (!call.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, call.ca_file.c_str());
  if (call.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
  }
}

}  // namespace

Result<HttpAnswer> http_call(const HttpCall& call) {
  ensure_curl();
  const Handle curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) return fail(ErrorCode::network, "cannot start an HTTP call");
  HttpAnswer answer;
  char error[CURL_ERROR_SIZE] = {};
  set_call(curl.get(), call, answer, error);
  Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"), &curl_slist_free_all);
  if (!call.token.empty()) {
    const std::string line = "Authorization: Bearer " + call.token;
    // The list begins where it did.
    if (curl_slist_append(headers.get(), line.c_str()) == nullptr) {
      return fail(ErrorCode::network, "cannot start an HTTP call");
    }
  }
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());

  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK) {
    const char* reason = error[0] != '\0' ? error : curl_easy_strerror(code);
    return fail(ErrorCode::network, fmt::format("cannot reach {}: {}", call.url, reason));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  return answer;
}

}  // namespace plm
