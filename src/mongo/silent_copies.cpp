#include "mongo/silent_copies.h"

#include "mongo/current_op.h"

namespace plm::mongo {

Result<ClusterTime> behind_silent_copies(Connection& connection, const std::string& database) {
  bson::Builder match;
  match.append("command.$db", database);
  {
    auto copies = match.document("command.cloneCollectionAsCapped");
    copies->append("$exists", true);
  }
  auto reply = connection.run("admin", current_op_command(match.view()).view());
  if (!reply) return fail(reply.error().within("looking for cloneCollectionAsCapped"));
  if (!shows_operations(reply->view())) return reply->operation_time();
  return fail(Error{ErrorCode::server,
                    server_code::background_operation,
                    {},
                    "cloneCollectionAsCapped is at work in database " + database});
}

}  // namespace plm::mongo
