#include "engine/router.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "engine/target_schema.h"

namespace plm {

namespace {

constexpr Millis kPublishInterval{50};
constexpr Millis kLongestPublishInterval{500};
constexpr int kPublishShare = 50;  // its part of the time; it takes milliseconds with thousands of collections
constexpr int kEventsPerStep = 2000;
constexpr std::size_t kEventsPerCheckpoint = 256;

}  // namespace

Router::Router(Parts parts, Settings settings, SavedJob job, std::vector<ApplierQueue*> appliers, std::uint64_t seed)
    : parts_(parts),
      settings_(std::move(settings)),
      catalog_(std::move(job.catalog)),
      sender_(std::move(appliers), Checkpoint{0, job.position.position, job.position.complete},
              settings_.in_flight_bytes),
      copying_({catalog_, parts_.preparations, parts_.copies, sender_, parts_.progress, parts_.clock},
               settings_.copying),
      indexing_(catalog_, parts_.index_jobs, settings_.index_workers),
      saves_({catalog_, sender_, copying_, parts_.clock, parts_.progress}, std::move(job.position)),
      changer_(
          {parts_.source, parts_.target, parts_.clock, catalog_, sender_, copying_, indexing_, saves_, parts_.parking}),
      inbox_(signal()),
      backoff_(seed),
      time_(saves_.next().position.time) {
  for (const auto& [uuid, collection] : catalog_.collections()) {
    copying_.add(collection);
    if (collection.data_copied() && collection.count_indexes(IndexState::waiting) > 0) indexing_.add(collection);
  }
  for (const auto& [ns, view] : catalog_.views()) startup_views_.push_back(ns);
  publish();
}

Result<Step> Router::step() {
  auto received = receive();
  if (!received) return fail(std::move(received.error()));
  bool worked = *received;
  worked |= sender_.poll();
  copying_.confirm();
  if (backoff_.ready(parts_.clock.steady_now())) {
    auto moved = create_startup_views();
    if (moved && !*moved) moved = route();
    sender_.flush();
    if (moved) {
      worked |= *moved;
    } else if (worth_waiting(moved.error())) {
      backoff_.failed(parts_.clock.steady_now());
      parts_.progress.retrying(moved.error().message);
    } else {
      return fail(std::move(moved.error()));
    }
  } else {
    sender_.flush();
  }
  worked |= hand_out_work();
  worked |= saves_.save_if_due();
  if (parts_.clock.steady_now() >= next_publish_) publish();
  return worked ? Step::worked : Step::waiting;
}

void Router::warn(const std::string& text) {
  log::warn(text);
  if (std::ranges::find(warnings_, text) == warnings_.end()) warnings_.push_back(text);
}

// ---- Messages from the workers ----------------------------------------------------------

Result<bool> Router::receive() {
  std::vector<RouterMessage> messages = inbox_.take();
  for (const RouterMessage& message : messages) {
    auto taken = std::visit([this](const auto& one) { return on(one); }, message);
    if (!taken && !worth_waiting(taken.error())) return fail(std::move(taken.error()));
  }
  return !messages.empty();
}

Status Router::on(const Prepared& message) {
  if (copying_.ended(message)) saves_.soon();
  indexing_.made(*catalog_.find(message.collection), message.indexes);
  return {};
}

Status Router::on(const RangeEnded& message) {
  if (const Collection* copied = copying_.ended(message, time_)) indexing_.add(*copied);
  return {};
}

Status Router::on(const Rejected& message) {
  copying_.rejected(message, time_);
  return {};
}

Status Router::on(const IndexesBuilt& message) {
  Collection* collection = catalog_.find(message.collection);
  CHECK(collection != nullptr);  // a collection is not removed while a worker has it
  indexing_.ended(*collection, message);
  return {};
}

Status Router::on(const Saved& message) {
  for (const Uuid& uuid : saves_.done(message)) {
    Collection* collection = catalog_.find(uuid);
    if (collection == nullptr || collection->twin_state != TwinState::unsaved) continue;
    collection->twin_state = TwinState::ready;
    copying_.twin_is_ready(*collection);
    if (collection->data_copied()) indexing_.add(*collection);
  }
  return {};
}

Status Router::on(const RetryParked& message) {
  for (const ParkedDocument& parked : message.documents) {
    const Collection* collection = catalog_.find(parked.collection);
    if (collection == nullptr) {
      if (auto forgotten = parts_.parking.forget(parked.collection); !forgotten) return forgotten;
    } else if (collection->ref) {
      sender_.send(make_reread(collection->ref, parked.id.value(), bson::hash(parked.id.value()), time_));
    }
  }
  return {};
}

Status Router::on(const RetryIndexes& /*message*/) {
  for (auto& [uuid, collection] : catalog_.collections()) indexing_.retry_failed(collection);
  return {};
}

// ---- The stream ----------------------------------------------------------------------------

ClusterTime Router::listed_at(std::string_view database) const {
  const SavedPosition& position = saves_.next();
  const auto found = position.listed_later.find(std::string(database));
  return found == position.listed_later.end() ? position.listed_at : found->second;
}

bool Router::next_batch() {
  if (!sender_.has_room()) return false;
  batch_ = input_->pop();
  next_event_ = 0;
  if (batch_) sender_.begin_batch(batch_->size_bytes);
  return batch_.has_value();
}

void Router::finish_batch() {
  // Events of one transaction share a cluster time; it may go on in the next reply (I8).
  const bool may_go_on =
      !batch_->events.empty() && batch_->events.back().in_transaction && batch_->events.back().time == batch_->end.time;
  // A stream that was just opened at a time may name an end before that time.
  if (batch_->end.time >= time_) {
    time_ = batch_->end.time;
    sender_.pass(batch_->end, may_go_on ? time_.previous() : time_);
  }
  sender_.end_batch(batch_->size_bytes);
  since_checkpoint_ = 0;
  batch_.reset();
}

// Behind the event before next_event_. In the middle of a transaction one tick
// less is complete (I8).
void Router::checkpoint() {
  since_checkpoint_ = 0;
  if (next_event_ == 0) return;  // the end of the batch before was one
  const ChangeEvent& last = batch_->events[next_event_ - 1];
  const bool ended =
      !last.in_transaction || (next_event_ < batch_->events.size() && batch_->events[next_event_].time > last.time);
  sender_.pass({last.time, bson::Document(last.resume_token)}, ended ? last.time : last.time.previous());
}

void Router::event_done(const ChangeEvent& event) {
  time_ = event.time;
  ++next_event_;
  if (++since_checkpoint_ >= kEventsPerCheckpoint) checkpoint();
}

Result<bool> Router::route() {
  if (pause_.load()) return false;
  bool worked = false;
  for (int n = 0; n < kEventsPerStep; ++n) {
    if (changer_.busy()) {
      auto advanced = changer_.advance();
      if (!advanced) return advanced;
      backoff_.succeeded();
      worked |= *advanced;
      if (changer_.busy()) return worked;
      if (std::exchange(event_is_changers_, false)) event_done(batch_->events[next_event_]);
    }
    if (auto move = copying_.next_move()) {
      if (batch_) checkpoint();
      SchemaChange change;
      change.kind = SchemaChange::Kind::move;
      change.collection = move->collection;
      change.ns = std::move(move->to);
      changer_.begin(std::move(change), time_);
      continue;
    }
    if (!batch_ && !next_batch()) return worked;
    worked = true;
    if (next_event_ == batch_->events.size()) {
      finish_batch();
      continue;
    }
    const ChangeEvent& event = batch_->events[next_event_];
    if (at_limit(event.time)) {
      if (since_checkpoint_ > 0) checkpoint();
      return false;
    }
    if (is_document_event(event.kind)) {
      route_document(event);
    } else if (event.kind != EventKind::ignored && event.time > listed_at(event.database)) {
      SchemaChange change = plan_schema_change(event, catalog_, settings_.filter);
      if (!change.warning.empty()) warn(change.warning);
      if (change.kind != SchemaChange::Kind::none) {
        checkpoint();
        changer_.begin(std::move(change), event.time);
        event_is_changers_ = true;
        continue;
      }
    }
    event_done(event);
  }
  return true;
}

void Router::route_document(const ChangeEvent& event) {
  Collection* collection = catalog_.find(event.uuid);
  // Unknown: not selected, or gone before the listing. Unplanned: all of it is pending.
  if (collection == nullptr || !collection->planned || !collection->ref) return;
  if (planted_bug("lost-event", 20)) return;
  if (event.kind == EventKind::erase && planted_bug("missing-delete", 5)) return;
  Range* range = nullptr;
  if (collection->ranges_unfinished > 0) {
    range = &collection->range_of(event.document_id);
    if (range->state == RangeState::pending) return;
  }
  Operation operation = operation_of(event, batch_->bytes, collection->ref);
  if (range != nullptr && range->state == RangeState::copying) {
    copying_.keep(*range, operation);
  } else {
    sender_.send(std::move(operation));
  }
}

// Views of the listing, and those whose creation a crash may have prevented.
Result<bool> Router::create_startup_views() {
  const bool any = !startup_views_.empty();
  while (!startup_views_.empty()) {
    if (const CollectionSpec* view = catalog_.find_view(startup_views_.back())) {
      if (auto put = put_view(parts_.target, *view); !put) return fail(std::move(put.error()));
    }
    startup_views_.pop_back();
  }
  return any;
}

// ---- Work, saves, the view ---------------------------------------------------------------------

bool Router::hand_out_work() {
  if (pause_.load()) return come_to_rest();
  pause_save_ = 0;
  // A change may be waiting for workers to come to rest; a move waits for those of its collection only.
  if (changer_.busy() && !changer_.is_moving()) return false;
  const std::size_t before = copying_.outstanding() + indexing_.outstanding();
  copying_.hand_out(time_);
  indexing_.hand_out();
  return copying_.outstanding() + indexing_.outstanding() != before;
}

// Index builds go on during a pause.
bool Router::come_to_rest() {
  copying_.stop_all();
  if (pause_save_ != 0 || !sender_.idle() || copying_.outstanding() != 0 || !saves_.idle()) return false;
  pause_save_ = saves_.save();
  return true;
}

void Router::publish() {
  SavedPosition& position = saves_.next();
  const SteadyTime begin = parts_.clock.steady_now();
  RouterView out;
  const Checkpoint& safe = sender_.safe();
  out.replicated = safe.complete;
  out.safe_position = safe.position;
  out.estimated_bytes = catalog_.copied_and_removed().size_bytes;
  bool all_copied = startup_views_.empty();
  bool any_gone = false;
  for (const auto& [uuid, collection] : catalog_.collections()) {
    ++out.collections_total;
    out.estimated_bytes += collection.estimate.size_bytes;
    const bool is_gone = copying_.found_gone(uuid);
    if (collection.confirmed() && collection.has_its_name()) {
      ++out.collections_copied;
    } else if (is_gone) {
      any_gone = true;
    } else {
      all_copied = false;
    }
    for (const IndexTask& task : collection.indexes) {
      ++out.indexes_total;
      if (task.state == IndexState::built) ++out.indexes_built;
      if (!is_gone && (task.state == IndexState::waiting || task.state == IndexState::building)) {
        ++out.indexes_unfinished;
      }
      if (task.state == IndexState::building)
        out.building.push_back(collection.spec.ns.for_users().text() + " " + task.spec.name());
    }
    collection.name_failed_indexes(out.failed_indexes);
  }
  out.copying = copying_.copying();
  // Once completed, it stays so: a collection that comes later is a change like others.
  if (!position.clone_completed && all_copied && !any_gone && out.indexes_unfinished == 0) {
    position.clone_completed = true;
    position.clone_completed_at = std::max(parts_.progress.source_time.get(), parts_.progress.read_ahead.get());
    saves_.soon();
    log::info("initial copy completed", {{"collections", out.collections_total}, {"indexes", out.indexes_built}});
  }
  if (position.clone_completed && !position.sync_completed && out.replicated >= position.clone_completed_at &&
      out.replicated >= position.dirty_until) {
    position.sync_completed = true;
    saves_.soon();
    log::info("initial sync completed", {{"clusterTime", out.replicated.text()}});
  }
  out.clone_completed = saves_.milestones().clone_completed && position.clone_completed;
  out.sync_completed = saves_.milestones().sync_completed;
  out.limit = ClusterTime::from_packed(limit_.load());
  out.ahead = std::max(position.dirty_until, parts_.progress.read_ahead.get());
  // The end of a collection that is gone lies behind the limit.
  if (any_gone) out.ahead = std::max(out.ahead, ClusterTime::from_packed(out.limit.packed() + 1));
  const bool next_is_behind_it =
      batch_ && next_event_ < batch_->events.size() && batch_->events[next_event_].time > out.limit;
  out.reached_limit = !out.limit.is_zero() && !changer_.busy() && (time_ >= out.limit || next_is_behind_it) &&
                      all_copied && sender_.idle();
  out.paused = pause_save_ != 0 && saves_.is_saved(pause_save_);
  out.stream_waits = changer_.busy() || !sender_.has_room();
  out.warnings = warnings_;
  const SteadyTime end = parts_.clock.steady_now();
  next_publish_ =
      end + std::clamp<SteadyTime::duration>((end - begin) * kPublishShare, kPublishInterval, kLongestPublishInterval);
  const std::lock_guard lock(view_mutex_);
  view_ = std::move(out);
}

RouterView Router::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

}  // namespace plm
