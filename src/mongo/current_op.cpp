#include "mongo/current_op.h"

#include <chrono>
#include <thread>

namespace plm::mongo {

namespace {

constexpr std::chrono::milliseconds kDoneInterval{20};
constexpr std::chrono::seconds kDoneLimit{20};

}  // namespace

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

Status wait_until_done(Connection& connection, std::string_view comment) {
  bson::Builder match;
  {
    auto pattern = match.document("command.comment");
    pattern->append("$regex", comment);
  }
  const bson::Document command = current_op_command(match.view(), CommandText::truncated);
  const auto deadline = std::chrono::steady_clock::now() + kDoneLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    auto reply = connection.run("admin", command.view());
    if (!reply) return fail(reply.error().within("looking for commands of the past"));
    if (!shows_operations(reply->view())) return {};
    std::this_thread::sleep_for(kDoneInterval);
  }
  return fail(ErrorCode::network, "the target still works on commands of the past");
}

}  // namespace plm::mongo
