#include "mongo/apply_ops.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "mongo/error_translation.h"
#include "mongo/portable_writes.h"
#include "mongo/write_command.h"
#include "mongo/zero_timestamp.h"

namespace plm::mongo {
namespace {

constexpr std::size_t kMaxOperations = 500;
constexpr std::size_t kMaxCommandBytes = 8U << 20U;
constexpr std::size_t kMaxOperationBytes = 15U << 20U;
// Namespace, UUID, field names and lengths of one operation.
constexpr std::size_t kOperationOverheadBytes = 400;

using Kind = TargetOperation::Kind;
using Wait = DataConnection::Wait;

bool is_whole_document(const TargetOperation& operation) {
  return operation.kind != Kind::diff && operation.kind != Kind::erase;
}

std::size_t size_of(const TargetOperation& operation) {
  return operation.id.payload().size() + operation.body.size() + kOperationOverheadBytes;
}

// Writes {op, ns, ui, o, o2} elements; remembers the text of the last namespace.
class OperationWriter {
 public:
  explicit OperationWriter(bson::Builder::ArrayScope& array) : array_(array) {}

  void write(const TargetOperation& operation) {
    if (operation.twin != last_twin_) {
      last_twin_ = operation.twin;
      last_ns_ = operation.twin->ns.text();
    }
    const Kind kind = kind_on_server(operation);
    auto entry = array_.document();
    entry->append("op", code(kind));
    entry->append("ns", last_ns_);
    operation.twin->uuid.append_to(*entry, "ui");
    switch (kind) {
      case Kind::insert:
      case Kind::upsert:
        entry->append("o", operation.body);
        break;
      case Kind::replace:
        write_key(*entry, "o2", operation.id);
        entry->append("o", operation.body).append("b", true);  // inserts what is missing
        break;
      case Kind::diff:
        write_key(*entry, "o2", operation.id);
        entry->append("o", operation.body);
        break;
      case Kind::erase:
        write_key(*entry, "o", operation.id);
        break;
    }
  }

 private:
  // What begins with a name such as $set, or $v, would not be taken for a document.
  static Kind kind_on_server(const TargetOperation& operation) {
    if (operation.kind != Kind::replace || (*operation.body.begin()).key == "_id") return operation.kind;
    return Kind::upsert;
  }
  static std::string_view code(Kind kind) {
    switch (kind) {
      case Kind::insert:
      case Kind::upsert:
        return "i";  // on a document that exists it fails first, inside the server, and then replaces it
      case Kind::replace:
      case Kind::diff:
        return "u";
      case Kind::erase:
        return "d";
    }
    return {};
  }
  static void write_key(bson::Builder& entry, std::string_view field, const bson::Value& id) {
    auto key = entry.document(field);
    key->append("_id", id);
  }

  bson::Builder::ArrayScope& array_;
  const Twin* last_twin_ = nullptr;
  std::string last_ns_;
};

// An applyOps command on its way through the operations of one call.
class Applying {
 public:
  Applying(DataConnection& connection, const OperationRun& run, std::vector<OperationFailure>& failures)
      : connection_(connection),
        operations_(run.operations),
        first_position_(run.first_position),
        is_last_(run.is_last),
        failures_(failures) {}

  Status run() {
    while (done_ < operations_.size()) {
      if (is_gone(*operations_[done_].twin)) {
        failures_.push_back(rejected(first_position_ + done_, *gone_error_));
        ++done_;
        continue;
      }
      if (auto sent = send_some(); !sent) return sent;
    }
    return {};
  }

 private:
  Status send_some() {
    ApplyOpsCommand next = encode_apply_ops(operations_.subspan(done_), &connection_);
    const bool is_end = is_last_ && done_ + next.operations == operations_.size();
    Connection::Outcome outcome = connection_.apply_ops(next.command, is_end ? Wait::for_majority : Wait::in_settle);
    if (outcome.status) {
      done_ += next.operations;
      return {};
    }
    const bson::View reply = outcome.reply.view();
    // The first is the one on the fence.
    const auto applied = static_cast<std::size_t>(std::max<std::int64_t>(0, reply["applied"].as_int64()));
    const bool about_operations = !reply["ok"].as_bool() && applied > 0 && applied <= next.operations + 1;
    if (!about_operations) return fail(outcome.status.error());
    if (!reply["results"].as_document()["0"].as_bool()) return fail(connection_.fenced_off());
    if (auto concern = write_concern_error(reply)) return fail(std::move(*concern));
    return read_results(reply, applied - 1, outcome.status.error());
  }

