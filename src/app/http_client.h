// One HTTP call to a daemon, by libcurl.
#pragma once

#include <chrono>
#include <string>

#include "base/error.h"

namespace plm {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

struct HttpCall {
  std::string method;  // "GET" or "POST"
  std::string url;
  std::string body;  // JSON, of a POST; may be empty
  std::chrono::seconds time_limit{10};
  std::string token;    // shown to the daemon; empty: none
  std::string ca_file;  // PEM; empty: the system's authorities
};

// Follows no redirects and asks no proxy: a proxy variable meant for the
// internet must not catch a call to this machine. Errors: network, one line
// that names the URL, never the token.
[[nodiscard]] Result<HttpAnswer> http_call(const HttpCall& call);

}  // namespace plm
