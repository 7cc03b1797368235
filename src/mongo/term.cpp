#include "mongo/term.h"

#include <utility>

namespace plm::mongo {

Result<Term> term_of(Connection& connection) {
  bson::Builder command;
  command.append("hello", 1);
  auto reply = connection.run("admin", command.view());
  if (!reply) return fail(reply.error().within("asking for the target's term"));
  const bson::Value election = (*reply)["electionId"];
  if (election.type() != BSON_TYPE_OID) {
    return fail(Error{ErrorCode::server, server_code::not_writable_primary, {}, "the target has no primary just now"});
  }
  const auto bytes = election.payload();
  return Term(bytes.begin(), bytes.end());
}

Status expect_term(Connection& connection, Term& term) {
  auto now = term_of(connection);
  if (!now) return fail(std::move(now.error()));
  if (*now == std::exchange(term, *now)) return {};
  return fail(Error{ErrorCode::server, server_code::primary_stepped_down, {}, "the target has elected a primary"});
}

}  // namespace plm::mongo