  // `results` says true or false for each operation, behind that on the fence, up to
  // the one at which the server stopped. Code 8 means that it did not stop.
  Status read_results(bson::View reply, std::size_t applied, const Error& error) {
    std::size_t index = 0;
    bool fence = true;
    for (const bson::Element& result : reply["results"].as_document()) {
      if (std::exchange(fence, false)) continue;
      if (index >= applied) break;
      const std::size_t position = done_ + index;
      const bool stopped_here = error.server_code != server_code::no_such_key && index + 1 == applied;
      ++index;
      if (result.value.as_bool()) continue;
      const Status settled = stopped_here ? settle_stop(position, error) : settle_quiet_failure(position);
      if (!settled) return settled;
    }
    done_ += applied;
    return {};
  }

  Status settle_stop(std::size_t position, const Error& error) {
    if (retryable(error)) return fail(error);
    const TargetOperation& operation = operations_[position];
    const bool other_id =
        error.server_code == server_code::immutable_field || error.server_code == server_code::id_mismatch_on_replace;
    if (is_whole_document(operation) && other_id) {
      return settle(position, erase_and_insert(connection_, *operation.twin, operation.id, operation.body));
    }
    if (error.code == ErrorCode::not_found) {
      gone_ = operation.twin->uuid;
      gone_error_ = error;
    }
    failures_.push_back(rejected(first_position_ + position, error));
    return {};
  }

  // The server says no more than "false": for a diff that its document is
  // missing; anything else is tried by itself for the reason.
  Status settle_quiet_failure(std::size_t position) {
    const TargetOperation& operation = operations_[position];
    if (operation.kind == Kind::diff) {
      failures_.push_back(missing(first_position_ + position));
      return {};
    }
    return apply_portably(connection_, {operations_.subspan(position, 1), first_position_ + position},
                          DiffSupport::none, failures_);
  }

  Status settle(std::size_t position, const Status& status) {
    if (status) return {};
    if (retryable(status.error())) return status;
    failures_.push_back(rejected(first_position_ + position, status.error()));
    return {};
  }

  [[nodiscard]] bool is_gone(const Twin& twin) const { return gone_error_.has_value() && gone_ == twin.uuid; }

  DataConnection& connection_;
  std::span<const TargetOperation> operations_;
  std::size_t first_position_;
  bool is_last_;
  std::vector<OperationFailure>& failures_;
  std::size_t done_ = 0;
  Uuid gone_;  // the last collection that turned out not to exist
  std::optional<Error> gone_error_;
};

}  // namespace

bool expressible_in_apply_ops(const TargetOperation& operation) {
  if (size_of(operation) > kMaxOperationBytes) return false;
  if (is_whole_document(operation)) return !has_zero_timestamp(operation.body);
  return operation.kind != Kind::diff || !is_classic_update(operation.body);
}

ApplyOpsCommand encode_apply_ops(std::span<const TargetOperation> operations, const DataConnection* connection) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < operations.size() && count < kMaxOperations) {
    bytes += size_of(operations[count]);
    if (count > 0 && bytes > kMaxCommandBytes) break;
    ++count;
  }
  bson::Builder command(bytes + 1024);
  {
    auto array = command.array("applyOps");
    if (connection != nullptr) connection->append_fence_operation(array);
    OperationWriter writer(array);
    for (const TargetOperation& operation : operations.first(count)) writer.write(operation);
  }
  // Not atomic: otherwise the command takes the lock of the whole server.
  command.append("allowAtomic", false).append("alwaysUpsert", false).append("bypassDocumentValidation", true);
  if (connection != nullptr) connection->append_comment(command);
  return {std::move(command), count};
}

Status apply_ops(DataConnection& connection, const OperationRun& run, std::vector<OperationFailure>& failures) {
  return Applying(connection, run, failures).run();
}

}  // namespace plm::mongo
