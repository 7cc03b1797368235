// What a server is working on, of all users: $currentOp, which needs the
// privilege inprog.
#pragma once

#include <string_view>

#include "base/error.h"
#include "bson/document.h"
#include "mongo/connection.h"

namespace plm::mongo {

enum class CommandText {
  whole,
  truncated,  // of a long command only the comment stays searchable
};

// To be run on "admin". `match` selects operations, as $match does.
[[nodiscard]] bson::Document current_op_command(bson::View match, CommandText text = CommandText::whole);

// Whether the reply to that shows any.
[[nodiscard]] bool shows_operations(bson::View reply);

// Until the server works on no command any more whose comment matches the regular
// expression. Errors: those of asking; network after 20 seconds in vain.
Status wait_until_done(Connection& connection, std::string_view comment);

}  // namespace plm::mongo
