#include "mongo/operation_runs.h"

#include <algorithm>
#include <string>

#include "mongo/apply_ops.h"
#include "mongo/insert_command.h"
#include "mongo/key_deletion.h"

namespace plm::mongo {
namespace {

// A transaction has two more round trips than it saves work for a few keys.
constexpr std::size_t kLeastErasesOfATransaction = 16;
constexpr std::size_t kElementBytes = 8;  // type and key of an array's element

using Kind = TargetOperation::Kind;
using Wait = DataConnection::Wait;

OperationRun front_of(const OperationRun& run, std::size_t count) {
  return {run.operations.first(count), run.first_position, run.is_last && count == run.operations.size()};
}

OperationRun behind(const OperationRun& run, std::size_t count) {
  return {run.operations.subspan(count), run.first_position + count, run.is_last};
}

// How many of the first operations, all inserts, one command holds.
std::size_t inserts_in_front(std::span<const TargetOperation> operations) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < operations.size() && count < static_cast<std::size_t>(kMaxInsertDocuments)) {
    bytes += operations[count].body.size() + kElementBytes;
    if (count > 0 && bytes > kMaxInsertBytes) break;
    ++count;
  }
  return count;
}

// {documents: [...]}
bson::Document array_of(std::span<const TargetOperation> inserts) {
  std::size_t bytes = 64;
  for (const TargetOperation& operation : inserts) bytes += operation.body.size() + kElementBytes;
  bson::Builder holder(bytes);
  {
    auto documents = holder.array("documents");
    for (const TargetOperation& operation : inserts) documents.append(operation.body);
  }
  return holder.take();
}

// How many of the first operations erase documents of one collection.
std::size_t erases_in_front(std::span<const TargetOperation> operations) {
  std::size_t count = 0;
  while (count < operations.size() && operations[count].kind == TargetOperation::Kind::erase &&
         *operations[count].twin == *operations.front().twin) {
    ++count;
  }
  return count;
}

// How many operations lie before the first run of many erases.
std::size_t before_many_erases(std::span<const TargetOperation> operations) {
  std::size_t count = 0;
  while (count < operations.size()) {
    const std::size_t erases = erases_in_front(operations.subspan(count));
    if (erases >= kLeastErasesOfATransaction) break;
    count += std::max<std::size_t>(erases, 1);
  }
  return count;
}

}  // namespace

Status OperationRuns::apply(Operations operations) {
  OperationRun rest{operations};
  while (!rest.operations.empty()) {
    const std::size_t others = before_many_erases(rest.operations);
    const OperationRun next = front_of(rest, others > 0 ? others : erases_in_front(rest.operations));
    if (auto done = others > 0 ? write(next) : erase(next); !done) return done;
    rest = behind(rest, next.operations.size());
  }
  return connection_.settle();
}

// What no transaction may erase is erased as a few are.
Status OperationRuns::erase(const OperationRun& erases) {
  std::vector<bson::Value> keys;
  keys.reserve(erases.operations.size());
  for (const TargetOperation& operation : erases.operations) keys.push_back(operation.id);
  Status deleted = delete_keys(connection_, *erases.operations.front().twin, keys);
  if (deleted || !is_refused_as_transaction(deleted.error())) return deleted;
  return write(erases);
}

Status OperationRuns::write(const OperationRun& run) {
  OperationRun rest = run;
  while (!rest.operations.empty()) {
    const TargetOperation& first = rest.operations.front();
    const auto end =
        std::ranges::find_if(rest.operations, [&](const TargetOperation& next) { return !are_alike(first, next); });
    const OperationRun next = front_of(rest, static_cast<std::size_t>(end - rest.operations.begin()));
    if (auto written = write_alike(next); !written) {
      const std::string doing = first.kind == Kind::insert ? "inserting into " : "writing to ";
      return fail(written.error().within(doing + first.twin->ns.text()));
    }
    rest = behind(rest, next.operations.size());
  }
  return {};
}

Status OperationRuns::write_alike(const OperationRun& run) {
  const TargetOperation& first = run.operations.front();
  if (first.kind == Kind::insert) return insert(run);
  return goes_by_apply_ops(first) ? apply_ops(connection_, run, failures_)
                                  : apply_portably(connection_, run, diffs_, failures_);
}

bool OperationRuns::are_alike(const TargetOperation& first, const TargetOperation& next) const {
  if ((first.kind == Kind::insert) != (next.kind == Kind::insert)) return false;
  if (first.kind == Kind::insert) return *first.twin == *next.twin;
  return goes_by_apply_ops(first) == goes_by_apply_ops(next);
}

bool OperationRuns::goes_by_apply_ops(const TargetOperation& operation) const {
  return mode_ == ApplyMode::exact && expressible_in_apply_ops(operation);
}

// As many as one command holds, and then the others.
Status OperationRuns::insert(const OperationRun& run) {
  OperationRun rest = run;
  while (!rest.operations.empty()) {
    const OperationRun part = front_of(rest, inserts_in_front(rest.operations));
    const bson::Document holder = array_of(part.operations);
    const bson::View documents = holder["documents"].document();
    auto outcome = insert_documents(
        [&](const std::string& database, bson::Builder& command) {
          return connection_.write(database, command, part.is_last ? Wait::for_majority : Wait::in_settle);
        },
        *part.operations.front().twin, documents);
    if (outcome) {
      for (OperationFailure& failure : outcome->failures) {
        failure.index += part.first_position;
        failures_.push_back(std::move(failure));
      }
      if (auto replaced = replace(part, not_stored(*outcome, documents)); !replaced) return replaced;
    } else if (outcome.error().server_code == server_code::collection_uuid_mismatch) {
      outcome.error().code = ErrorCode::not_found;
      for (std::size_t i = 0; i < part.operations.size(); ++i)
        failures_.push_back(rejected(part.first_position + i, outcome.error()));
    } else {
      return fail(std::move(outcome.error()));
    }
    rest = behind(rest, part.operations.size());
  }
  return {};
}

// What an insert did not store as it is.
Status OperationRuns::replace(const OperationRun& inserts, std::span<const std::size_t> positions) {
  std::vector<TargetOperation> replacements;
  for (const std::size_t position : positions) {
    replacements.push_back(inserts.operations[position]);
    replacements.back().kind = Kind::replace;
  }
  const std::size_t failed_before = failures_.size();
  if (auto written = write({replacements, 0, inserts.is_last}); !written) return written;
  for (OperationFailure& failure : std::span(failures_).subspan(failed_before)) {
    failure.index = inserts.first_position + positions[failure.index];
  }
  return {};
}

}  // namespace plm::mongo
