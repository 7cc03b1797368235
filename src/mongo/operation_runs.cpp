#include "mongo/operation_runs.h"

#include <algorithm>

#include "mongo/apply_ops.h"
#include "mongo/key_deletion.h"

namespace plm::mongo {
namespace {

// A transaction has two more round trips than it saves work for a few keys.
constexpr std::size_t kLeastErasesOfATransaction = 16;

// How many of the first operations erase documents of one collection.
std::size_t erases_in_front(std::span<const TargetOperation> operations) {
  std::size_t count = 0;
  while (count < operations.size() && operations[count].kind == TargetOperation::Kind::erase &&
         *operations[count].twin == *operations.front().twin) {
    ++count;
  }
  return count;
}

}  // namespace

Status OperationRuns::apply(Operations operations) {
  std::size_t position = 0;
  while (position < operations.size()) {
    const Operations rest = operations.subspan(position);
    const Way way = way_of(rest);
    const Operations run = rest.first(run_length(rest, way));
    if (auto applied = apply_run(run, way, position); !applied) return applied;
    position += run.size();
  }
  return {};
}

OperationRuns::Way OperationRuns::way_of(Operations operations) const {
  if (erases_in_front(operations) >= kLeastErasesOfATransaction) return Way::key_deletion;
  return mode_ == ApplyMode::exact && expressible_in_apply_ops(operations.front()) ? Way::apply_ops : Way::portable;
}

std::size_t OperationRuns::run_length(Operations operations, Way way) const {
  if (way == Way::key_deletion) return erases_in_front(operations);
  std::size_t count = 1;
  while (count < operations.size()) {
    // A few erases are not counted again for each of them.
    const std::size_t erases = erases_in_front(operations.subspan(count));
    if (erases >= kLeastErasesOfATransaction) break;
    if (erases == 0 && way_of(operations.subspan(count)) != way) break;
    count += std::max<std::size_t>(erases, 1);
  }
  return count;
}

Status OperationRuns::apply_run(Operations run, Way way, std::size_t position) {
  switch (way) {
    case Way::key_deletion:
      return erase(run, position);
    case Way::apply_ops:
      return apply_ops(connection_, run, position, failures_);
    case Way::portable:
      return apply_portably(connection_, run, diffs_, position, failures_);
  }
  return {};
}

// What no transaction may touch, such as a capped collection, and what a query
// cannot name, is erased as a few are.
Status OperationRuns::erase(Operations run, std::size_t position) {
  std::vector<bson::Value> keys;
  keys.reserve(run.size());
  for (const TargetOperation& operation : run) keys.push_back(operation.id);
  Status deleted = delete_keys(connection_, *run.front().twin, keys);
  if (deleted || retryable(deleted.error()) || deleted.error().code == ErrorCode::superseded) return deleted;
  return apply_run(run, mode_ == ApplyMode::exact ? Way::apply_ops : Way::portable, position);
}

}  // namespace plm::mongo
