// The one place where what the driver and the servers report becomes a
// plm::Error. Servers quote documents and whole commands in braces: that part
// of a message is cut off.
#pragma once

#include <mongoc/mongoc.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "bson/view.h"

namespace plm::mongo {

// One line, without anything in braces.
std::string without_values(std::string_view message);

// An error that a server answered with. A namespace or UUID that does not exist
// becomes not_found; the code of the server stays.
Error server_error(int code, std::string_view message);

// Of a call that failed. `reply` may be empty.
Error to_error(const bson_error_t& error, bson::View reply);

// The writeConcernError of a reply that says ok:1; none when there is none.
std::optional<Error> write_concern_error(bson::View reply);

// One element of writeErrors: {index, code, errmsg, keyPattern, ...}.
Error write_error(bson::View entry);

}  // namespace plm::mongo
