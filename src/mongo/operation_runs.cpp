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
  std::size_t position = 0;
  while (position < operations.size()) {
    const Operations rest = operations.subspan(position);
    std::size_t count = before_many_erases(rest);
    Status done;
    if (count > 0) {
      done = write(rest.first(count), position);
    } else {
      count = erases_in_front(rest);
      done = erase(rest.first(count), position);
    }
    if (!done) return done;
    position += count;
  }
  return {};
}

// What no transaction may erase is erased as a few are.
Status OperationRuns::erase(Operations erases, std::size_t position) {
  std::vector<bson::Value> keys;
  keys.reserve(erases.size());
  for (const TargetOperation& operation : erases) keys.push_back(operation.id);
  Status deleted = delete_keys(connection_, *erases.front().twin, keys);
  if (deleted || !is_refused_as_transaction(deleted.error())) return deleted;
  return write(erases, position);
}

Status OperationRuns::write(Operations operations, std::size_t position) {
  while (!operations.empty()) {
    const bool exactly = goes_by_apply_ops(operations.front());
    const auto end = std::ranges::find_if(
        operations, [&](const TargetOperation& next) { return goes_by_apply_ops(next) != exactly; });
    const Operations run = operations.first(static_cast<std::size_t>(end - operations.begin()));
    const Status applied = exactly ? apply_ops(connection_, run, position, failures_)
                                   : apply_portably(connection_, run, diffs_, position, failures_);
    if (!applied) return applied;
    operations = operations.subspan(run.size());
    position += run.size();
  }
  return {};
}

bool OperationRuns::goes_by_apply_ops(const TargetOperation& operation) const {
  return mode_ == ApplyMode::exact && expressible_in_apply_ops(operation);
}

}  // namespace plm::mongo
