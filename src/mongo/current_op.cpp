#include "mongo/current_op.h"

namespace plm::mongo {

bson::Document current_op_command(bson::View match, CommandText text) {
  bson::Builder command;
  command.append("aggregate", 1);
  {
    auto pipeline = command.array("pipeline");
    {
      auto stage = pipeline.document();
      auto operations = stage->document("$currentOp");
      operations->append("allUsers", true).append("truncateOps", text == CommandText::truncated);
    }
    auto stage = pipeline.document();
    stage->append("$match", match);
  }
  {
    auto cursor = command.document("cursor");
  }
  return command.take();
}

bool shows_operations(bson::View reply) { return !reply["cursor"].as_document()["firstBatch"].as_document().empty(); }

}  // namespace plm::mongo
