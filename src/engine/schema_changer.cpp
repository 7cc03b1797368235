#include "engine/schema_changer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "engine/target_schema.h"

namespace plm {

namespace {

constexpr Millis kAbortInterval{500};

}  // namespace

void SchemaChanger::begin(SchemaChange change, ClusterTime time) {
  CHECK(!pending_);
  Pending pending;
  pending.change = std::move(change);
  pending.time = time;
  pending_ = std::move(pending);
}

// Of the collections that the change is about, those that the catalog knows.
std::vector<Collection*> SchemaChanger::involved() {
  std::vector<Collection*> out;
  const SchemaChange& change = pending_->change;
  for (const Uuid& uuid : {change.collection, change.replaced.value_or(Uuid())}) {
    if (Collection* collection = parts_.catalog.find(uuid)) out.push_back(collection);
  }
  return out;
}

Result<bool> SchemaChanger::advance() {
  switch (pending_->stage) {
    case Stage::draining: {
      auto done = drained();
      if (!done || !*done) return done;
      pending_->stage = pending_->change.needs_intent() ? Stage::intent : Stage::effect;
      return true;
    }
    case Stage::intent:
      if (!intent_saved()) return false;
      pending_->stage = Stage::effect;
      return true;
    case Stage::effect:
      if (auto done = carry_out(); !done) {
        // A build that this process did not begin, or not any more.
        if (done.error().server_code == server_code::background_operation) (void)abort_builds();
        return fail(std::move(done.error()));
      }
      take_into_catalog();
      pending_->stage = Stage::result;
      return true;
    case Stage::result:
      if (!result_saved()) return false;
      for (const Collection* collection : involved()) {
        if (collection->data_copied()) parts_.indexing.add(*collection);
      }
      parts_.saves.next().dropping.clear();
      pending_.reset();
      return true;
  }
  CHECK(!"unknown stage");
  return false;
}

// ---- Before ------------------------------------------------------------------------

// Whether the server refuses the change while indexes are built.
bool SchemaChanger::refused_by_builds() const {
  const SchemaChange& change = pending_->change;
  if (change.kind == SchemaChange::Kind::create_indexes) return false;
  // A change that the target does not get is no reason to begin a long build again.
  return change.kind != SchemaChange::Kind::modify || modification_for_target(change.options.view()).has_value();
}

Result<bool> SchemaChanger::drained() {
  bool free = true;
  for (const Collection* collection : involved()) {
    if (pending_->change.is_structural()) {
      parts_.copying.stop(collection->uuid());
      if (parts_.copying.busy(collection->uuid())) free = false;
    }
    // Its twin, and perhaps its indexes, are being created as they were before.
    if (parts_.copying.preparing(collection->uuid())) free = false;
    if (collection->building && refused_by_builds()) {
      free = false;
      parts_.indexing.stop(collection->uuid());
      // Once more now and then: a build may have begun behind the first attempt.
      const SteadyTime now = parts_.clock.steady_now();
      if (now - pending_->last_abort >= kAbortInterval) {
        pending_->last_abort = now;
        if (auto aborted = parts_.target.abort_builds(collection->ref->twin); !aborted) {
          return fail(std::move(aborted.error()));
        }
      }
    }
  }
  // Only what was sent: events kept for a range wait for its copy, which may wait
  // for this change.
  if (pending_->change.is_structural() && !parts_.sender.idle()) free = false;
  return free;
}

Status SchemaChanger::abort_builds() {
  for (const Collection* collection : involved()) {
    if (!collection->ref) continue;
    if (auto aborted = parts_.target.abort_builds(collection->ref->twin); !aborted) return aborted;
  }
  return {};
}

// The saved position is right before this event.
bool SchemaChanger::intent_saved() {
  if (pending_->intent_save != 0) return parts_.saves.is_saved(pending_->intent_save);
  if (!parts_.saves.idle()) return false;
  const SchemaChange& change = pending_->change;
  std::vector<Uuid>& dropping = parts_.saves.next().dropping;
  dropping.clear();
  if (change.replaced) dropping.push_back(*change.replaced);
  if (change.kind == SchemaChange::Kind::drop) dropping.push_back(change.collection);
  pending_->intent_save = parts_.saves.save();
  return false;
}

// ---- The effect on the target ----------------------------------------------------------

Status SchemaChanger::carry_out() {
  const SchemaChange& change = pending_->change;
  if (change.replaced) {
    if (auto dropped = drop(*change.replaced); !dropped) return dropped;
  }
  if (change.replaces_view) {
    if (auto dropped = drop_replaced_view(); !dropped) return dropped;
  }
  switch (change.kind) {
    case SchemaChange::Kind::none:
    case SchemaChange::Kind::create_indexes:
      return {};
    case SchemaChange::Kind::create:
      return create();
    case SchemaChange::Kind::copy:
      return look_up();
    case SchemaChange::Kind::drop:
      return drop(change.collection);
    case SchemaChange::Kind::rename:
      parts_.parking.rename(change.collection, change.ns);
      return rename();
    case SchemaChange::Kind::move:
      return rename();
    case SchemaChange::Kind::modify:
      return modify();
    case SchemaChange::Kind::drop_indexes:
      return drop_indexes();
    case SchemaChange::Kind::create_view:
    case SchemaChange::Kind::modify_view:
    case SchemaChange::Kind::drop_view:
    case SchemaChange::Kind::drop_views:
      return change_views();
  }
  CHECK(!"unknown change");
  return {};
}

Status SchemaChanger::create() {
  CollectionSpec spec;
  spec.ns = pending_->change.ns;
  spec.options = pending_->change.options;
  auto created = create_twin(parts_.target, spec, spec.ns);
  if (!created) return fail(created.error().within("create " + spec.ns.text()));
  pending_->outcome.created = created->uuid;
  return {};
}

Status SchemaChanger::look_up() {
  const SchemaChange& change = pending_->change;
  if (!change.needs_listing || pending_->outcome.described) return {};
  auto described = describe(change);
  if (described) {
    pending_->outcome.described = *std::move(described);
    pending_->outcome.described->ns = change.ns;  // the name follows the stream
  } else if (described.error().code != ErrorCode::not_found) {
    return fail(described.error().within("look up " + change.ns.text()));
  }
  return {};
}

Result<CollectionSpec> SchemaChanger::describe(const SchemaChange& change) {
  if (!change.collection.is_nil()) return parts_.source.describe(change.ns.database, change.collection);
  auto listed = parts_.source.list_collections({change.ns.database});
  if (!listed) return fail(std::move(listed.error()));
  const auto found = std::ranges::find(*listed, change.ns, &CollectionSpec::ns);
  if (found == listed->end()) return fail(ErrorCode::not_found, change.ns.text() + " does not exist");
  return std::move(*found);
}

Status SchemaChanger::drop(const Uuid& uuid) {
  const Collection* collection = parts_.catalog.find(uuid);
  if (collection == nullptr) return {};
  if (auto forgotten = parts_.parking.forget(uuid); !forgotten) return forgotten;
  if (!collection->ref) return {};
  auto dropped = parts_.target.drop(collection->ref->twin);
  if (!dropped) return fail(dropped.error().within("drop " + collection->ref->twin.ns.text()));
  return {};
}

Status SchemaChanger::rename() {
  const Collection* collection = parts_.catalog.find(pending_->change.collection);
  CHECK(collection != nullptr);
  if (!collection->ref || collection->ref->twin.ns == pending_->change.ns) return {};
  return rename_twin(parts_.target, collection->ref->twin, pending_->change.ns);
}

Status SchemaChanger::modify() {
  const Collection* collection = parts_.catalog.find(pending_->change.collection);
  CHECK(collection != nullptr);
  const std::optional<bson::Document> modification = modification_for_target(pending_->change.options.view());
  if (!modification || !collection->ref) return {};
  return modify_twin(collection->ref->twin, modification->view());
}

Status SchemaChanger::modify_twin(const Twin& twin, bson::View modification) {
  auto modified = parts_.target.modify(twin, modification);
  if (modified) return {};
  // The granularity of time-series knows no way back: after a restart the target
  // may be ahead of an event that is met again. What is left to do, finalize does.
  if (modification["timeseries"] && modified.error().server_code == server_code::invalid_options) {
    log::info("a collMod of time-series waits for finalize",
              {{"namespace", twin.ns.text()}, {"reason", modified.error().message}});
    return {};
  }
  return fail(modified.error().within("collMod of " + twin.ns.text()));
}

Status SchemaChanger::drop_replaced_view() {
  const Namespace name = pending_->change.ns.for_users();
  if (auto dropped = parts_.target.drop_view(name); !dropped) return dropped;
  log::info("a view is dropped, whose name something else has on the source", {{"namespace", name.text()}});
  return {};
}

Status SchemaChanger::drop_indexes() {
  const Collection* collection = parts_.catalog.find(pending_->change.collection);
  CHECK(collection != nullptr);
  if (!collection->ref) return {};
  for (const IndexSpec& index : pending_->change.indexes) {
    if (auto dropped = parts_.target.drop_index(collection->ref->twin, index.name()); !dropped) {
      return fail(dropped.error().within("drop index " + index.name() + " of " + collection->ref->twin.ns.text()));
    }
  }
  return {};
}

Status SchemaChanger::change_views() {
  const SchemaChange& change = pending_->change;
  if (change.kind == SchemaChange::Kind::create_view) {
    return put_view(parts_.target, {change.ns, CollectionKind::view, {}, change.options, {}});
  }
  if (change.kind == SchemaChange::Kind::modify_view) {
    auto modified = parts_.target.modify({change.ns, {}}, change.options.view());
    if (!modified) return fail(modified.error().within("collMod of view " + change.ns.text()));
    return {};
  }
  if (change.kind == SchemaChange::Kind::drop_view) return parts_.target.drop_view(change.ns);
  for (const auto& [ns, view] : parts_.catalog.views()) {
    if (ns.database != change.ns.database) continue;
    if (auto dropped = parts_.target.drop_view(ns); !dropped) return dropped;
  }
  return {};
}

// ---- After ------------------------------------------------------------------------------

void SchemaChanger::take_into_catalog() {
  const SchemaChange& change = pending_->change;
  log::info(change.kind == SchemaChange::Kind::move ? "name on the target" : "change of the source's collections",
            {{"change", name_of(change.kind)},
             {"namespace", change.ns.text()},
             {"collection", change.collection.text()},
             {"clusterTime", pending_->time.text()}});
  if (change.kind == SchemaChange::Kind::move) parts_.copying.moved(change.collection);
  if (change.replaced) parts_.copying.forget(*change.replaced);
  if (change.kind == SchemaChange::Kind::drop) parts_.copying.forget(change.collection);
  const Collection* to_copy = apply_to_catalog(change, std::move(pending_->outcome), parts_.catalog);
  if (to_copy == nullptr) return;
  parts_.copying.add(*to_copy);
  SavedPosition& position = parts_.saves.next();
  position.clone_completed = position.clone_completed && position.sync_completed;
}

// A new twin's UUID is saved before anything is written to it; a collection that
// is to be copied, before its twin is created, so that a leftover one is known.
bool SchemaChanger::result_saved() {
  if (pending_->change.kind != SchemaChange::Kind::create && pending_->change.kind != SchemaChange::Kind::copy)
    return true;
  if (pending_->result_save != 0) return parts_.saves.is_saved(pending_->result_save);
  if (parts_.saves.idle()) pending_->result_save = parts_.saves.save();
  return false;
}

}  // namespace plm
