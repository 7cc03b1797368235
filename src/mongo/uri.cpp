#include "mongo/uri.h"

#include <fmt/format.h>
#include <mongoc/mongoc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "mongo/handles.h"
#include "mongo/runtime.h"

namespace plm {
namespace {

// Options whose values are, or may hold, secrets.
constexpr std::array<std::string_view, 4> kSecretOptions = {
    "tlscertificatekeyfilepassword", "sslclientcertificatekeypassword", "authmechanismproperties", "proxypassword"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string redacted_options(std::string_view options) {
  std::string out;
  while (!options.empty()) {
    const auto end = options.find_first_of("&;");
    const std::string_view option = options.substr(0, end);
    const auto equals = option.find('=');
    const bool secret = equals != std::string_view::npos &&
                        std::ranges::find(kSecretOptions, lower(option.substr(0, equals))) != kSecretOptions.end();
    out += secret ? std::string(option.substr(0, equals + 1)) + "***" : std::string(option);
    if (end == std::string_view::npos) break;
    out += options[end];
    options.remove_prefix(end + 1);
  }
  return out;
}

// What stands between "://" and the last "@": user and password.
std::string_view credentials(std::string_view uri) {
  const auto scheme = uri.find("://");
  const auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto at = uri.rfind('@');
  return at == std::string_view::npos || at < start ? std::string_view() : uri.substr(start, at - start);
}

// The driver may quote a piece of a URI that it could not take apart.
bool quotes_a_secret(std::string_view message, std::string_view uri) {
  std::string_view rest = credentials(uri);
  while (!rest.empty()) {
    const auto end = rest.find_first_of(":/@?&=");
    const std::string_view piece = rest.substr(0, end);
    if (piece.size() > 1 && message.find(piece) != std::string_view::npos) return true;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return false;
}

std::vector<std::string> hosts_of(const mongoc_uri_t* uri) {
  if (const char* service = mongoc_uri_get_srv_hostname(uri)) return {service};
  std::vector<std::string> out;
  for (const mongoc_host_list_t* host = mongoc_uri_get_hosts(uri); host != nullptr; host = host->next) {
    out.emplace_back(host->host_and_port);
  }
  return out;
}

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

// The driver does not say which file of certificates it could not read.
Status check_files(const mongoc_uri_t* uri) {
  for (const char* option : {MONGOC_URI_TLSCAFILE, MONGOC_URI_TLSCERTIFICATEKEYFILE}) {
    const char* path = mongoc_uri_get_option_as_utf8(uri, option, nullptr);
    if (path == nullptr || access(path, R_OK) == 0) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: cannot read {}: {}", option, path, std::generic_category().message(errno)));
  }
  return {};
}

}  // namespace

std::string redacted(const std::string& uri) {
  std::string out = uri;
  const std::string_view secret = credentials(out);
  if (!secret.empty()) {
    const auto start = static_cast<std::size_t>(secret.data() - out.data());
    const auto colon = secret.find(':');
    if (colon == std::string_view::npos && secret.find_first_of("/@") == std::string_view::npos) {
      // a user without a password
    } else if (colon == std::string_view::npos) {
      out.replace(start, secret.size(), "***");
    } else {
      out.replace(start + colon + 1, secret.size() - colon - 1, "***");
    }
  }
  const auto question = out.find('?');
  if (question == std::string::npos) return out;
  return out.substr(0, question + 1) + redacted_options(std::string_view(out).substr(question + 1));
}

Result<ParsedUri> parse_uri(const std::string& text) {
  constexpr std::string_view kUnescaped = "malformed; special characters of user and password must be percent-encoded";
  mongo::ensure_runtime();
  if (text.empty()) return fail(ErrorCode::invalid_argument, "the URI is empty");
  bson_error_t error{};
  const mongo::UriHandle uri(mongoc_uri_new_with_error(text.c_str(), &error));
  if (!uri) {
    std::string why = error.message;
    if (why.empty()) why = "malformed";
    if (quotes_a_secret(why, text)) why = kUnescaped;
    return fail(ErrorCode::invalid_argument, "not a valid MongoDB URI: " + why);
  }
  // The driver ends a password at its first "@" and would ask for the rest as a host, and quote it.
  std::vector<std::string> hosts = hosts_of(uri.get());
  if (std::ranges::any_of(hosts, [](const std::string& host) { return host.find('@') != std::string::npos; })) {
    return fail(ErrorCode::invalid_argument, fmt::format("not a valid MongoDB URI: {}", kUnescaped));
  }
  if (auto readable = check_files(uri.get()); !readable) return fail(std::move(readable.error()));
  return ParsedUri{text, redacted(text), std::move(hosts), text_of(mongoc_uri_get_replica_set(uri.get())),
                   text_of(mongoc_uri_get_username(uri.get()))};
}

}  // namespace plm
