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

using Kind = TargetOperation::Kind;
using Wait = DataConnection::Wait;

OperationRun front_of(const OperationRun& run, std::size_t count) {
  return {run.operations.first(count), run.first_position, run.is_last && count == run.operations.size()};
}

OperationRun behind(const OperationRun& run, std::size_t count) {
  return {run.operations.subspan(count), run.first_position + count, run.is_last};
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
    const Twin& twin = *rest.operations.front().twin;
    const Way way = way_of(rest.operations.front());
    const auto end = std::ranges::find_if(rest.operations, [&](const TargetOperation& next) {
      return way_of(next) != way || (way == Way::insert && *next.twin != twin);
    });
    const OperationRun next = front_of(rest, static_cast<std::size_t>(end - rest.operations.begin()));
    if (auto written = write_alike(next, way); !written) {
      const std::string doing = way == Way::insert ? "inserting into " : "writing to ";
      return fail(written.error().within(doing + twin.ns.text()));
    }
    rest = behind(rest, next.operations.size());
  }
  return {};
}

OperationRuns::Way OperationRuns::way_of(const TargetOperation& operation) const {
  if (operation.kind == Kind::insert) return Way::insert;
  return mode_ == ApplyMode::exact && expressible_in_apply_ops(operation) ? Way::apply_ops : Way::portable;
}

Status OperationRuns::write_alike(const OperationRun& run, Way way) {
  switch (way) {
    case Way::insert:
      return insert(run);
    case Way::apply_ops:
      return apply_ops(connection_, run, failures_);
    case Way::portable:
      return apply_portably(connection_, run, diffs_, failures_);
  }
  return {};
}

Status OperationRuns::insert(const OperationRun& run) {
  auto outcome = insert_documents(
      [&](const std::string& database, bson::Builder& command, InsertPlace place) {
        const bool is_end = run.is_last && place == InsertPlace::last;
        return connection_.write(database, command, is_end ? Wait::for_majority : Wait::in_settle);
      },
      run.operations);
  if (outcome) {
    for (OperationFailure& failure : outcome->failures) {
      failure.index += run.first_position;
      failures_.push_back(std::move(failure));
    }
    return replace(run, outcome->not_stored);
  }
  Error& error = outcome.error();
  if (error.server_code != server_code::collection_uuid_mismatch) return fail(std::move(error));
  error.code = ErrorCode::not_found;
  for (std::size_t i = 0; i < run.operations.size(); ++i) failures_.push_back(rejected(run.first_position + i, error));
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
