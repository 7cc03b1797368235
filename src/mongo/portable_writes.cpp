#include "mongo/portable_writes.h"

#include <algorithm>

#include "mongo/error_translation.h"
#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

constexpr std::size_t kMaxRunStatements = 500;
constexpr std::size_t kMaxRunBytes = 8U << 20U;

using Kind = TargetOperation::Kind;
using Operations = std::span<const TargetOperation>;

void append_key_query(bson::Builder& statement, const bson::Value& id) {
  auto query = statement.document("q");
  auto equal = query->document("_id");
  equal->append("$eq", id);
}

void append_diff(bson::Builder& statement, bson::View body) {
  if (is_classic_update(body)) {
    statement.append("u", body);
    return;
  }
  auto pipeline = statement.array("u");
  auto stage = pipeline.document();
  auto apply = stage->document("$_internalApplyOplogUpdate");
  apply->append("oplogUpdate", body);
}

void append_statement(bson::Builder& statement, const TargetOperation& operation) {
  append_key_query(statement, operation.id);
  switch (operation.kind) {
    case Kind::insert:
    case Kind::upsert:
    case Kind::replace:
      append_replacement(statement, operation.body);
      statement.append("upsert", true);
      break;
    case Kind::diff:
      append_diff(statement, operation.body);
      break;
    case Kind::erase:
      statement.append("limit", 1);
      break;
  }
}

// One command for operations of one kind and collection. Ordered: two of them
// may mean the same document.
bson::Builder command_for(Operations run) {
  const Twin& twin = *run.front().twin;
  const bool erase = run.front().kind == Kind::erase;
  bson::Builder command;
  command.append(erase ? "delete" : "update", twin.ns.collection);
  {
    auto statements = command.array(erase ? "deletes" : "updates");
    for (const TargetOperation& operation : run) {
      auto statement = statements.document();
      append_statement(*statement, operation);
    }
  }
  if (!erase) command.append("bypassDocumentValidation", true);
  twin.uuid.append_to(command, "collectionUUID");
  return command;
}

// A replacement that the server takes for something else, or whose _id is
// equal to the stored one without being identical.
bool may_be_inserted_instead(const TargetOperation& operation, const Error& error) {
  if (operation.kind == Kind::diff || operation.kind == Kind::erase) return false;
  return has_dollar_field(operation.body) || error.server_code == server_code::immutable_field ||
         error.server_code == server_code::id_mismatch_on_replace;
}

class Writing {
 public:
  Writing(DataConnection& connection, const OperationRun& run, DiffSupport diffs,
          std::vector<OperationFailure>& failures)
      : connection_(connection), run_(run), diffs_(diffs), failures_(failures) {}

  Status run() {
    Operations operations = run_.operations;
    std::size_t position = run_.first_position;
    while (!operations.empty()) {
      if (!can_send(operations.front())) {
        failures_.push_back(missing(position));
        operations = operations.subspan(1);
        ++position;
        continue;
      }
      auto done = send(first_run(operations), position);
      if (!done) return fail(done.error());
      operations = operations.subspan(*done);
      position += *done;
    }
    return {};
  }

 private:
  [[nodiscard]] bool can_send(const TargetOperation& operation) const {
    return operation.kind != Kind::diff || diffs_ == DiffSupport::pipeline || is_classic_update(operation.body);
  }

  // The longest front part that one command can carry.
  [[nodiscard]] Operations first_run(Operations operations) const {
    const TargetOperation& first = operations.front();
    std::size_t bytes = 0;
    std::size_t count = 0;
    while (count < operations.size() && count < kMaxRunStatements) {
      const TargetOperation& next = operations[count];
      bytes += next.body.size() + next.id.payload().size();
      const bool alike = next.kind == first.kind && *next.twin == *first.twin && can_send(next);
      if (count > 0 && (!alike || bytes > kMaxRunBytes)) break;
      ++count;
    }
    return operations.first(count);
  }

  // How many operations are dealt with.
  Result<std::size_t> send(Operations run, std::size_t position) {
    bson::Builder command = command_for(run);
    const bool is_end = run_.is_last && &run.back() == &run_.operations.back();
    auto reply = connection_.write(run.front().twin->ns.database, command,
                                   is_end ? DataConnection::Wait::for_majority : DataConnection::Wait::in_settle);
    if (!reply) return fail(reply.error());
    const bson::Value entry = (*reply)["writeErrors"].as_document()["0"];
    if (entry.is_document()) return settle_error(run, position, entry.document());
    const auto matched = static_cast<std::size_t>((*reply)["n"].as_int64());
    if (run.front().kind != Kind::diff || matched >= run.size()) return run.size();
    if (run.size() > 1) return send_one_by_one(run, position);
    failures_.push_back(missing(position));
    return run.size();
  }

  // The reply says how many documents were found, not which: each is tried
  // by itself. To apply a diff twice in the same order does no harm (I5).
  Result<std::size_t> send_one_by_one(Operations run, std::size_t position) {
    for (std::size_t i = 0; i < run.size(); ++i) {
      auto done = send(run.subspan(i, 1), position + i);
      if (!done) return done;
    }
    return run.size();
  }

  // Everything in front of the failing statement was executed; whether all of
  // those found their documents is asked again if it matters.
  Result<std::size_t> settle_error(Operations run, std::size_t position, bson::View entry) {
    const auto index = std::min(static_cast<std::size_t>(entry["index"].as_int64()), run.size() - 1);
    Error error = write_error(entry);
    if (retryable(error)) return fail(std::move(error));
    if (error.server_code == server_code::collection_uuid_mismatch) return reject_all(run, position, error);
    if (run.front().kind == Kind::diff && index > 0) {
      auto again = send_one_by_one(run.first(index), position);
      if (!again) return again;
    }
    if (may_be_inserted_instead(run[index], error)) {
      const Status written = erase_and_insert(connection_, *run[index].twin, run[index].id, run[index].body);
      if (written) return index + 1;
      if (retryable(written.error())) return fail(written.error());
      error = written.error();
    }
    failures_.push_back(rejected(position + index, std::move(error)));
    return index + 1;
  }

  Result<std::size_t> reject_all(Operations run, std::size_t position, Error error) {
    error.code = ErrorCode::not_found;
    for (std::size_t i = 0; i < run.size(); ++i) failures_.push_back(rejected(position + i, error));
    return run.size();
  }

  DataConnection& connection_;
  const OperationRun& run_;
  DiffSupport diffs_;
  std::vector<OperationFailure>& failures_;
};

}  // namespace

bool is_classic_update(bson::View body) {
  const auto first = body.begin();
  return first != body.end() && (first->key.starts_with("$set") || first->key.starts_with("$unset"));
}

Status apply_portably(DataConnection& connection, const OperationRun& run, DiffSupport diffs,
                      std::vector<OperationFailure>& failures) {
  return Writing(connection, run, diffs, failures).run();
}

}  // namespace plm::mongo
