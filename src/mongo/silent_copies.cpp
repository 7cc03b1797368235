#include "mongo/silent_copies.h"

namespace plm::mongo {

Result<ClusterTime> behind_silent_copies(Connection& connection, const std::string& database) {
  bson::Builder command;
  command.append("aggregate", 1);
  {
    auto pipeline = command.array("pipeline");
    {
      auto stage = pipeline.document();
      auto operations = stage->document("$currentOp");
      operations->append("allUsers", true);
    }
    {
      auto stage = pipeline.document();
      auto match = stage->document("$match");
      match->append("command.$db", database);
      auto copies = match->document("command.cloneCollectionAsCapped");
      copies->append("$exists", true);
    }
  }
  {
    auto cursor = command.document("cursor");
  }
  auto reply = connection.run("admin", command.view());
  if (!reply) return fail(reply.error().within("looking for cloneCollectionAsCapped"));
  if ((*reply)["cursor"].as_document()["firstBatch"].as_document().empty()) return reply->operation_time();
  return fail(Error{ErrorCode::server,
                    server_code::background_operation,
                    {},
                    "cloneCollectionAsCapped is at work in database " + database});
}

}  // namespace plm::mongo
