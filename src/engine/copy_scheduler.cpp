#include "engine/copy_scheduler.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "engine/planner.h"
#include "engine/working_name.h"

namespace plm {

void CopyScheduler::add(const Collection& collection) {
  if (collection.data_copied() && !collection.has_its_name()) to_move_.insert(collection.uuid());
  if (collection.twin_state == TwinState::wanted) {
    to_prepare_.push_back(collection.uuid());
  } else if (collection.twin_state == TwinState::ready) {
    twin_is_ready(collection);
  }
}

void CopyScheduler::twin_is_ready(const Collection& collection) {
  unsaved_.erase(collection.uuid());
  if (!collection.planned) {
    to_prepare_.push_back(collection.uuid());
    return;
  }
  if (collection.data_copied()) return;
  const std::int64_t weight = weight_of(collection.estimate);
  const auto [added, is_new] = pending_.try_emplace(collection.uuid(), Pending{weight, 0, {}});
  if (is_new) look_for_pending(collection, added->second);
}

void CopyScheduler::forget(const Uuid& collection) {
  CHECK(!busy(collection));
  if (const auto found = pending_.find(collection); found != pending_.end()) {
    by_weight_.erase({found->second.weight, collection});
    pending_.erase(found);
  }
  std::erase_if(stopped_, [&](const RangeKey& key) { return key.first == collection; });
  std::erase_if(confirming_, [&](const RangeId& id) { return id.collection == collection; });
  std::erase(to_prepare_, collection);
  unsaved_.erase(collection);
  to_move_.erase(collection);
  gone_.erase(collection);
}

// ---- Handing out ---------------------------------------------------------------

std::optional<CopyScheduler::Move> CopyScheduler::next_move() {
  while (!to_move_.empty()) {
    const Collection& collection = *parts_.catalog.find(*to_move_.begin());
    // The source may have renamed it meanwhile.
    if (!collection.has_its_name()) {
      const Namespace& now = collection.ref->twin.ns;
      return Move{collection.uuid(), collection.data_copied() ? collection.spec.ns : next_working_name(now)};
    }
    to_move_.erase(to_move_.begin());
  }
  return std::nullopt;
}

void CopyScheduler::hand_out(ClusterTime position) {
  while (preparing_.size() < settings_.preparers && ahead() < settings_.prepared_ahead && hand_out_preparation()) {
  }
  while (assigned_.size() < settings_.copiers && hand_out_range(position)) {
  }
}

bool CopyScheduler::hand_out_preparation() {
  while (!to_prepare_.empty()) {
    Collection& collection = *parts_.catalog.find(to_prepare_.front());
    to_prepare_.pop_front();
    // In the queue twice.
    if (preparing(collection.uuid())) continue;
    if (collection.twin_state != TwinState::wanted && collection.planned) continue;
    CHECK(collection.twin_state == TwinState::wanted || collection.twin_state == TwinState::ready);
    PrepareJob job;
    job.spec = collection.spec;
    job.create_twin = collection.twin_state == TwinState::wanted;
    job.range_bytes = settings_.range_bytes;
    job.small_weight = settings_.small_weight;
    if (preparations_stop_->load()) preparations_stop_ = std::make_shared<std::atomic<bool>>(false);
    job.stop = preparations_stop_;
    if (job.create_twin) {
      collection.twin_state = TwinState::preparing;
      for (const IndexTask& task : collection.indexes) {
        // What an index refuses for a moment would lose its place in a capped collection.
        if (task.state == IndexState::waiting && !collection.spec.is_capped()) job.indexes.push_back(task.spec.plain());
      }
    }
    preparing_.insert(collection.uuid());
    parts_.preparations.put(std::move(job));
    return true;
  }
  return false;
}

bool CopyScheduler::hand_out_range(ClusterTime position) {
  const auto stopped =
      std::ranges::find_if(stopped_, [&](const RangeKey& key) { return !to_move_.contains(key.first); });
  if (stopped != stopped_.end()) {
    const RangeKey key = stopped_.extract(stopped).value();
    give(*parts_.catalog.find(key.first), key.second, position);
    return true;
  }
  Collection* collection = next_collection();
  if (collection == nullptr) return false;
  give(*collection, take_pending(*collection), position);
  return true;
}

// Heaviest first, so that the last one to end is short.
Collection* CopyScheduler::next_collection() {
  const auto may_go_on = [&](const std::pair<std::int64_t, Uuid>& entry) { return !to_move_.contains(entry.second); };
  if (settings_.parallel_collections == 0 || running_.size() < settings_.parallel_collections) {
    const auto heaviest = std::find_if(by_weight_.rbegin(), by_weight_.rend(), may_go_on);
    return heaviest == by_weight_.rend() ? nullptr : parts_.catalog.find(heaviest->second);
  }
  std::optional<std::pair<std::int64_t, Uuid>> best;
  for (const auto& [uuid, jobs] : running_) {
    const auto found = pending_.find(uuid);
    if (found == pending_.end()) continue;
    const std::pair candidate{found->second.weight, uuid};
    if (by_weight_.contains(candidate) && may_go_on(candidate) && (!best || *best < candidate)) best = candidate;
  }
  return best ? parts_.catalog.find(best->second) : nullptr;
}

// The caller has found the collection among those with pending ranges.
std::size_t CopyScheduler::take_pending(const Collection& collection) {
  Pending& pending = pending_.at(collection.uuid());
  std::size_t taken = pending.fresh;
  if (!pending.returned.empty()) {
    taken = pending.returned.extract(pending.returned.begin()).value();
  } else {
    ++pending.fresh;
  }
  look_for_pending(collection, pending);
  return taken;
}

void CopyScheduler::look_for_pending(const Collection& collection, Pending& pending) {
  const std::vector<Range>& ranges = collection.ranges;
  while (pending.fresh < ranges.size() && ranges[pending.fresh].state != RangeState::pending) ++pending.fresh;
  if (pending.returned.empty() && pending.fresh == ranges.size()) {
    by_weight_.erase({pending.weight, collection.uuid()});
  } else {
    by_weight_.emplace(pending.weight, collection.uuid());
  }
}

void CopyScheduler::give(Collection& collection, std::size_t index, ClusterTime position) {
  Range& range = collection.ranges[index];
  CopyJob job;
  if (range.state == RangeState::pending) {
    range.to_clear = range.touched && !collection.merges;
    range.state = RangeState::copying;
    range.start = position;
    range.keep = std::make_unique<Keep>(keep_budget_);
    range.resume_at = {};
    range.copied = {};
    range.touched = true;
    parts_.catalog.touch(collection, range);
  }
  CHECK(range.state == RangeState::copying);
  if (!collection.copy_began) collection.copy_began = parts_.clock.steady_now();
  job.range = {collection.uuid(), index};
  job.collection = collection.ref;
  job.bounds = range.bounds;
  job.after = range.start;
  job.clear_first = range.to_clear;
  job.natural_order = collection.spec.is_capped();
  job.merge = collection.merges;
  job.resume_at = range.resume_at;
  job.stop = std::make_shared<std::atomic<bool>>(false);
  CHECK(assigned_.emplace(RangeKey{collection.uuid(), index}, job.stop).second);
  ++running_[collection.uuid()];
  parts_.copies.put(std::move(job));
}

// ---- What the workers say --------------------------------------------------------

void CopyScheduler::unassign(const RangeKey& key) {
  CHECK(assigned_.erase(key) == 1);
  const auto count = running_.find(key.first);
  CHECK(count != running_.end());
  if (--count->second == 0) running_.erase(count);
}

bool CopyScheduler::ended(const Prepared& message) {
  Collection* collection = parts_.catalog.find(message.collection);
  CHECK(collection != nullptr);  // a collection is not removed while a worker has it
  CHECK(preparing_.erase(message.collection) == 1);
  if (!message.stopped && !collection->planned) {
    collection->estimate = message.estimate;
    collection->planned = true;
    collection->ranges.clear();
    for (const KeyBounds& bounds : message.ranges) collection->ranges.emplace_back().bounds = bounds;
    collection->ranges_unfinished = collection->ranges.size();
    collection->ranges_unconfirmed = collection->ranges.size();
  }
  parts_.catalog.touch_all(*collection);
  if (collection->twin_state == TwinState::preparing) {
    if (message.twin.uuid.is_nil()) {
      collection->twin_state = TwinState::wanted;
      to_prepare_.push_back(collection->uuid());
      return false;
    }
    collection->ref = make_ref(collection->spec, message.twin);
  } else if (message.stopped) {
    to_prepare_.push_back(collection->uuid());
    return false;
  }
  // I4: twin and ranges are saved before the first document is copied; after a
  // crash nobody would clear what a copy by unknown ranges left behind.
  collection->twin_state = TwinState::unsaved;
  unsaved_.insert(collection->uuid());
  return true;
}

const Collection* CopyScheduler::ended(const RangeEnded& message, ClusterTime now) {
  Collection* collection = parts_.catalog.find(message.range.collection);
  CHECK(collection != nullptr);
  const RangeKey key{message.range.collection, message.range.index};
  unassign(key);
  parts_.progress.read_ahead.reach(message.read_time);
  Range& range = collection->ranges[key.second];
  range.copied += message.copied;
  if (message.how == RangeEnded::How::gone) {
    gone_.insert(key.first);
    by_weight_.erase({pending_.at(key.first).weight, key.first});
  }
  if (message.how == RangeEnded::How::unsure) to_move_.insert(key.first);
  if (range.state == RangeState::pending) {  // discarded while a copier had it
    return_pending(key.first, key.second);
    return nullptr;
  }
  CHECK(range.state == RangeState::copying);
  switch (message.how) {
    case RangeEnded::How::unsure:
    case RangeEnded::How::stopped:
      range.resume_at = message.resume_at;
      range.to_clear = message.to_clear;
      stopped_.insert(key);
      return nullptr;
    case RangeEnded::How::broken:
      log::info("a reading was overtaken by what is written; the range is copied again",
                {{"namespace", collection->spec.ns.text()}});
      [[fallthrough]];
    case RangeEnded::How::gone:  // the stream will tell; until then its events mean nothing
      discard(*collection, key.second);
      return nullptr;
    case RangeEnded::How::copied:
      break;
  }
  if (planted_bug("kept-events-dropped")) (void)range.keep->release(collection->ref, now);
  for (Operation& operation : range.keep->release(collection->ref, now)) parts_.sender.send(std::move(operation));
  range.keep.reset();
  range.state = RangeState::confirming;
  range.confirmed_behind = parts_.sender.last_sent();
  confirming_.push_back(message.range);
  collection->copied += range.copied;
  parts_.catalog.touch(*collection);
  CHECK(collection->ranges_unfinished > 0);
  if (--collection->ranges_unfinished > 0) return nullptr;
  const auto took = parts_.clock.steady_now() - collection->copy_began.value_or(parts_.clock.steady_now());
  log::info("collection copied", {{"namespace", collection->spec.ns.text()},
                                  {"documents", collection->copied.documents},
                                  {"bytes", collection->copied.size_bytes},
                                  {"ranges", collection->ranges.size()},
                                  {"seconds", std::chrono::duration<double>(took).count()}});
  if (collection->has_its_name()) return collection;
  to_move_.insert(key.first);
  return nullptr;
}

void CopyScheduler::rejected(const Rejected& message, ClusterTime now) {
  Collection* collection = parts_.catalog.find(message.range.collection);
  CHECK(collection != nullptr);
  // Of a discarded range every document comes again.
  if (collection->ranges[message.range.index].state != RangeState::copying) return;
  for (const bson::OwnedValue& id : message.ids) {
    parts_.sender.send(make_reread(collection->ref, id.value(), bson::hash(id.value()), now));
  }
}

void CopyScheduler::confirm() {
  while (!confirming_.empty()) {
    const RangeId id = confirming_.front();
    Collection& collection = *parts_.catalog.find(id.collection);
    Range& range = collection.ranges[id.index];
    CHECK(range.state == RangeState::confirming);
    if (range.confirmed_behind > parts_.sender.low()) return;
    range.state = RangeState::copied;
    --collection.ranges_unconfirmed;
    parts_.catalog.touch(collection, range);
    confirming_.pop_front();
  }
}

// ---- The stream --------------------------------------------------------------------

Range& CopyScheduler::range_at(const RangeKey& key) {
  Collection* collection = parts_.catalog.find(key.first);
  CHECK(collection != nullptr);
  return collection->ranges[key.second];
}

void CopyScheduler::keep(Range& range, const Operation& operation) {
  // One that would push out many others goes in as its key.
  if (operation.size_bytes > settings_.keep_bytes / 4) range.keep->reduce();
  while (range.state == RangeState::copying && !range.keep->add(operation)) make_room();
}

void CopyScheduler::make_room() {
  // Those that are whole come before those that are reduced already, the larger first.
  std::optional<RangeKey> largest;
  const auto size = [this](const RangeKey& key) {
    const Keep& keep = *range_at(key).keep;
    return std::pair(!keep.reduced() && keep.used_bytes() > 0, keep.used_bytes());
  };
  const auto consider = [&](const RangeKey& key) {
    if (range_at(key).state != RangeState::copying) return;
    if (!largest || size(*largest) < size(key)) largest = key;
  };
  for (const auto& [key, stop] : assigned_) consider(key);
  for (const RangeKey& key : stopped_) consider(key);
  CHECK(largest);
  Collection& collection = *parts_.catalog.find(largest->first);
  Range& range = collection.ranges[largest->second];
  if (!range.keep->reduced()) {
    range.keep->reduce();
    log::info("too many changes to keep while a range is copied; their documents will be read again",
              {{"namespace", collection.spec.ns.text()}});
    return;
  }
  log::warn("too many documents change while a range is copied; it is copied again",
            {{"namespace", collection.spec.ns.text()}});
  discard(collection, largest->second);
}

// What was copied is to be copied again; its kept events are worth nothing.
void CopyScheduler::discard(Collection& collection, std::size_t index) {
  Range& range = collection.ranges[index];
  CHECK(range.state == RangeState::copying);
  range.state = RangeState::pending;
  range.keep.reset();
  range.resume_at = {};
  parts_.catalog.touch(collection, range);
  const RangeKey key{collection.uuid(), index};
  stopped_.erase(key);
  if (const auto job = assigned_.find(key); job != assigned_.end()) {
    job->second->store(true);  // returned when its copier is done with it
  } else {
    return_pending(key.first, index);
  }
}

void CopyScheduler::return_pending(const Uuid& collection, std::size_t index) {
  const Range& range = range_at({collection, index});
  parts_.progress.copied_documents -= range.copied.documents;
  parts_.progress.copied_bytes -= range.copied.size_bytes;
  if (gone_.contains(collection)) return;
  Pending& pending = pending_.at(collection);
  pending.returned.insert(index);
  look_for_pending(*parts_.catalog.find(collection), pending);
}

void CopyScheduler::stop(const Uuid& collection) {
  for (auto job = assigned_.lower_bound({collection, 0}); job != assigned_.end() && job->first.first == collection;
       ++job) {
    job->second->store(true);
  }
}

void CopyScheduler::stop_all() {
  for (const auto& [key, stop] : assigned_) stop->store(true);
  preparations_stop_->store(true);
}

std::vector<std::string> CopyScheduler::copying() const {
  std::vector<std::string> out;
  for (const auto& [uuid, count] : running_) {
    if (const Collection* collection = parts_.catalog.find(uuid)) out.push_back(collection->spec.ns.for_users().text());
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace plm
