#include "engine/saved_job.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/planted_bug.h"

namespace plm {

namespace {

constexpr std::string_view kPositionId = "position";
// The planner makes a tenth of that.
constexpr std::int64_t kMostSavedRanges = 1'000'000;

struct StateName {
  IndexState state;
  std::string_view name;
};
// `building` is not saved: after a restart nobody builds.
constexpr std::array<StateName, 4> kIndexStates = {{{IndexState::waiting, "waiting"},
                                                    {IndexState::built, "built"},
                                                    {IndexState::failed, "failed"},
                                                    {IndexState::deferred, "deferred"}}};

std::string_view saved_name(IndexState state) {
  if (state == IndexState::building) return "waiting";
  return std::ranges::find(kIndexStates, state, &StateName::state)->name;
}

Error torn(bson::View document, std::string_view what) {
  return {ErrorCode::stored_format, 0, {}, "saved state: " + std::string(what) + " in " + document.json(200)};
}

Status check_version(bson::View document) {
  const bson::Value version = document["v"];
  if (version.type() != BSON_TYPE_INT32 || version.int32() < 1) return fail(torn(document, "no format version"));
  if (version.int32() > kFormatVersion) {
    return fail(torn(document, "written by a newer plm (format " + std::to_string(version.int32()) +
                                   ", this one knows " + std::to_string(kFormatVersion) + ")"));
  }
  return {};
}

Namespace namespace_from(const bson::Value& value) {
  const bson::View ns = value.as_document();
  return {std::string(ns["db"].as_string()), std::string(ns["coll"].as_string())};
}

void append_namespace(bson::Builder& out, std::string_view key, const Namespace& ns) {
  auto scope = out.document(key);
  scope->append("db", ns.database).append("coll", ns.collection);
}

bson::Document collection_id(const Uuid& uuid) {
  bson::Builder holder;
  uuid.append_to(holder, "v");
  return holder.take();
}

bson::Document two_part_id(const Uuid& uuid, std::size_t index) {
  bson::Builder holder;
  {
    auto id = holder.document("v");
    uuid.append_to(*id, "u");
    id->append("n", static_cast<std::int32_t>(index));
  }
  return holder.take();
}

bson::Document parked_id(const Uuid& uuid, const bson::Value& key) {
  bson::Builder holder;
  {
    auto id = holder.document("v");
    uuid.append_to(*id, "u");
    id->append("k", key);
  }
  return holder.take();
}

bson::Document text_id(std::string_view text) {
  bson::Builder holder;
  holder.append("v", text);
  return holder.take();
}

std::string view_id(const Namespace& ns) { return "view:" + ns.text(); }

StoreChange change(std::string_view set, const bson::Document& id, std::optional<bson::Document> document) {
  return {std::string(set), bson::OwnedValue(id["v"]), std::move(document)};
}

ClusterTime time_from(const bson::Value& value) {
  return value.type() == BSON_TYPE_TIMESTAMP ? ClusterTime::from_packed(value.timestamp()) : ClusterTime();
}

}  // namespace

bson::Document to_document(const Collection& collection) {
  bson::Builder out;
  collection.uuid().append_to(out, "_id");
  out.append("v", kFormatVersion);
  append_namespace(out, "ns", collection.spec.ns);
  out.append("options", collection.spec.options);
  out.append("timeSeries", collection.spec.kind == CollectionKind::time_series);
  if (collection.ref) {
    auto twin = out.document("twin");
    append_namespace(*twin, "ns", collection.ref->twin.ns);
    collection.ref->twin.uuid.append_to(*twin, "uuid");
  }
  out.append("merges", collection.merges);
  out.append("ranges", static_cast<std::int32_t>(collection.planned ? collection.ranges.size() : 0));
  {
    auto estimate = out.document("estimate");
    estimate->append("documents", collection.estimate.documents).append("bytes", collection.estimate.size_bytes);
  }
  {
    auto copied = out.document("copied");
    copied->append("documents", collection.copied.documents).append("bytes", collection.copied.size_bytes);
  }
  {
    auto indexes = out.array("indexes");
    for (const IndexTask& task : collection.indexes) {
      auto entry = indexes.document();
      entry->append("spec", task.spec.spec).append("state", saved_name(task.state)).append("reason", task.reason);
    }
  }
  return out.take();
}

Result<Collection> collection_from(bson::View document) {
  if (auto status = check_version(document); !status) return fail(std::move(status.error()));
  Collection out;
  out.spec.uuid = Uuid(document["_id"]);
  out.spec.ns = namespace_from(document["ns"]);
  out.spec.options = bson::Document(document["options"].as_document());
  out.spec.kind = document["timeSeries"].as_bool() ? CollectionKind::time_series : CollectionKind::collection;
  if (out.spec.uuid.is_nil()) return fail(torn(document, "no UUID"));
  if (out.spec.ns.collection.empty()) return fail(torn(document, "no name"));
  if (const bson::Value twin = document["twin"]) {
    const Twin saved{namespace_from(twin.as_document()["ns"]), Uuid(twin.as_document()["uuid"])};
    if (saved.uuid.is_nil()) return fail(torn(document, "a twin without UUID"));
    out.ref = make_ref(out.spec, saved);
    out.twin_state = TwinState::ready;
  }
  out.merges = document["merges"].as_bool();  // none in what was saved before there was such a thing
  const bson::Value saved_ranges = document["ranges"];
  const std::int64_t ranges = saved_ranges.as_int64();
  if (saved_ranges.type() != BSON_TYPE_INT32 || ranges < 0 || ranges > kMostSavedRanges)
    return fail(torn(document, "a number of ranges that makes no sense"));
  out.planned = ranges > 0;
  out.ranges.resize(static_cast<std::size_t>(ranges));
  out.ranges_unfinished = out.ranges.size();
  out.ranges_unconfirmed = out.ranges.size();
  const bson::View estimate = document["estimate"].as_document();
  out.estimate = {estimate["documents"].as_int64(), estimate["bytes"].as_int64()};
  const bson::View copied = document["copied"].as_document();
  out.copied = {copied["documents"].as_int64(), copied["bytes"].as_int64()};
  for (const bson::Element& element : document["indexes"].as_document()) {
    const bson::View entry = element.value.as_document();
    IndexTask task;
    task.spec.spec = bson::Document(entry["spec"].as_document());
    const auto state = std::ranges::find(kIndexStates, entry["state"].as_string(), &StateName::name);
    if (state == kIndexStates.end() || task.spec.name().empty())
      return fail(torn(document, "an index that makes no sense"));
    task.state = state->state;
    task.reason = entry["reason"].as_string();
    out.indexes.push_back(std::move(task));
  }
  return out;
}

bson::Document to_document(const CollectionSpec& view) {
  bson::Builder out;
  out.append("_id", view_id(view.ns)).append("v", kFormatVersion);
  append_namespace(out, "ns", view.ns);
  out.append("options", view.options).append("view", true);
  return out.take();
}

Result<CollectionSpec> view_from(bson::View document) {
  if (auto status = check_version(document); !status) return fail(std::move(status.error()));
  CollectionSpec out;
  out.kind = CollectionKind::view;
  out.ns = namespace_from(document["ns"]);
  out.options = bson::Document(document["options"].as_document());
  if (out.ns.collection.empty()) return fail(torn(document, "no name"));
  return out;
}

bson::Document to_document(const Uuid& uuid, std::size_t index, const Range& range) {
  bson::Builder out;
  out.append("_id", two_part_id(uuid, index)["v"]).append("v", kFormatVersion);
  if (range.bounds.min) out.append("min", range.bounds.min.value());
  if (range.bounds.max) out.append("max", range.bounds.max.value());
  // Anything between pending and copied is to be copied again after a restart (I4).
  out.append("state", range.state == RangeState::copied ? "copied" : "pending");
  return out.take();
}

Result<SavedRange> range_from(bson::View document) {
  if (auto status = check_version(document); !status) return fail(std::move(status.error()));
  const bson::View id = document["_id"].as_document();
  SavedRange out;
  out.collection = Uuid(id["u"]);
  const bson::Value index = id["n"];
  if (index.type() != BSON_TYPE_INT32 || index.int32() < 0) return fail(torn(document, "a range without number"));
  out.index = static_cast<std::size_t>(index.int32());
  out.range.bounds = {bson::OwnedValue(document["min"]), bson::OwnedValue(document["max"])};
  // The process before may have begun to copy it behind its last save.
  out.range.touched = true;
  const std::string_view state = document["state"].as_string();
  if (out.collection.is_nil() || (state != "copied" && state != "pending"))
    return fail(torn(document, "a range that makes no sense"));
  out.range.state = state == "copied" || planted_bug("unsaved-range-copied") ? RangeState::copied : RangeState::pending;
  return out;
}

bson::Document to_document(const SavedPosition& position) {
  bson::Builder out;
  out.append("_id", kPositionId).append("v", kFormatVersion);
  out.append_timestamp("time", position.position.time.packed());
  if (position.position.has_token()) out.append("token", position.position.resume_token);
  out.append_timestamp("complete", position.complete.packed());
  out.append_timestamp("dirtyUntil", position.dirty_until.packed());
  out.append("eventsRead", position.events_read).append("eventsApplied", position.events_applied);
  out.append("removedDocuments", position.copied_and_removed.documents);
  out.append("removedBytes", position.copied_and_removed.size_bytes);
  out.append("cloneCompleted", position.clone_completed).append("syncCompleted", position.sync_completed);
  out.append_timestamp("cloneCompletedAt", position.clone_completed_at.packed());
  out.append_timestamp("listedAt", position.listed_at.packed());
  {
    // As an array: names of databases need not be names of fields.
    auto later = out.array("listedLater");
    for (const auto& [database, time] : position.listed_later) {
      auto entry = later.document();
      entry->append("db", database).append_timestamp("time", time.packed());
    }
  }
  {
    auto dropping = out.array("dropping");
    for (const Uuid& uuid : position.dropping) {
      auto entry = dropping.document();
      uuid.append_to(*entry, "u");
    }
  }
  return out.take();
}

Result<SavedPosition> position_from(bson::View document) {
  if (auto status = check_version(document); !status) return fail(std::move(status.error()));
  SavedPosition out;
  out.position.time = time_from(document["time"]);
  out.position.resume_token = bson::Document(document["token"].as_document());
  out.complete = time_from(document["complete"]);
  out.dirty_until = time_from(document["dirtyUntil"]);
  out.events_read = document["eventsRead"].as_int64();
  out.events_applied = document["eventsApplied"].as_int64();
  out.copied_and_removed = {document["removedDocuments"].as_int64(), document["removedBytes"].as_int64()};
  out.clone_completed = document["cloneCompleted"].as_bool();
  out.sync_completed = document["syncCompleted"].as_bool();
  out.clone_completed_at = time_from(document["cloneCompletedAt"]);
  out.listed_at = time_from(document["listedAt"]);
  for (const bson::Element& element : document["listedLater"].as_document()) {
    const bson::View entry = element.value.as_document();
    out.listed_later[std::string(entry["db"].as_string())] = time_from(entry["time"]);
  }
  for (const bson::Element& element : document["dropping"].as_document()) {
    out.dropping.emplace_back(element.value.as_document()["u"]);
  }
  if (out.position.time.is_zero()) return fail(torn(document, "a position without time"));
  return out;
}

bson::Document to_document(const ParkedDocument& parked) {
  bson::Builder out;
  out.append("_id", parked_id(parked.collection, parked.id.value())["v"]).append("v", kFormatVersion);
  append_namespace(out, "ns", parked.ns);
  out.append("reason", parked.reason);
  return out.take();
}

Result<ParkedDocument> parked_from(bson::View document) {
  if (auto status = check_version(document); !status) return fail(std::move(status.error()));
  const bson::View id = document["_id"].as_document();
  ParkedDocument out{Uuid(id["u"]), namespace_from(document["ns"]), bson::OwnedValue(id["k"]),
                     std::string(document["reason"].as_string())};
  if (out.collection.is_nil() || !out.id) return fail(torn(document, "a parked document without identity"));
  return out;
}

StoreChange park(const ParkedDocument& parked) {
  return change("parked", parked_id(parked.collection, parked.id.value()), to_document(parked));
}

StoreChange unpark(const Uuid& collection, const bson::Value& id) {
  return change("parked", parked_id(collection, id), std::nullopt);
}

std::vector<StoreChange> changes_to_save(const Catalog& catalog, const Catalog::Changes& changes,
                                         const std::optional<SavedPosition>& position) {
  std::vector<StoreChange> out;
  // A collection says how many ranges there are: it goes before them and comes after them.
  for (const auto& [uuid, count] : changes.removed) {
    out.push_back(change("collections", collection_id(uuid), std::nullopt));
  }
  for (const auto& [uuid, count] : changes.removed) {
    for (std::size_t n = 0; n < count; ++n) out.push_back(change("ranges", two_part_id(uuid, n), std::nullopt));
  }
  for (const auto& [uuid, n] : changes.ranges) {
    out.push_back(
        change("ranges", two_part_id(uuid, n), to_document(uuid, n, catalog.collections().at(uuid).ranges[n])));
  }
  for (const Uuid& uuid : changes.collections) {
    out.push_back(change("collections", collection_id(uuid), to_document(catalog.collections().at(uuid))));
  }
  for (const Namespace& ns : changes.removed_views) {
    out.push_back(change("collections", text_id(view_id(ns)), std::nullopt));
  }
  for (const Namespace& ns : changes.views) {
    out.push_back(change("collections", text_id(view_id(ns)), to_document(catalog.views().at(ns))));
  }
  if (position) out.push_back(change("state", text_id(kPositionId), to_document(*position)));
  return out;
}

Result<std::optional<SavedJob>> load_job(StateStore& store) {
  auto states = store.load("state");
  if (!states) return fail(std::move(states.error()));
  const auto saved = std::ranges::find_if(
      *states, [](const bson::Document& document) { return document["_id"].as_string() == kPositionId; });
  if (saved == states->end()) return std::optional<SavedJob>();
  auto position = position_from(saved->view());
  if (!position) return fail(std::move(position.error()));
  SavedJob out;
  out.position = *std::move(position);
  out.catalog.restore_copied_and_removed(out.position.copied_and_removed);

  auto collections = store.load("collections");
  if (!collections) return fail(std::move(collections.error()));
  for (const bson::Document& document : *collections) {
    if (document["view"].as_bool()) {
      auto view = view_from(document.view());
      if (!view) return fail(std::move(view.error()));
      out.catalog.put_view(*std::move(view));
      continue;
    }
    auto collection = collection_from(document.view());
    if (!collection) return fail(std::move(collection.error()));
    if (collection->uuid().is_nil() || out.catalog.find(collection->uuid()) != nullptr) {
      return fail(torn(document.view(), "a collection without a UUID of its own"));
    }
    out.catalog.add(*std::move(collection));
  }

  auto ranges = store.load("ranges");
  if (!ranges) return fail(std::move(ranges.error()));
  std::unordered_map<Uuid, std::size_t, UuidHash> seen;
  for (const bson::Document& document : *ranges) {
    auto range = range_from(document.view());
    if (!range) return fail(std::move(range.error()));
    Collection* collection = out.catalog.find(range->collection);
    // Ranges are written before their collection and removed after it.
    if (collection == nullptr || range->index >= collection->ranges.size()) continue;
    if (range->range.state == RangeState::copied) {
      --collection->ranges_unfinished;
      --collection->ranges_unconfirmed;
    }
    collection->ranges[range->index] = std::move(range->range);
    ++seen[range->collection];
  }
  for (const auto& [uuid, collection] : out.catalog.collections()) {
    if (seen[uuid] < collection.ranges.size()) {
      return fail(ErrorCode::stored_format, "saved state: " + collection.spec.ns.text() + " lacks ranges");
    }
  }

  auto parked = store.load("parked");
  if (!parked) return fail(std::move(parked.error()));
  for (const bson::Document& document : *parked) {
    auto entry = parked_from(document.view());
    if (!entry) return fail(std::move(entry.error()));
    if (const Collection* collection = out.catalog.find(entry->collection)) entry->ns = collection->spec.ns;
    out.parked.push_back(*std::move(entry));
  }
  (void)out.catalog.take_changes();  // what was loaded is saved
  return std::optional<SavedJob>(std::move(out));
}

}  // namespace plm
