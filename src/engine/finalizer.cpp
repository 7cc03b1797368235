#include "engine/finalizer.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "base/log.h"
#include "bson/same_fields.h"

namespace plm {

namespace {

std::vector<Namespace> adopt_views(const Listing& listing, Catalog& catalog, FinalReport& report) {
  std::set<Namespace> listed;
  for (const CollectionSpec& spec : listing.collections) {
    if (!spec.is_view()) continue;
    listed.insert(spec.ns);
    if (catalog.find_view(spec.ns) == nullptr) {
      report.differences.push_back("view " + spec.ns.text() + " is on the source and was not replicated");
    } else {
      catalog.put_view(spec);
    }
  }
  std::vector<Namespace> lost;
  for (const auto& [ns, view] : catalog.views()) {
    if (!listing.unsettled.contains(ns.database) && !listed.contains(ns)) lost.push_back(ns);
  }
  for (const Namespace& ns : lost) catalog.remove_view(ns);
  return lost;
}

// A creation that is interrupted leaves its buckets alone, and so does the drop of a
// database that is.
std::vector<Twin> adopt_lost_time_series(const std::vector<const Collection*>& not_listed, const Listing& listing,
                                         Catalog& catalog, FinalReport& report) {
  std::vector<Twin> lost;
  for (const Collection* collection : not_listed) {
    const CollectionSpec& spec = collection->spec;
    const bool is_half = spec.kind == CollectionKind::time_series && collection->ref &&
                         std::ranges::find(listing.lost_parts, spec.ns) != listing.lost_parts.end();
    if (is_half) {
      lost.push_back(collection->ref->twin);
      catalog.remove(Uuid(spec.uuid));
    } else {
      report.differences.push_back(spec.ns.text() + " is on the target and not on the source");
    }
  }
  return lost;
}

}  // namespace

LostOnSource adopt_final_listing(const Listing& listing, Catalog& catalog, FinalReport& report) {
  std::vector<Uuid> listed;
  for (const CollectionSpec& spec : listing.collections) {
    if (spec.is_view()) continue;
    listed.push_back(spec.uuid);
    for (const IndexSpec& index : spec.unfinished_indexes) {
      report.failed_indexes.push_back({FailedIndex::Kind::incomplete, spec.ns, index.name(),
                                       bson::Document(index.keys()), "the source has not finished building it"});
    }
    Collection* collection = catalog.find(spec.uuid);
    if (collection == nullptr) {
      report.differences.push_back(spec.ns.text() + " is on the source and was not replicated");
      continue;
    }
    if (collection->spec.ns != spec.ns) {
      report.differences.push_back(spec.ns.text() + " of the source is " + collection->spec.ns.text() +
                                   " on the target");
    }
    collection->spec.options = spec.options;
    std::vector<IndexTask> indexes;
    for (const IndexSpec& index : spec.indexes) indexes.push_back({index, IndexState::waiting, {}});
    collection->indexes = std::move(indexes);
    catalog.touch(*collection);
  }
  std::ranges::sort(listed);
  std::vector<const Collection*> not_listed;
  for (const auto& [uuid, collection] : catalog.collections()) {
    if (listing.unsettled.contains(collection.spec.ns.database)) continue;
    if (!std::ranges::binary_search(listed, uuid)) not_listed.push_back(&collection);
  }
  LostOnSource lost;
  lost.time_series = adopt_lost_time_series(not_listed, listing, catalog, report);
  lost.views = adopt_views(listing, catalog, report);
  return lost;
}

namespace {

bool is_conflict(const Error& error) {
  return error.server_code == server_code::index_options_conflict ||
         error.server_code == server_code::index_key_specs_conflict;
}

bool expires(const Collection& collection) {
  return collection.spec.options.view()["expireAfterSeconds"].exists() ||
         std::ranges::any_of(collection.indexes, [](const IndexTask& task) {
           return task.spec.spec.view()["expireAfterSeconds"].exists();
         });
}

void failed(const Collection& collection, IndexTask& task, const Error& error, FinalReport& report) {
  const IndexSpec& index = task.spec;
  task.state = IndexState::failed;
  task.reason = error.message;
  log::error("an index could not be made on the target",
             {{"namespace", collection.spec.ns.text()}, {"index", index.name()}, {"reason", error.message}});
  report.failed_indexes.push_back(
      {FailedIndex::Kind::failed, collection.spec.ns, index.name(), bson::Document(index.keys()), error.message});
}

}  // namespace

Finalizer::Finalizer(Source& source, Target& target, Clock& clock, Progress& progress, Catalog& catalog,
                     FinalReport report, std::uint64_t seed, Turn turn, Cancelled cancelled)
    : source_(source),
      target_(target),
      clock_(clock),
      progress_(progress),
      catalog_(catalog),
      known_before_(std::move(report)),
      turn_(turn),
      cancelled_(std::move(cancelled)),
      backoff_(seed) {
  std::map<Namespace, Collection*> by_name;
  for (auto& [uuid, collection] : catalog_.collections()) {
    by_name.emplace(collection.spec.ns, catalog_.find(uuid));
    databases_[collection.spec.ns.database].push_back(&collection.spec);
  }
  for (const auto& [ns, view] : catalog_.views()) databases_[ns.database].push_back(&view);
  for (const auto& [ns, collection] : by_name) {
    tasks_.push_back({ns.database, collection, {}, false, {}});
    collections_.push_back(&tasks_.back());
  }
  for (const auto& [database, specs] : databases_) {
    tasks_.push_back({database, nullptr, {}, false, {}});
    comparisons_.push_back(&tasks_.back());
  }
  collections_left_ = collections_.size();
  tasks_left_ = tasks_.size();
}

bool Finalizer::done() const {
  const std::lock_guard lock(mutex_);
  return tasks_left_ == 0;
}

Finalizer::CollectionsDone Finalizer::collections() const {
  const auto total = static_cast<std::int64_t>(catalog_.collections().size());
  const std::lock_guard lock(mutex_);
  return {total - static_cast<std::int64_t>(collections_left_), total};
}

FinalReport Finalizer::report() const {
  const std::lock_guard lock(mutex_);
  FinalReport out = known_before_;
  for (const Task& task : tasks_) {
    std::ranges::copy(task.found_counting.differences, std::back_inserter(out.differences));
    std::ranges::copy(task.found.failed_indexes, std::back_inserter(out.failed_indexes));
    std::ranges::copy(task.found.differences, std::back_inserter(out.differences));
  }
  return out;
}

Result<Step> Finalizer::step() {
  Task* task = take();
  if (task == nullptr) return Step::waiting;
  const Status status = work_on(*task);
  if (!status) {
    put_back(*task, status.error());
    if (status.error().code == ErrorCode::cancelled || worth_waiting(status.error())) return Step::waiting;
    return fail(status.error().within("finalize"));
  }
  const std::lock_guard lock(mutex_);
  backoff_.succeeded();
  if (task->collection != nullptr) --collections_left_;
  --tasks_left_;
  return Step::worked;
}

Finalizer::Task* Finalizer::take() {
  const std::lock_guard lock(mutex_);
  if (!backoff_.ready(clock_.steady_now())) return nullptr;
  std::deque<Task*>& waiting = collections_left_ > 0 ? collections_ : comparisons_;
  if (waiting.empty()) return nullptr;
  Task* task = waiting.front();
  waiting.pop_front();
  return task;
}

// All but the counting is repeated.
void Finalizer::put_back(Task& task, const Error& error) {
  const std::lock_guard lock(mutex_);
  task.found = {};
  (task.collection != nullptr ? collections_ : comparisons_).push_front(&task);
  if (error.code == ErrorCode::cancelled || !worth_waiting(error)) return;
  backoff_.failed(clock_.steady_now());
  progress_.retrying("finalize: " + error.message);
}

Status Finalizer::work_on(Task& task) {
  FinalReport found;
  Status status;
  if (task.collection == nullptr) {
    status = compare_options(target_, task.database, databases_.at(task.database), found);
  } else {
    status = work_on_collection(task, found);
    // Somebody else removed it from the target: compare_options reports that.
    if (!status && status.error().server_code == server_code::namespace_not_found) status = {};
  }
  const std::lock_guard lock(mutex_);
  task.found = std::move(found);
  return status;
}

// Documents are counted before they may expire; of a capped collection, when it
// has its size, which must not have removed any.
Status Finalizer::work_on_collection(Task& task, FinalReport& found) {
  Collection& collection = *task.collection;
  Status status;
  const bool capped = collection.spec.is_capped();
  if (!capped) status = count(task);
  if (status) status = make_real(collection, found);
  if (status) status = compare_indexes(target_, collection, found);
  if (status && capped) status = count(task);
  return status;
}

Status Finalizer::count(Task& task) {
  if (task.counted) return {};
  FinalReport found;
  if (turn_ == Turn::later && expires(*task.collection)) {
    log::info("documents are not counted again: some may have expired meanwhile",
              {{"namespace", task.collection->spec.ns.for_users().text()}});
  } else if (auto compared = compare_documents(source_, target_, *task.collection, found); !compared) {
    return compared;
  }
  const std::lock_guard lock(mutex_);
  task.counted = true;
  task.found_counting = std::move(found);
  return {};
}

// ---- Indexes ------------------------------------------------------------------------------

Status Finalizer::make_real(Collection& collection, FinalReport& report) {
  if (!collection.ref) return {};
  const Twin& twin = collection.ref->twin;
  auto present = target_.list_indexes(twin);
  if (!present) return fail(present.error().within("list indexes of " + twin.ns.text()));
  for (const IndexSpec& index : *present) {
    if (index.is_id_index() || collection.find_index(index.name()) != nullptr) continue;
    log::info("dropping an index that the source does not have",
              {{"namespace", twin.ns.text()}, {"index", index.name()}});
    if (auto dropped = target_.drop_index(twin, index.name()); !dropped) return dropped;
  }
  const auto make = [&](IndexTask& task, const IndexSpec* as_is, auto&& refused) -> Status {
    auto real = make_index_real(collection, task.spec, as_is);
    if (real) {
      task.state = IndexState::built;
    } else if (worth_waiting(real.error()) || real.error().code == ErrorCode::cancelled) {
      return real;
    } else {
      refused(task, real.error());
    }
    return {};
  };
  std::vector<IndexTask*> again;
  for (IndexTask& task : collection.indexes) {
    const auto same_name = std::ranges::find(*present, task.spec.name(), &IndexSpec::name);
    auto made =
        make(task, same_name == present->end() ? nullptr : &*same_name, [&](IndexTask& refused, const Error& error) {
          if (is_conflict(error)) {
            again.push_back(&refused);
          } else {
            failed(collection, refused, error, report);
          }
        });
    if (!made) return made;
  }
  // Those that another one stood in the way of while it was plain.
  for (IndexTask* task : again) {
    auto made = make(*task, nullptr,
                     [&](IndexTask& refused, const Error& error) { failed(collection, refused, error, report); });
    if (!made) return made;
  }
  return make_options_real(collection);
}

Status Finalizer::make_index_real(const Collection& collection, const IndexSpec& wanted, const IndexSpec* present) {
  const Twin& twin = collection.ref->twin;
  if (present != nullptr) {
    if (same_fields(present->spec.view(), wanted.spec.view())) return {};
    if (same_fields(present->plain().spec.view(), wanted.plain().spec.view())) {
      auto converted = convert(twin, wanted);
      if (!converted && (worth_waiting(converted.error()) || converted.error().code == ErrorCode::cancelled)) {
        return converted;
      }
      // Documents that violate it: a new build would tell the same, later.
      if (!converted && wanted.is_unique()) return converted;
      auto now = target_.list_indexes(twin);
      if (!now) return fail(std::move(now.error()));
      const auto same_name = std::ranges::find(*now, wanted.name(), &IndexSpec::name);
      if (same_name != now->end() && same_fields(same_name->spec.view(), wanted.spec.view())) return {};
    }
    if (auto dropped = target_.drop_index(twin, wanted.name()); !dropped) return dropped;
  }
  const std::vector<IndexResult> results = target_.create_indexes(twin, {wanted}, cancelled_);
  return results.front().status;
}

// By collMod, which needs no new build (6.0 and later).
Status Finalizer::convert(const Twin& twin, const IndexSpec& wanted) {
  const auto modify = [&](std::string_view field, auto value) {
    bson::Builder change;
    {
      auto index = change.document("index");
      index->append("name", wanted.name()).append(field, value);
    }
    return target_.modify(twin, change.view());
  };
  if (wanted.is_unique()) {
    if (auto prepared = modify("prepareUnique", true); !prepared) return prepared;
    if (auto unique = modify("unique", true); !unique) {
      // Not unique at all is what it was; it must not reject documents either.
      (void)modify("prepareUnique", false);
      return unique;
    }
  } else if (wanted.is_prepare_unique()) {
    if (auto prepared = modify("prepareUnique", true); !prepared) return prepared;
  }
  if (wanted.is_ttl()) {
    if (auto ttl = modify("expireAfterSeconds", wanted.spec["expireAfterSeconds"]); !ttl) return ttl;
  }
  if (wanted.is_hidden()) {
    if (auto hidden = modify("hidden", true); !hidden) return hidden;
  }
  return {};
}

// ---- Options ------------------------------------------------------------------------------

// Those that were held back while the job ran.
Status Finalizer::make_options_real(const Collection& collection) {
  if (collection.spec.kind == CollectionKind::time_series) {
    if (auto made = make_time_series_real(collection); !made) return made;
  }
  const bson::View options = collection.spec.options.view();
  bson::Builder change;
  const auto append = [&](std::string_view field, std::string_view option) {
    if (const bson::Value value = options[option]) change.append(field, value);
  };
  append("expireAfterSeconds", "expireAfterSeconds");
  if (collection.spec.is_capped()) {
    append("cappedSize", "size");
    append("cappedMax", "max");
  }
  if (change.view().empty()) return {};
  auto modified = target_.modify(collection.ref->twin, change.view());
  if (!modified) return fail(modified.error().within("the options of " + collection.spec.ns.text()));
  return {};
}

// A collMod in the stream may have been refused (SchemaChanger::modify_twin); one
// that says what is so already changes nothing. What is refused here, too, is a
// difference that compare_options() finds.
Status Finalizer::make_time_series_real(const Collection& collection) {
  const bson::View options = collection.spec.options["timeseries"].as_document();
  bson::Builder fields;
  // With a granularity the rest follows from it, and is refused beside it.
  for (const std::string_view name : {"granularity", "bucketMaxSpanSeconds", "bucketRoundingSeconds"}) {
    if (const bson::Value value = options[name]) fields.append(name, value);
    if (name == "granularity" && options[name]) break;
  }
  if (fields.view().empty()) return {};
  bson::Builder change;
  change.append("timeseries", fields.view());
  auto modified = target_.modify(collection.ref->twin, change.view());
  if (!modified && worth_waiting(modified.error())) return fail(std::move(modified.error()));
  return {};
}

}  // namespace plm
