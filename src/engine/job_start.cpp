#include "engine/job_start.h"

#include <algorithm>
#include <iterator>

#include "engine/listing.h"
#include "engine/not_carried.h"
#include "engine/working_name.h"

namespace plm {

namespace {

constexpr int kMostAttempts = 5;

// What an attempt that did not come to its end may have left.
Result<std::vector<StoreChange>> removals(StateStore& store) {
  std::vector<StoreChange> out;
  for (const std::string set : {"collections", "ranges", "parked"}) {
    auto left = store.load(set);
    if (!left) return fail(std::move(left.error()));
    for (const bson::Document& document : *left) out.push_back({set, bson::OwnedValue(document["_id"]), std::nullopt});
  }
  return out;
}

}  // namespace

Result<SavedJob> list_job(Source& source, const Filter& filter, std::vector<std::string>& warnings) {
  auto start = source.append_note("plm begins to replicate");
  if (!start) return fail(start.error().within("fixing the start"));
  auto listing = list_source(source, filter);
  if (!listing) return fail(listing.error().within("listing the source"));

  auto left_behind = source.not_carried();
  if (!left_behind) return fail(left_behind.error().within("looking for what is not replicated"));
  warnings = *std::move(left_behind);
  const auto lost = lost_parts(source, filter);
  if (!lost) return fail(lost.error());
  std::ranges::move(warnings_about_lost_parts(*lost), std::back_inserter(warnings));

  SavedJob out;
  out.position.position.time = *start;
  out.position.complete = *start;
  out.position.listed_at = listing->as_of;
  out.position.listed_later = listing->later;
  for (CollectionSpec& spec : listing->collections) {
    if (spec.is_view()) {
      if (std::string warning = warning_about_view(spec, filter); !warning.empty()) {
        warnings.push_back(std::move(warning));
      }
      out.catalog.put_view(std::move(spec));
      continue;
    }
    Collection collection;
    for (IndexSpec& index : spec.indexes) collection.indexes.push_back({std::move(index), IndexState::waiting, {}});
    spec.indexes.clear();
    spec.unfinished_indexes.clear();
    collection.spec = std::move(spec);
    out.catalog.add(std::move(collection));
  }
  if (out.catalog.collections().empty() && out.catalog.views().empty()) {
    warnings.emplace_back("the source holds nothing that the filter selects, for the present");
  }
  return out;
}

Status save_begun_job(StateStore& store, SavedJob& job) {
  auto changes = removals(store);
  if (!changes) return fail(std::move(changes.error()));
  std::ranges::move(changes_to_save(job.catalog, job.catalog.take_changes(), job.position),
                    std::back_inserter(*changes));
  if (auto saved = store.save(*changes); !saved) return fail(saved.error().within("saving the job"));
  return {};
}

Result<SavedJob> begin_job(Source& source, StateStore& store, const Filter& filter,
                           std::vector<std::string>& warnings) {
  auto job = list_job(source, filter, warnings);
  if (!job) return job;
  if (auto saved = save_begun_job(store, *job); !saved) return fail(std::move(saved.error()));
  return job;
}

namespace {

using Names = std::unordered_map<Uuid, Namespace, UuidHash>;

struct OnTarget {
  Names names;  // of collections
  std::vector<CollectionSpec> views;
};

Result<OnTarget> look_at_target(Target& target) {
  auto databases = target.list_databases();
  if (!databases) return fail(std::move(databases.error()));
  // The least roles may not list the server's own.
  std::erase_if(*databases, [](const std::string& database) { return !replicable(database, "any"); });
  auto listed = target.list_collections(*databases);
  if (!listed) return fail(std::move(listed.error()));
  OnTarget out;
  for (CollectionSpec& spec : *listed) {
    if (!spec.is_view()) {
      out.names.emplace(spec.uuid, spec.ns);
    } else if (spec.options.view()["viewOn"].exists()) {  // not half of time-series
      out.views.push_back(std::move(spec));
    }
  }
  return out;
}

// What was sent to twins under their working names before has no effect any more.
// Errors: collection_uuid_mismatch when a name is not what was listed.
Status shut_out_copies(SavedJob& job, Target& target) {
  for (auto& [uuid, collection] : job.catalog.collections()) {
    if (collection.has_its_name()) continue;
    const Twin& twin = collection.ref->twin;
    const Namespace next = next_working_name(twin.ns);
    if (auto renamed = target.rename(twin, next); !renamed) return renamed;
    collection.ref = make_ref(collection.spec, {next, twin.uuid});
  }
  return {};
}

Status match_twins(SavedJob& job, const Names& names) {
  std::vector<Uuid> dropped;
  for (auto& [uuid, collection] : job.catalog.collections()) {
    if (!collection.ref) continue;
    const auto found = names.find(collection.ref->twin.uuid);
    if (found != names.end()) {
      collection.ref = make_ref(collection.spec, {found->second, collection.ref->twin.uuid});
    } else if (std::ranges::find(job.position.dropping, uuid) != job.position.dropping.end()) {
      dropped.push_back(uuid);
    } else {
      return fail(ErrorCode::wrong_state, "somebody else removed " + collection.ref->twin.ns.text() +
                                              " from the target; plm resume --recopy changed copies it anew");
    }
  }
  for (const Uuid& uuid : dropped) job.catalog.remove(uuid);
  return {};
}

// A twin got the name of a view that no event has dropped: see SchemaChange. To
// make that view again, or to drop it again, would drop the twin.
void forget_replaced_views(Catalog& catalog) {
  for (const auto& [uuid, collection] : catalog.collections()) {
    if (!collection.ref) continue;
    const Namespace name = collection.ref->twin.ns.for_users();
    if (catalog.find_view(name) != nullptr) catalog.remove_view(name);
  }
}

// What the process before did with views behind its last save. One of a later time
// may keep an earlier one from being made: by its collation, or as a part of it.
Status drop_later_views(SavedJob& job, Target& target, const std::vector<CollectionSpec>& views, const Filter& filter) {
  for (const CollectionSpec& view : views) {
    const CollectionSpec* known = job.catalog.find_view(view.ns);
    if ((known != nullptr && known->options == view.options) || !filter.selects(view.ns)) continue;
    if (auto dropped = target.drop_view(view.ns); !dropped) return dropped;
  }
  return {};
}

// Twins that were created without their UUID having been saved: empty ones of a
// wanted name. They go, so that their names are free for what the stream brings.
Status drop_unfinished_twins(const SavedJob& job, Target& target, const Names& names) {
  std::unordered_map<Namespace, Uuid> by_name;
  for (const auto& [uuid, ns] : names) by_name.emplace(ns, uuid);
  for (const auto& [uuid, collection] : job.catalog.collections()) {
    if (!collection.ref) continue;
    by_name.erase(collection.ref->twin.ns);
  }
  for (const auto& [uuid, collection] : job.catalog.collections()) {
    if (collection.ref) continue;
    for (const Namespace& name : {collection.spec.ns, first_working_name(collection.spec)}) {
      const auto found = by_name.find(name);
      if (found == by_name.end()) continue;
      auto count = target.count_documents(name);
      if (!count) return fail(std::move(count.error()));
      if (*count > 0) return fail(ErrorCode::wrong_state, name.text() + " exists on the target and is not this job's");
      if (auto dropped = target.drop({found->first, found->second}); !dropped) return dropped;
    }
  }
  return {};
}

// Collections without a twin that the event behind the position drops: their
// names may be another's on the target already.
void forget_what_is_dropped(SavedJob& job) {
  for (const Uuid& uuid : job.position.dropping) {
    const Collection* collection = job.catalog.find(uuid);
    if (collection != nullptr && !collection->ref) job.catalog.remove(uuid);
  }
}

// What the target holds of the job, by what it has now; what is not the job's is
// out of the way.
Result<std::optional<SavedJob>> match_target(Target& target, StateStore& store, const Filter& filter) {
  auto job = load_job(store);
  if (!job || !*job) return job;
  auto present = look_at_target(target);
  if (!present) return fail(std::move(present.error()));
  if (auto matched = match_twins(**job, present->names); !matched) return fail(std::move(matched.error()));
  forget_replaced_views((*job)->catalog);
  auto dropped = drop_later_views(**job, target, present->views, filter);
  if (dropped) dropped = drop_unfinished_twins(**job, target, present->names);
  if (!dropped) return fail(std::move(dropped.error()));
  if (auto shut_out = shut_out_copies(**job, target); !shut_out) return fail(std::move(shut_out.error()));
  return job;
}

}  // namespace

Result<std::optional<SavedJob>> restore_job(Source& source, Target& target, StateStore& store, const Filter& filter) {
  Result<std::optional<SavedJob>> job;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    job = match_target(target, store, filter);
    // A rename of the attempt before, or of the process before this one, came late.
    if (job || job.error().server_code != server_code::collection_uuid_mismatch) break;
  }
  if (!job || !*job) return job;
  forget_what_is_dropped(**job);
  // What the process before this one wrote behind its last save is on the
  // target: until the stream has passed the present, it may be ahead.
  auto now = source.append_note("plm goes on to replicate");
  if (!now) return fail(std::move(now.error()));
  (*job)->position.dirty_until = std::max((*job)->position.dirty_until, *now);
  return job;
}

Result<std::vector<CollectionSpec>> present_on_target(Target& target, const Filter& filter) {
  auto databases = target.list_databases();
  if (!databases) return fail(std::move(databases.error()));
  std::erase_if(*databases, [&](const std::string& database) { return !filter.may_select_in(database); });
  auto listed = target.list_collections(*databases);
  if (!listed) return listed;
  std::erase_if(*listed,
                [&](const CollectionSpec& spec) { return !filter.selects(spec.ns) && !is_working_name(spec.ns); });
  return listed;
}

}  // namespace plm
