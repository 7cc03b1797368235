#include "mongo/transaction.h"

#include <algorithm>

#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

using Place = NamedSession::Place;

// Conflicts with other writes pass within moments.
constexpr int kMostTransactionAttempts = 5;
constexpr int kNoSuchTransaction = 251;
constexpr int kTransactionCommitted = 256;
// "… can start a new transaction at the active transaction number": a process before
// this one, or one beside it, had the same number. The next one is higher.
constexpr int kConflictingOperationInProgress = 117;

bool is_transient(const Error& error) {
  if (error.code != ErrorCode::server) return false;
  // The server ended the transaction by itself; it does not always say so with the label.
  if (error.server_code == kNoSuchTransaction || error.server_code == kTransactionCommitted) return true;
  if (error.server_code == kConflictingOperationInProgress) return true;
  return std::ranges::find(error.labels, "TransientTransactionError") != error.labels.end();
}

Error told_apart(Error error) {
  if (error.server_code == server_code::transaction_too_old) error.code = ErrorCode::superseded;
  return error;
}

Status run_statement(Connection& connection, const NamedSession& session, const std::string& database,
                     const bson::Document& statement, std::size_t index, const JudgeReply& judge) {
  bson::Builder command(statement.size_bytes() + 256);
  command.append_all(statement.view());
  auto reply = session.run_in_transaction(connection, database, command, index == 0 ? Place::first : Place::later);
  if (!reply) return fail(told_apart(std::move(reply.error())));
  return judge(index, reply->view());
}

Status commit_transaction(Connection& connection, const NamedSession& session) {
  bson::Builder command;
  command.append("commitTransaction", 1);
  append_majority_write(command);
  auto reply = session.run_in_transaction(connection, "admin", command, Place::later);
  if (!reply) return fail(told_apart(std::move(reply.error())));
  return {};
}

// Releases its locks at once; otherwise the session's next number does.
void abort_transaction(Connection& connection, const NamedSession& session) {
  bson::Builder command;
  command.append("abortTransaction", 1);
  (void)session.run_in_transaction(connection, "admin", command, Place::later);
}

Status attempt_transaction(Connection& connection, NamedSession& session, const std::string& database,
                           std::span<const bson::Document> statements, const JudgeReply& judge) {
  session.advance();
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const Status done = run_statement(connection, session, database, statements[i], i, judge);
    if (done) continue;
    if (done.error().code != ErrorCode::network) abort_transaction(connection, session);
    return done;
  }
  return commit_transaction(connection, session);
}

}  // namespace

Status run_transaction(Connection& connection, NamedSession& session, const std::string& database,
                       std::span<const bson::Document> statements, const JudgeReply& judge) {
  for (int i = 1;; ++i) {
    Status done = attempt_transaction(connection, session, database, statements, judge);
    if (done || i == kMostTransactionAttempts || !is_transient(done.error())) return done;
  }
}

}  // namespace plm::mongo
