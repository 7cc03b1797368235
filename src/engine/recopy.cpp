#include "engine/recopy.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/log.h"
#include "bson/same_fields.h"
#include "engine/job_start.h"
#include "engine/target_schema.h"
#include "engine/working_name.h"

namespace plm {

namespace {

// What the target has, by what becomes of it.
struct Sorted {
  std::vector<CollectionSpec> unwanted;
  std::map<Uuid, CollectionSpec> kept;  // by the source's UUID
};

bool may_have_working_name_instead(const CollectionSpec& listed, const CollectionSpec& twin) {
  return may_have_working_name(listed) && may_have_working_name(twin) && listed.ns.database == twin.ns.database;
}

bool may_be_kept(const CollectionSpec& listed, const CollectionSpec& twin) {
  if (listed.kind != twin.kind || listed.is_strictly_ordered()) return false;
  if (listed.ns != twin.ns && !may_have_working_name_instead(listed, twin)) return false;
  return same_fields(creation_options(listed).view(), twin.options.view());
}

Result<Sorted> sort(Target& target, std::vector<CollectionSpec> present, const Catalog& before, const Catalog& now) {
  std::map<Uuid, Uuid> sources;
  for (const auto& [uuid, collection] : before.collections()) {
    if (collection.ref) sources.emplace(collection.ref->twin.uuid, uuid);
  }
  Sorted out;
  for (CollectionSpec& spec : present) {
    const auto source = spec.is_view() ? sources.end() : sources.find(spec.uuid);
    if (source != sources.end()) {
      const auto listed = now.collections().find(source->second);
      if (listed != now.collections().end() && may_be_kept(listed->second.spec, spec)) {
        out.kept.emplace(source->second, std::move(spec));
      } else {
        out.unwanted.push_back(std::move(spec));
      }
      continue;
    }
    if (!spec.is_view()) {
      auto count = target.count_documents(spec.ns);
      if (!count) return fail(std::move(count.error()));
      if (*count > 0) continue;  // not ours
    }
    out.unwanted.push_back(std::move(spec));
  }
  return out;
}

Status drop(Target& target, const std::vector<CollectionSpec>& unwanted) {
  for (const CollectionSpec& spec : unwanted) {
    log::info("dropping what is not to be kept of the copy before", {{"namespace", spec.ns.text()}});
    if (auto dropped = drop_as_listed(target, spec); !dropped) return dropped;
  }
  return {};
}

// They could refuse documents of the source, and nobody would build them again.
Status drop_surplus_indexes(Target& target, const Twin& twin, const std::vector<IndexTask>& wanted) {
  auto present = target.list_indexes(twin);
  if (!present) return fail(present.error().within("list indexes of " + twin.ns.text()));
  for (const IndexSpec& index : *present) {
    if (index.is_id_index()) continue;
    const bool is_wanted = std::ranges::any_of(
        wanted, [&](const IndexTask& task) { return same_fields(task.spec.plain().spec.view(), index.spec.view()); });
    if (is_wanted) continue;
    if (auto dropped = target.drop_index(twin, index.name()); !dropped) return dropped;
  }
  return {};
}

Namespace name_to_begin_with(const CollectionSpec& listed, const Namespace& now, ClusterTime start) {
  if (now == listed.ns) return now;
  return is_working_name(now) ? next_working_name(now) : working_name_at(listed, start);
}

Status keep(Target& target, const CollectionSpec& present, ClusterTime start, Collection& collection) {
  Twin twin{present.ns, present.uuid};
  if (auto aborted = target.abort_builds(twin); !aborted) return aborted;
  if (auto dropped = drop_surplus_indexes(target, twin, collection.indexes); !dropped) return dropped;
  const Namespace name = name_to_begin_with(collection.spec, twin.ns, start);
  if (name != twin.ns) {
    if (auto renamed = rename_twin(target, twin, name); !renamed) return renamed;
    twin.ns = name;
  }
  collection.ref = make_ref(collection.spec, twin);
  collection.twin_state = TwinState::ready;
  collection.merges = true;
  return {};
}

Status prepare_target(Target& target, const Filter& filter, Recopy recopy, const SavedJob& before, SavedJob& job) {
  auto present = present_on_target(target, filter);
  if (!present) return fail(std::move(present.error()));
  if (recopy == Recopy::all) return drop(target, *present);
  auto sorted = sort(target, *std::move(present), before.catalog, job.catalog);
  if (!sorted) return fail(std::move(sorted.error()));
  if (auto dropped = drop(target, sorted->unwanted); !dropped) return dropped;
  for (const auto& [uuid, twin] : sorted->kept) {
    if (auto kept = keep(target, twin, job.position.position.time, *job.catalog.find(uuid)); !kept) return kept;
  }
  log::info("copying again",
            {{"keptCollections", sorted->kept.size()}, {"collections", job.catalog.collections().size()}});
  return {};
}

}  // namespace

Result<std::optional<SavedJob>> begin_recopy(Source& source, Target& target, StateStore& store, const Filter& filter,
                                             Recopy recopy, std::vector<std::string>& warnings) {
  auto before = load_job(store);
  if (!before || !*before) return before;
  auto job = list_job(source, filter, warnings);
  if (!job) return fail(std::move(job.error()));
  if (auto prepared = prepare_target(target, filter, recopy, **before, *job); !prepared) {
    return fail(prepared.error().within("preparing the target to be copied again"));
  }
  const SavedPosition& old = (*before)->position;
  SavedPosition& position = job->position;
  position.events_read = old.events_read;
  position.events_applied = old.events_applied;
  position.dirty_until = std::max(old.dirty_until, position.position.time);
  if (auto saved = save_begun_job(store, *job); !saved) return fail(std::move(saved.error()));
  return std::optional(*std::move(job));
}

}  // namespace plm
