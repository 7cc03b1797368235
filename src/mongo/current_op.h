// What a server is working on, of all users: $currentOp, which needs the
// privilege inprog.
#pragma once

#include "bson/document.h"

namespace plm::mongo {

enum class CommandText {
  whole,
  truncated,  // of a long command only the comment stays searchable
};

// To be run on "admin". `match` selects operations, as $match does.
[[nodiscard]] bson::Document current_op_command(bson::View match, CommandText text = CommandText::whole);

// Whether the reply to that shows any.
[[nodiscard]] bool shows_operations(bson::View reply);

}  // namespace plm::mongo
