#include "engine/copy_scheduler.h"

#include <algorithm>

#include "base/check.h"
#include "engine/planner.h"

namespace plm {

void CopyScheduler::add(const Collection& collection) {
  if (collection.twin_state == TwinState::wanted || !collection.planned) {
    to_prepare_.push_back(collection.uuid());
  } else if (collection.twin_state == TwinState::ready) {
    twin_is_ready(collection);
  }
}

void CopyScheduler::twin_is_ready(const Collection& collection) {
  for (std::size_t i = 0; i < collection.ranges.size(); ++i) {
    if (collection.ranges[i].state != RangeState::pending || collection.ranges[i].assigned) continue;
    pending_.push({weight_of(collection.estimate), {collection.uuid(), i}});
  }
}

void CopyScheduler::hand_out(ClusterTime position) {
  while (outstanding_ < settings_.workers) {
    if (!hand_out_preparation() && !hand_out_range(position)) return;
  }
}

bool CopyScheduler::hand_out_preparation() {
  while (!to_prepare_.empty()) {
    Collection* collection = catalog_.find(to_prepare_.front());
    to_prepare_.pop_front();
    // Dropped meanwhile, or in the queue twice.
    if (collection == nullptr || (collection->twin_state != TwinState::wanted && collection->planned)) continue;
    if (collection->twin_state == TwinState::preparing) continue;
    PrepareJob job;
    job.spec = collection->spec;
    job.create_twin = collection->twin_state == TwinState::wanted;
    job.range_bytes = settings_.range_bytes;
    if (job.create_twin) collection->twin_state = TwinState::preparing;
    ++running_[collection->uuid()];
    ++outstanding_;
    jobs_.put(std::move(job));
    return true;
  }
  return false;
}

bool CopyScheduler::hand_out_range(ClusterTime position) {
  while (!stopped_.empty()) {
    const RangeId id = stopped_.front();
    stopped_.pop_front();
    Collection* collection = catalog_.find(id.collection);
    if (collection == nullptr || id.index >= collection->ranges.size()) continue;
    const Range& range = collection->ranges[id.index];
    if (range.state != RangeState::copying || range.assigned) continue;
    give(*collection, id.index, range.start);
    return true;
  }
  std::vector<Candidate> passed_over;
  bool given = false;
  while (!given && !pending_.empty()) {
    const Candidate candidate = pending_.top();
    pending_.pop();
    Collection* collection = catalog_.find(candidate.range.collection);
    if (collection == nullptr || candidate.range.index >= collection->ranges.size()) continue;
    const Range& range = collection->ranges[candidate.range.index];
    if (range.state != RangeState::pending || range.assigned || collection->twin_state != TwinState::ready) continue;
    const bool one_more = !running_.contains(collection->uuid());
    if (settings_.parallel_collections > 0 && one_more && running_.size() >= settings_.parallel_collections) {
      passed_over.push_back(candidate);
      continue;
    }
    give(*collection, candidate.range.index, position);
    given = true;
  }
  for (const Candidate& candidate : passed_over) pending_.push(candidate);
  return given;
}

void CopyScheduler::give(Collection& collection, std::size_t index, ClusterTime position) {
  Range& range = collection.ranges[index];
  CopyJob job;
  if (range.state == RangeState::pending) {
    job.clear_first = range.touched;
    range.state = RangeState::copying;
    range.start = position;
    range.keep = std::make_unique<Keep>(keep_budget_);
    range.resume_at = {};
    range.touched = true;
    catalog_.touch(collection, range);
  }
  range.assigned = true;
  job.range = {collection.uuid(), index};
  job.collection = collection.ref;
  job.bounds = range.bounds;
  job.after = range.start;
  job.natural_order = collection.spec.is_capped();
  job.resume_at = range.resume_at;
  auto& stop = stops_[collection.uuid()];
  if (!stop || stop->load()) stop = std::make_shared<std::atomic<bool>>(false);
  job.stop = stop;
  ++running_[collection.uuid()];
  ++outstanding_;
  jobs_.put(std::move(job));
}

void CopyScheduler::ended(const Collection& collection) {
  CHECK(outstanding_ > 0);
  --outstanding_;
  const auto count = running_.find(collection.uuid());
  CHECK(count != running_.end());
  if (--count->second == 0) {
    running_.erase(count);
    stops_.erase(collection.uuid());
  }
}

void CopyScheduler::stop(const Uuid& collection) {
  if (const auto found = stops_.find(collection); found != stops_.end()) found->second->store(true);
}

void CopyScheduler::stop_all() {
  for (const auto& [uuid, flag] : stops_) flag->store(true);
}

bool CopyScheduler::busy(const Uuid& collection) const { return running_.contains(collection); }

void CopyScheduler::discard(Collection& collection, Range& range) {
  CHECK(range.state == RangeState::copying);
  range.state = RangeState::pending;
  range.keep.reset();
  range.resume_at = {};
  catalog_.touch(collection, range);
}

void CopyScheduler::resume(const Collection& collection) {
  for (std::size_t i = 0; i < collection.ranges.size(); ++i) {
    const Range& range = collection.ranges[i];
    if (range.state == RangeState::copying && !range.assigned) stopped_.push_back({collection.uuid(), i});
  }
}

std::vector<std::string> CopyScheduler::copying() const {
  std::vector<std::string> out;
  for (const auto& [uuid, count] : running_) {
    if (const Collection* collection = catalog_.find(uuid)) out.push_back(collection->spec.ns.text());
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace plm
