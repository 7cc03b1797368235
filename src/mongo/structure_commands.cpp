#include "mongo/structure_commands.h"

#include <fmt/format.h>

#include "mongo/current_op.h"
#include "mongo/write_command.h"

namespace plm::mongo {

namespace {

std::string comment_of(Epoch epoch, std::int64_t generation) {
  return fmt::format("plm structure {} {}", epoch, generation);
}

}  // namespace

// Those of the generation before that are answered meanwhile are waited for too.
Result<std::string> StructureCommands::settled_comment() {
  const std::lock_guard lock(mutex_);
  const Epoch epoch = writers_.epoch();
  if (unsettled_) {
    auto connection = pool_.connect();
    if (!connection) return fail(std::move(connection.error()));
    auto done = wait_until_done(*connection, fmt::format("^{}$", comment_of(epoch, generation_)));
    if (!done) return fail(std::move(done.error()));
    ++generation_;
    unsettled_ = false;
  }
  return comment_of(epoch, generation_);
}

Status StructureCommands::run(const std::string& database, bson::Builder& command) {
  auto comment = settled_comment();
  if (!comment) return fail(std::move(comment.error()));
  command.append("comment", *comment);
  const Status done = run_long(pool_, database, command);
  if (!done && done.error().code == ErrorCode::network) {
    const std::lock_guard lock(mutex_);
    unsettled_ = true;
  }
  return done;
}

Status StructureCommands::run_long(Pool& patient, const std::string& database, bson::Builder& command) {
  if (auto confirmed = writers_.confirm_lease(); !confirmed) return confirmed;
  auto connection = patient.connect();
  if (!connection) return fail(connection.error());
  append_majority_write(command);
  auto reply = connection->run(database, command.view());
  if (!reply) return fail(reply.error());
  return {};
}

}  // namespace plm::mongo
