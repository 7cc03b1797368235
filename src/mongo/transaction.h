// Multi-document transactions in a named session.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "mongo/connection.h"
#include "mongo/named_session.h"

namespace plm::mongo {

// Judges the reply to a statement; an error ends the transaction.
using JudgeReply = std::function<Status(std::size_t statement, bson::View reply)>;

// Runs the statements, commands without session and write concern, all or none,
// acknowledged by a majority. What an earlier transaction of the session has
// left open is gone with the first statement. Without an answer to the commit
// the outcome is unknown until the session's next number is used. Errors:
// superseded, when the session was used with a newer epoch.
Status run_transaction(Connection& connection, NamedSession& session, const std::string& database,
                       std::span<const bson::Document> statements, const JudgeReply& judge);

}  // namespace plm::mongo
