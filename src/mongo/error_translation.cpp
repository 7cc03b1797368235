#include "mongo/error_translation.h"

#include <algorithm>

namespace plm::mongo {
namespace {

std::vector<std::string> labels_of(bson::View reply) {
  std::vector<std::string> out;
  for (const bson::Element& label : reply["errorLabels"].as_document()) out.emplace_back(label.value.as_string());
  return out;
}

// The driver calls it a failed authentication, too, when the connection breaks meanwhile; only the message tells.
bool broke_while_authenticating(const bson_error_t& error) {
  return std::string_view(error.message).starts_with("Failed to send \"");
}

// Whether the driver never got an answer.
bool is_network(const bson_error_t& error) {
  switch (error.domain) {
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_SERVER_SELECTION:
    case MONGOC_ERROR_PROTOCOL:
    case MONGOC_ERROR_POOL:
      return true;
    case MONGOC_ERROR_CLIENT:
      return error.code == MONGOC_ERROR_CLIENT_NOT_READY || error.code == MONGOC_ERROR_CLIENT_SESSION_FAILURE ||
             broke_while_authenticating(error);
    case MONGOC_ERROR_SASL:
    case MONGOC_ERROR_SCRAM:
      return broke_while_authenticating(error);
    default:
      return false;
  }
}

bool is_authentication(const bson_error_t& error) {
  if (broke_while_authenticating(error)) return false;
  return error.domain == MONGOC_ERROR_SASL || error.domain == MONGOC_ERROR_SCRAM ||
         (error.domain == MONGOC_ERROR_CLIENT &&
          (error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE || error.code == MONGOC_ERROR_CLIENT_GETNONCE));
}

}  // namespace

std::string without_values(std::string_view message) {
  std::string out(message.substr(0, message.find('{')));
  std::ranges::replace(out, '\n', ' ');
  while (!out.empty() && (out.back() == ' ' || out.back() == ':')) out.pop_back();
  return out;
}

Error server_error(int code, std::string_view message) {
  const ErrorCode kind = code == server_code::namespace_not_found ? ErrorCode::not_found : ErrorCode::server;
  return {kind, code, {}, without_values(message)};
}

Error to_error(const bson_error_t& error, bson::View reply) {
  if (const bson::Value code = reply["code"]; code.is_number() && error.domain != MONGOC_ERROR_STREAM) {
    Error out = server_error(static_cast<int>(code.as_int64()), reply["errmsg"].as_string(error.message));
    out.labels = labels_of(reply);
    return out;
  }
  Error out;
  out.message = without_values(error.message);
  out.labels = labels_of(reply);
  if (is_authentication(error)) {
    out.server_code = server_code::authentication_failed;
  } else if (is_network(error)) {
    out.code = ErrorCode::network;
  } else if (error.domain == MONGOC_ERROR_SERVER || error.domain == MONGOC_ERROR_WRITE_CONCERN) {
    out.server_code = static_cast<int>(error.code);
  } else {
    out.code = ErrorCode::invalid_argument;
  }
  return out;
}

std::optional<Error> write_concern_error(bson::View reply) {
  const bson::Value entry = reply["writeConcernError"];
  if (!entry.is_document()) return std::nullopt;
  const bson::View details = entry.document();
  Error out = server_error(static_cast<int>(details["code"].as_int64()), details["errmsg"].as_string());
  out.labels = labels_of(reply);
  return out;
}

Error write_error(bson::View entry) {
  return server_error(static_cast<int>(entry["code"].as_int64()), entry["errmsg"].as_string());
}

}  // namespace plm::mongo
