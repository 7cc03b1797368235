#include "engine/router.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "engine/copier.h"

namespace plm {

namespace {

constexpr Millis kSaveInterval{2000};
constexpr Millis kPublishInterval{50};
constexpr int kEventsPerStep = 2000;
constexpr std::size_t kEventsPerCheckpoint = 256;

Operation operation_of(const ChangeEvent& event, const std::shared_ptr<const bson::Document>& bytes,
                       const Collection& collection) {
  Operation out;
  out.bytes = bytes;
  out.collection = collection.ref;
  out.id = event.document_id;
  out.time = event.time;
  out.key_hash = bson::hash(event.document_id);
  out.size_bytes = event.size_bytes;
  switch (event.kind) {
    case EventKind::insert:
      out.kind = OperationKind::insert;
      out.body = event.full_document;
      break;
    case EventKind::replace:
      out.kind = OperationKind::replace;
      out.body = event.full_document;
      break;
    case EventKind::update:
      // Without the diff (portable mode) the document is read again: replaying
      // $set over a document that the copy read later can leave its fields in
      // another order than the source's.
      out.kind = event.raw_update.empty() ? OperationKind::reread : OperationKind::update;
      out.body = event.raw_update;
      break;
    case EventKind::erase:
      out.kind = OperationKind::erase;
      break;
    case EventKind::create:
    case EventKind::create_indexes:
    case EventKind::drop_indexes:
    case EventKind::modify:
    case EventKind::rename:
    case EventKind::drop:
    case EventKind::drop_database:
    case EventKind::ignored:
      CHECK(!"not a document's event");
  }
  return out;
}

}  // namespace

Router::Router(Parts parts, Settings settings, SavedJob job, std::vector<ApplierQueue*> appliers, std::uint64_t seed)
    : parts_(parts),
      settings_(std::move(settings)),
      catalog_(std::move(job.catalog)),
      saved_(std::move(job.position)),
      sender_(std::move(appliers), Checkpoint{0, saved_.position, saved_.complete}, settings_.in_flight_bytes),
      copying_(catalog_, parts_.copier_jobs, settings_.copying),
      indexing_(catalog_, parts_.index_jobs, settings_.index_workers),
      inbox_(signal()),
      backoff_(seed),
      time_(saved_.position.time),
      last_save_(parts_.clock.steady_now()) {
  for (const auto& [uuid, collection] : catalog_.collections()) {
    copying_.add(collection);
    if (collection.data_copied() && collection.count_indexes(IndexState::waiting) > 0) indexing_.add(collection);
  }
  for (const auto& [ns, view] : catalog_.views()) startup_views_.push_back(ns);
  publish();
}

Result<Step> Router::step() {
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  auto received = receive();
  if (!received) return fail(std::move(received.error()));
  bool worked = *received;
  worked |= sender_.poll();
  confirm_ranges();
  if (auto created = create_startup_views(); !created) return retry(std::move(created.error()));
  auto routed = route();
  sender_.flush();
  if (!routed) return retry(std::move(routed.error()));
  worked |= *routed;
  worked |= hand_out_work();
  worked |= save_if_due();
  if (parts_.clock.steady_now() - last_publish_ >= kPublishInterval) publish();
  return worked ? Step::worked : Step::waiting;
}

// What the Router itself asked of a server failed.
Result<Step> Router::retry(Error error) {
  if (!retryable(error)) return fail(std::move(error));
  backoff_.failed(parts_.clock.steady_now());
  parts_.progress.retrying(error.message);
  return Step::waiting;
}

void Router::warn(const std::string& text) {
  log::warn(text);
  if (std::ranges::find(warnings_, text) == warnings_.end()) warnings_.push_back(text);
}

// ---- Messages from the workers ----------------------------------------------------------

Result<bool> Router::receive() {
  std::vector<RouterMessage> messages = inbox_.take();
  for (RouterMessage& message : messages) {
    std::visit([this](auto& one) { on(one); }, message);
  }
  return !messages.empty();
}

void Router::on(const Prepared& message) {
  Collection* collection = catalog_.find(message.collection);
  CHECK(collection != nullptr);  // a collection is not removed while a worker has it
  copying_.ended(*collection);
  collection->estimate = message.estimate;
  if (!collection->planned) {
    collection->planned = true;
    collection->ranges.clear();
    for (const KeyBounds& bounds : message.ranges) collection->ranges.emplace_back().bounds = bounds;
    collection->ranges_unfinished = collection->ranges.size();
  }
  if (collection->twin_state == TwinState::preparing) {
    collection->ref = std::make_shared<const CollectionRef>(CollectionRef{collection->uuid(),
                                                                          collection->spec.ns.database,
                                                                          {collection->spec.ns, message.twin},
                                                                          collection->spec.is_strictly_ordered()});
    collection->twin_state = TwinState::unsaved;
    save_soon_ = true;
  } else {
    copying_.twin_is_ready(*collection);
  }
  catalog_.touch_all(*collection);
}

void Router::on(RangeEnded& message) {
  Collection* collection = catalog_.find(message.range.collection);
  CHECK(collection != nullptr);
  copying_.ended(*collection);
  Range& range = collection->ranges[message.range.index];
  range.assigned = false;
  parts_.progress.read_ahead.reach(message.read_time);
  if (range.state == RangeState::pending) {  // discarded while a copier had it
    if (message.how != RangeEnded::How::gone) copying_.twin_is_ready(*collection);
    return;
  }
  CHECK(range.state == RangeState::copying);
  switch (message.how) {
    case RangeEnded::How::stopped:
      range.resume_at = message.resume_at;
      collection->copied.documents += message.copied.documents;
      collection->copied.size_bytes += message.copied.size_bytes;
      // The reason may be over already; otherwise its end lets the range go on.
      if (!pause_.load() && !pending_) copying_.resume(*collection);
      return;
    case RangeEnded::How::gone:  // the stream will tell; until then its events mean nothing
      copying_.discard(*collection, range);
      return;
    case RangeEnded::How::broken:
      copying_.discard(*collection, range);
      copying_.twin_is_ready(*collection);
      return;
    case RangeEnded::How::copied:
      break;
  }
  for (Operation& operation : range.keep->release(collection->ref, time_)) sender_.send(std::move(operation));
  for (const bson::OwnedValue& id : message.rejected) {
    sender_.send(make_reread(collection->ref, id.value(), bson::hash(id.value()), time_));
  }
  range.keep.reset();
  range.state = RangeState::confirming;
  range.confirmed_behind = sender_.last_sent();
  confirming_.push_back(message.range);
  collection->copied.documents += message.copied.documents;
  collection->copied.size_bytes += message.copied.size_bytes;
  CHECK(collection->ranges_unfinished > 0);
  if (--collection->ranges_unfinished == 0) {
    indexing_.add(*collection);
    log::info("collection copied", {{"namespace", collection->spec.ns.text()},
                                    {"documents", collection->copied.documents},
                                    {"bytes", collection->copied.size_bytes},
                                    {"ranges", collection->ranges.size()}});
  }
  catalog_.touch(*collection);
}

void Router::on(const IndexesBuilt& message) {
  Collection* collection = catalog_.find(message.collection);
  CHECK(collection != nullptr);
  indexing_.ended(*collection, message);
}

void Router::on(const Saved& message) {
  saved_generation_ = message.generation;
  for (const Uuid& uuid : std::exchange(twins_in_save_, {})) {
    Collection* collection = catalog_.find(uuid);
    if (collection == nullptr || collection->twin_state != TwinState::unsaved) continue;
    collection->twin_state = TwinState::ready;
    copying_.twin_is_ready(*collection);
    if (collection->data_copied()) indexing_.add(*collection);
  }
}

void Router::on(const RetryParked& message) {
  for (const ParkedDocument& parked : message.documents) {
    const Collection* collection = catalog_.find(parked.collection);
    if (collection == nullptr || !collection->ref) continue;
    sender_.send(make_reread(collection->ref, parked.id.value(), bson::hash(parked.id.value()), time_));
  }
}

// I4: copied only when the kept events are acknowledged.
void Router::confirm_ranges() {
  while (!confirming_.empty()) {
    const RangeId id = confirming_.front();
    Collection* collection = catalog_.find(id.collection);
    if (collection != nullptr && id.index < collection->ranges.size()) {
      Range& range = collection->ranges[id.index];
      if (range.state == RangeState::confirming) {
        if (range.confirmed_behind > sender_.low()) return;
        range.state = RangeState::copied;
        catalog_.touch(*collection, range);
      }
    }
    confirming_.pop_front();
  }
}

// ---- The stream ----------------------------------------------------------------------------

ClusterTime Router::listed_at(std::string_view database) const {
  const auto found = saved_.listed_later.find(std::string(database));
  return found == saved_.listed_later.end() ? saved_.listed_at : found->second;
}

bool Router::next_batch() {
  if (!sender_.has_room()) return false;
  batch_ = input_->pop();
  next_event_ = 0;
  if (batch_) sender_.begin_batch(batch_->size_bytes);
  return batch_.has_value();
}

void Router::finish_batch() {
  // Events of one transaction share a cluster time; it may go on in the next reply (M2).
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

// Behind the event before next_event_.
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
    if (pending_) {
      auto advanced = advance(*pending_);
      if (!advanced) return fail(std::move(advanced.error()));
      worked |= *advanced;
      if (pending_) return worked;
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
        PendingChange pending;
        pending.change = std::move(change);
        pending.time = event.time;
        pending_ = std::move(pending);
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
  Range* range = nullptr;
  if (collection->ranges_unfinished > 0) {
    range = &collection->range_of(event.document_id);
    if (range->state == RangeState::pending) return;
  }
  Operation operation = operation_of(event, batch_->bytes, *collection);
  if (range != nullptr && range->state == RangeState::copying) {
    keep(*collection, *range, operation);
  } else {
    sender_.send(std::move(operation));
  }
}

void Router::keep(Collection& collection, Range& range, const Operation& operation) {
  const bool was_reduced = range.keep->reduced();
  if (range.keep->add(operation)) {
    if (!was_reduced && range.keep->reduced()) {
      log::info("too many changes to keep while a range is copied; their documents will be read again",
                {{"namespace", collection.spec.ns.text()}});
    }
    return;
  }
  log::warn("too many documents change while a range is copied; it is copied again",
            {{"namespace", collection.spec.ns.text()}});
  copying_.discard(collection, range);
  copying_.stop(collection.uuid());
}

// ---- Changes of collections ------------------------------------------------------------------

std::vector<Uuid> Router::involved(const SchemaChange& change) {
  std::vector<Uuid> out;
  if (!change.collection.is_nil() && catalog_.find(change.collection) != nullptr) out.push_back(change.collection);
  if (change.replaced) out.push_back(*change.replaced);
  return out;
}

// True: something moved. The change is over when pending_ is empty.
Result<bool> Router::advance(PendingChange& pending) {
  using Stage = PendingChange::Stage;
  switch (pending.stage) {
    case Stage::draining: {
      auto done = drained(pending);
      if (!done) return fail(std::move(done.error()));
      if (!*done) return false;
      pending.stage = pending.change.is_structural() ? Stage::intent : Stage::effect;
      return true;
    }
    case Stage::intent:
      // The saved position is right before this event: nothing older is replayed
      // after the change, whatever happens from here on (H13, M8).
      if (pending.awaited_save == 0) {
        if (!saver_idle()) return false;
        saved_.dropping.clear();
        if (pending.change.replaced) saved_.dropping.push_back(*pending.change.replaced);
        if (pending.change.kind == SchemaChange::Kind::drop) saved_.dropping.push_back(pending.change.collection);
        pending.awaited_save = save();
        return true;
      }
      if (saved_generation_ < pending.awaited_save) return false;
      pending.stage = Stage::effect;
      return true;
    case Stage::effect: {
      if (auto done = carry_out(pending); !done) return fail(std::move(done.error()));
      apply_to_catalog(pending);
      pending.stage = Stage::result;
      pending.awaited_save = 0;
      return true;
    }
    case Stage::result: {
      // A new twin's UUID is saved before anything is written to it.
      if (pending.change.kind == SchemaChange::Kind::create) {
        if (pending.awaited_save == 0) {
          if (!saver_idle()) return false;
          pending.awaited_save = save();
          return true;
        }
        if (saved_generation_ < pending.awaited_save) return false;
      }
      for (const Uuid& uuid : involved(pending.change)) {
        Collection* collection = catalog_.find(uuid);
        if (collection == nullptr) continue;
        copying_.resume(*collection);
        if (collection->data_copied()) indexing_.add(*collection);
      }
      saved_.dropping.clear();
      pending_.reset();
      event_done(batch_->events[next_event_]);
      return true;
    }
  }
  CHECK(!"unknown stage");
  return false;
}

Result<bool> Router::drained(PendingChange& pending) {
  const SchemaChange::Kind kind = pending.change.kind;
  bool free = true;
  if (kind == SchemaChange::Kind::create_indexes) return free;
  for (const Uuid& uuid : involved(pending.change)) {
    Collection* collection = catalog_.find(uuid);
    if (collection == nullptr) continue;
    copying_.stop(uuid);
    if (copying_.busy(uuid)) free = false;
    if (collection->building) {
      free = false;
      indexing_.stop(uuid);
      // Once more now and then: a build may have begun behind the first attempt.
      if (parts_.clock.steady_now() - pending.last_abort >= Millis(500)) {
        pending.last_abort = parts_.clock.steady_now();
        if (auto aborted = abort_builds(*collection); !aborted) return fail(std::move(aborted.error()));
      }
    }
  }
  // H1: only what was sent; events kept for a range are not waited for.
  if (pending.change.is_structural() && !sender_.idle()) free = false;
  return free;
}

Status Router::abort_builds(Collection& collection) {
  for (const IndexTask& task : collection.indexes) {
    if (task.state != IndexState::building) continue;
    if (auto dropped = parts_.target.drop_index(collection.ref->twin, task.spec.name()); !dropped) return dropped;
  }
  return {};
}

Status Router::carry_out(PendingChange& pending) {
  const SchemaChange& change = pending.change;
  switch (change.kind) {
    case SchemaChange::Kind::none:
    case SchemaChange::Kind::create_indexes:
      return {};
    case SchemaChange::Kind::create:
      return create_on_target(pending);
    case SchemaChange::Kind::copy: {
      if (change.needs_listing && !pending.described) {
        auto described = parts_.source.describe(change.ns.database, change.collection);
        if (described) {
          pending.described = *std::move(described);
          pending.described->ns = change.ns;  // the name follows the stream (H7)
        } else if (described.error().code != ErrorCode::not_found) {
          return fail(described.error().within("look up " + change.ns.text()));
        }
      }
      return change.replaced ? drop_on_target(*change.replaced) : Status();
    }
    case SchemaChange::Kind::drop:
      if (change.replaced) {
        if (auto dropped = drop_on_target(*change.replaced); !dropped) return dropped;
      }
      return drop_on_target(change.collection);
    case SchemaChange::Kind::rename:
      if (change.replaced) {
        if (auto dropped = drop_on_target(*change.replaced); !dropped) return dropped;
      }
      return rename_on_target(pending);
    case SchemaChange::Kind::modify:
      return modify_on_target(change);
    case SchemaChange::Kind::drop_indexes:
      return drop_indexes_on_target(change);
    case SchemaChange::Kind::create_view:
    case SchemaChange::Kind::modify_view:
    case SchemaChange::Kind::drop_view:
    case SchemaChange::Kind::drop_views:
      return change_views(change);
  }
  CHECK(!"unknown change");
  return {};
}

Status Router::create_on_target(PendingChange& pending) {
  CollectionSpec spec;
  spec.ns = pending.change.ns;
  spec.options = pending.change.options;
  auto created = create_twin(parts_.target, spec);
  if (!created) return fail(created.error().within("create " + spec.ns.text()));
  pending.created = *created;
  return {};
}

Status Router::drop_on_target(const Uuid& uuid) {
  const Collection* collection = catalog_.find(uuid);
  if (collection == nullptr || !collection->ref) return {};
  auto dropped = parts_.target.drop(collection->ref->twin);
  if (!dropped) return fail(dropped.error().within("drop " + collection->ref->twin.ns.text()));
  return {};
}

Status Router::rename_on_target(PendingChange& pending) {
  const Collection* collection = catalog_.find(pending.change.collection);
  CHECK(collection != nullptr);
  if (!collection->ref || collection->ref->twin.ns == pending.change.ns) return {};
  const Twin& twin = collection->ref->twin;
  auto renamed = parts_.target.rename(twin, pending.change.ns);
  if (renamed) return {};
  // Perhaps an attempt of unknown outcome had succeeded: the UUID tells.
  auto present = parts_.target.list_collections(pending.change.ns.database);
  if (!present) return fail(std::move(present.error()));
  const auto at_new_name = std::ranges::find(*present, pending.change.ns, &CollectionSpec::ns);
  if (at_new_name != present->end() && at_new_name->uuid == twin.uuid) return {};
  return fail(renamed.error().within("rename " + twin.ns.text() + " to " + pending.change.ns.text()));
}

Status Router::modify_on_target(const SchemaChange& change) {
  const Collection* collection = catalog_.find(change.collection);
  CHECK(collection != nullptr);
  const std::optional<bson::Document> modification = modification_for_target(change.options.view());
  if (!modification || !collection->ref) return {};
  auto modified = parts_.target.modify(collection->ref->twin, modification->view());
  if (!modified) return fail(modified.error().within("collMod of " + collection->ref->twin.ns.text()));
  return {};
}

Status Router::drop_indexes_on_target(const SchemaChange& change) {
  const Collection* collection = catalog_.find(change.collection);
  CHECK(collection != nullptr);
  if (!collection->ref) return {};
  for (const IndexSpec& index : change.indexes) {
    if (auto dropped = parts_.target.drop_index(collection->ref->twin, index.name()); !dropped) {
      return fail(dropped.error().within("drop index " + index.name() + " of " + collection->ref->twin.ns.text()));
    }
  }
  return {};
}

Status Router::put_view(const CollectionSpec& view) {
  auto created = parts_.target.create(view.ns, view.options.view());
  if (created) return {};
  if (created.error().server_code != server_code::namespace_exists) {
    return fail(created.error().within("create view " + view.ns.text()));
  }
  if (auto dropped = parts_.target.drop_view(view.ns); !dropped)
    return fail(dropped.error().within("drop view " + view.ns.text()));
  created = parts_.target.create(view.ns, view.options.view());
  if (!created) return fail(created.error().within("create view " + view.ns.text()));
  return {};
}

Status Router::change_views(const SchemaChange& change) {
  switch (change.kind) {
    case SchemaChange::Kind::create_view:
      return put_view({change.ns, CollectionKind::view, {}, change.options, {}});
    case SchemaChange::Kind::modify_view: {
      auto modified = parts_.target.modify({change.ns, {}}, change.options.view());
      if (!modified) return fail(modified.error().within("collMod of view " + change.ns.text()));
      return {};
    }
    case SchemaChange::Kind::drop_view:
      return parts_.target.drop_view(change.ns);
    default:
      break;
  }
  for (const auto& [ns, view] : catalog_.views()) {
    if (ns.database != change.ns.database) continue;
    if (auto dropped = parts_.target.drop_view(ns); !dropped) return dropped;
  }
  return {};
}

// Views of the listing, and those whose creation a crash may have prevented.
Result<bool> Router::create_startup_views() {
  const bool any = !startup_views_.empty();
  while (!startup_views_.empty()) {
    if (const CollectionSpec* view = catalog_.find_view(startup_views_.back())) {
      if (auto put = put_view(*view); !put) return fail(std::move(put.error()));
    }
    startup_views_.pop_back();
  }
  return any;
}

void Router::apply_to_catalog(PendingChange& pending) {
  const SchemaChange& change = pending.change;
  log::info("change of the source's collections", {{"change", name_of(change.kind)},
                                                   {"namespace", change.ns.text()},
                                                   {"collection", change.collection.text()},
                                                   {"clusterTime", pending.time.text()}});
  if (change.replaced) catalog_.remove(*change.replaced);
  switch (change.kind) {
    case SchemaChange::Kind::none:
      return;
    case SchemaChange::Kind::create: {
      Collection added;
      added.spec.ns = change.ns;
      added.spec.uuid = change.collection;
      added.spec.options = change.options;
      added.as_of = pending.time;
      added.ref = std::make_shared<const CollectionRef>(CollectionRef{
          change.collection, change.ns.database, {change.ns, pending.created}, added.spec.is_strictly_ordered()});
      added.twin_state = TwinState::unsaved;
      added.planned = true;
      added.ranges.emplace_back().state = RangeState::copied;  // all of it, empty
      catalog_.add(std::move(added));
      return;
    }
    case SchemaChange::Kind::copy: {
      if (change.needs_listing && !pending.described) return;  // gone ahead of the stream
      Collection added;
      if (pending.described) {
        added.spec = *std::move(pending.described);
        for (IndexSpec& index : added.spec.indexes)
          added.indexes.push_back({std::move(index), IndexState::waiting, {}});
        added.spec.indexes.clear();
      } else {
        added.spec.ns = change.ns;
        added.spec.uuid = change.collection;
        added.spec.options = change.options;
      }
      added.as_of = pending.time;
      copying_.add(catalog_.add(std::move(added)));
      saved_.clone_completed = saved_.clone_completed && saved_.sync_completed;
      return;
    }
    case SchemaChange::Kind::drop:
      catalog_.remove(change.collection);
      return;
    case SchemaChange::Kind::rename: {
      Collection& collection = *catalog_.find(change.collection);
      collection.spec.ns = change.ns;
      if (collection.ref) {
        CollectionRef ref = *collection.ref;
        ref.twin.ns = change.ns;
        collection.ref = std::make_shared<const CollectionRef>(std::move(ref));
      }
      catalog_.touch(collection);
      return;
    }
    case SchemaChange::Kind::modify: {
      Collection& collection = *catalog_.find(change.collection);
      apply_modification(change.options.view(), collection);
      catalog_.touch(collection);
      return;
    }
    case SchemaChange::Kind::create_indexes: {
      Collection& collection = *catalog_.find(change.collection);
      for (const IndexSpec& index : change.indexes) {
        if (IndexTask* known = collection.find_index(index.name())) {
          known->spec = index;
        } else {
          collection.indexes.push_back({index, IndexState::waiting, {}});
        }
      }
      catalog_.touch(collection);
      return;
    }
    case SchemaChange::Kind::drop_indexes: {
      Collection& collection = *catalog_.find(change.collection);
      for (const IndexSpec& index : change.indexes) {
        std::erase_if(collection.indexes, [&](const IndexTask& task) { return task.spec.name() == index.name(); });
      }
      catalog_.touch(collection);
      return;
    }
    case SchemaChange::Kind::create_view:
      catalog_.put_view({change.ns, CollectionKind::view, {}, change.options, {}});
      return;
    case SchemaChange::Kind::modify_view: {
      CollectionSpec view = *catalog_.find_view(change.ns);
      Collection holder;
      holder.spec = std::move(view);
      apply_modification(change.options.view(), holder);
      catalog_.put_view(std::move(holder.spec));
      return;
    }
    case SchemaChange::Kind::drop_view:
      catalog_.remove_view(change.ns);
      return;
    case SchemaChange::Kind::drop_views: {
      std::vector<Namespace> gone;
      for (const auto& [ns, view] : catalog_.views()) {
        if (ns.database == change.ns.database) gone.push_back(ns);
      }
      for (const Namespace& ns : gone) catalog_.remove_view(ns);
      return;
    }
  }
}

// ---- Work, saves, the view ---------------------------------------------------------------------

bool Router::hand_out_work() {
  if (pause_.load()) return come_to_rest();
  if (std::exchange(resting_, false)) {
    pause_save_ = 0;
    for (const auto& [uuid, collection] : catalog_.collections()) copying_.resume(collection);
  }
  if (pending_) return false;  // it may be waiting for workers to come to rest
  const std::size_t before = copying_.outstanding() + indexing_.outstanding();
  copying_.hand_out(time_);
  indexing_.hand_out();
  return copying_.outstanding() + indexing_.outstanding() != before;
}

// Index builds go on during a pause.
bool Router::come_to_rest() {
  resting_ = true;
  copying_.stop_all();
  if (pause_save_ != 0 || !sender_.idle() || copying_.outstanding() != 0 || !saver_idle()) return false;
  pause_save_ = save();
  return true;
}

bool Router::save_if_due() {
  if (!saver_idle()) return false;
  const bool time_is_up = parts_.clock.steady_now() - last_save_ >= kSaveInterval;
  if (!save_soon_ && !time_is_up) return false;
  if (!save_soon_ && !catalog_.has_changes() && sender_.safe().position.time == last_saved_time_) return false;
  save();
  return true;
}

std::uint64_t Router::save() {
  CHECK(saver_idle());
  sender_.poll();
  confirm_ranges();
  const Checkpoint& safe = sender_.safe();  // before the states of the ranges are looked at (M6)
  saved_.position = safe.position;
  saved_.complete = safe.complete;
  saved_.dirty_until = std::max(saved_.dirty_until, parts_.progress.read_ahead.get());
  saved_.events_read = parts_.progress.events_read;
  saved_.events_applied = parts_.progress.events_applied;
  const Catalog::Changes changes = catalog_.take_changes();
  for (const Uuid& uuid : changes.collections) {
    if (catalog_.find(uuid)->twin_state == TwinState::unsaved) twins_in_save_.push_back(uuid);
  }
  saver_->put({++generation_, changes_to_save(catalog_, changes, saved_)});
  save_soon_ = false;
  last_save_ = parts_.clock.steady_now();
  last_saved_time_ = saved_.position.time;
  return generation_;
}

void Router::publish() {
  last_publish_ = parts_.clock.steady_now();
  RouterView out;
  const Checkpoint& safe = sender_.safe();
  out.replicated = safe.complete;
  out.safe_position = safe.position;
  bool all_copied = startup_views_.empty();
  for (const auto& [uuid, collection] : catalog_.collections()) {
    ++out.collections_total;
    out.estimated_bytes += collection.estimate.size_bytes;
    if (collection.confirmed()) {
      ++out.collections_copied;
    } else {
      all_copied = false;
    }
    for (const IndexTask& task : collection.indexes) {
      ++out.indexes_total;
      if (task.state == IndexState::built) ++out.indexes_built;
      if (task.state == IndexState::waiting || task.state == IndexState::building) ++out.indexes_unfinished;
      if (task.state == IndexState::building)
        out.building.push_back(collection.spec.ns.text() + " " + task.spec.name());
    }
  }
  out.copying = copying_.copying();
  // Once completed, it stays so: a collection that comes later is a change like others.
  if (!saved_.clone_completed && all_copied && out.indexes_unfinished == 0) {
    saved_.clone_completed = true;
    saved_.clone_completed_at = std::max(parts_.progress.source_time.get(), parts_.progress.read_ahead.get());
    save_soon_ = true;
    log::info("initial copy completed", {{"collections", out.collections_total}, {"indexes", out.indexes_built}});
  }
  if (saved_.clone_completed && !saved_.sync_completed && out.replicated >= saved_.clone_completed_at &&
      out.replicated >= saved_.dirty_until) {
    saved_.sync_completed = true;
    save_soon_ = true;
    log::info("initial sync completed", {{"clusterTime", out.replicated.text()}});
  }
  out.clone_completed = saved_.clone_completed;
  out.sync_completed = saved_.sync_completed;
  const bool stream_at_limit = limit_.load() != 0 && !pending_ &&
                               (time_.packed() >= limit_.load() || (batch_ && next_event_ < batch_->events.size() &&
                                                                    at_limit(batch_->events[next_event_].time)));
  const ClusterTime ahead = std::max(saved_.dirty_until, parts_.progress.read_ahead.get());
  out.reached_limit = stream_at_limit && all_copied && sender_.idle() && out.replicated >= ahead;
  out.paused = pause_save_ != 0 && saved_generation_ >= pause_save_;
  out.stream_waits = pending_.has_value() || !sender_.has_room();
  out.warnings = warnings_;
  const std::lock_guard lock(view_mutex_);
  view_ = std::move(out);
}

RouterView Router::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

}  // namespace plm
