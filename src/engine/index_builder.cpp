#include "engine/index_builder.h"

#include <algorithm>
#include <utility>

namespace plm {

namespace {

Status gave_way() { return fail(ErrorCode::cancelled, "the build gave way to a change of the collection"); }

}  // namespace

Result<Step> IndexBuilder::step() {
  if (stopped_.load()) return Step::waiting;
  if (!job_) {
    job_ = jobs_.take(signal());
    if (!job_) return Step::waiting;
    results_.clear();
  }
  if (job_->stop->load()) {
    // A change of the collection goes first; the Router queues these again.
    for (const IndexSpec& index : job_->indexes) results_.push_back({index.name(), gave_way()});
    finish();
    return Step::worked;
  }
  if (!backoff_.ready(clock_.steady_now())) return Step::waiting;

  std::vector<IndexSpec> again;
  const auto cancelled = [this] { return stopped_.load() || job_->stop->load(); };
  for (IndexResult& result : target_.create_indexes(job_->twin, job_->indexes, cancelled)) {
    // The change that wants the way aborts builds by dropping indexes of their
    // names; what was finished in that moment may be gone, too.
    if (result.status && job_->stop->load()) result.status = gave_way();
    if (!result.status && result.status.error().code == ErrorCode::superseded) return fail(result.status.error());
    if (result.status || !worth_waiting(result.status.error())) {
      results_.push_back(std::move(result));
      continue;
    }
    progress_.retrying("index " + result.name + " of " + job_->twin.ns.text() + ": " + result.status.error().message);
    again.push_back(*std::ranges::find(job_->indexes, result.name, &IndexSpec::name));
  }
  job_->indexes = std::move(again);
  if (!job_->indexes.empty()) {
    backoff_.failed(clock_.steady_now());
    return Step::waiting;
  }
  backoff_.succeeded();
  finish();
  return Step::worked;
}

void IndexBuilder::finish() {
  router_.post(IndexesBuilt{job_->collection, std::exchange(results_, {})});
  job_.reset();
}

}  // namespace plm
