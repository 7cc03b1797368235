#include "engine/finalizer.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "bson/order.h"

namespace plm {

bool same_fields(bson::View left, bson::View right) {
  const auto contained = [](bson::View inner, bson::View outer) {
    return std::ranges::all_of(inner, [&](const bson::Element& field) {
      const bson::Value other = outer[field.key];
      return other.exists() && bson::compare(field.value, other) == 0;
    });
  };
  return contained(left, right) && contained(right, left);
}

void adopt_final_listing(const Listing& listing, Catalog& catalog, FinalReport& report) {
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
  for (const auto& [uuid, collection] : catalog.collections()) {
    if (listing.unsettled.contains(collection.spec.ns.database)) continue;
    if (!std::ranges::binary_search(listed, uuid)) {
      report.differences.push_back(collection.spec.ns.text() + " is on the target and not on the source");
    }
  }
}

namespace {

bool is_conflict(const Error& error) {
  return error.server_code == server_code::index_options_conflict ||
         error.server_code == server_code::index_key_specs_conflict;
}

}  // namespace

Finalizer::Finalizer(Source& source, Target& target, Clock& clock, Progress& progress, Catalog& catalog,
                     FinalReport report, std::uint64_t seed, Cancelled cancelled)
    : source_(source),
      target_(target),
      clock_(clock),
      progress_(progress),
      catalog_(catalog),
      report_(std::move(report)),
      backoff_(seed),
      cancelled_(std::move(cancelled)) {
  for (const auto& [uuid, collection] : catalog_.collections()) steps_.push_back(uuid);
  std::ranges::sort(steps_, {}, [&](const Uuid& uuid) { return catalog_.find(uuid)->spec.ns; });
}

Result<Step> Finalizer::step() {
  if (done() || !backoff_.ready(clock_.steady_now())) return Step::waiting;
  const std::size_t failed_before = report_.failed_indexes.size();
  const std::size_t differences_before = report_.differences.size();
  Status status;
  if (next_ < steps_.size()) {
    Collection& collection = *catalog_.find(steps_[next_]);
    status = make_real(collection);
    if (status) status = compare(collection);
    // Somebody else removed it from the target: compare_options reports that.
    if (!status && status.error().server_code == server_code::namespace_not_found) status = {};
  } else {
    status = compare_options();
  }
  if (!status) {
    // The step is repeated as a whole.
    report_.failed_indexes.erase(report_.failed_indexes.begin() + static_cast<std::ptrdiff_t>(failed_before),
                                 report_.failed_indexes.end());
    report_.differences.resize(differences_before);
    if (status.error().code == ErrorCode::cancelled) return Step::waiting;
    if (!retryable(status.error())) return fail(status.error().within("finalize"));
    backoff_.failed(clock_.steady_now());
    progress_.retrying("finalize: " + status.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
  if (next_ < steps_.size()) {
    ++next_;
  } else {
    options_compared_ = true;
  }
  return Step::worked;
}

// ---- Indexes ------------------------------------------------------------------------------

Status Finalizer::make_real(Collection& collection) {
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
    } else if (retryable(real.error()) || real.error().code == ErrorCode::cancelled) {
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
            failed(collection, refused, error);
          }
        });
    if (!made) return made;
  }
  // Those that another one stood in the way of while it was plain (H10).
  for (IndexTask* task : again) {
    auto made =
        make(*task, nullptr, [&](IndexTask& refused, const Error& error) { failed(collection, refused, error); });
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
      if (!converted && (retryable(converted.error()) || converted.error().code == ErrorCode::cancelled)) {
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

void Finalizer::failed(const Collection& collection, IndexTask& task, const Error& error) {
  const IndexSpec& index = task.spec;
  task.state = IndexState::failed;
  task.reason = error.message;
  log::error("an index could not be made on the target",
             {{"namespace", collection.spec.ns.text()}, {"index", index.name()}, {"reason", error.message}});
  report_.failed_indexes.push_back(
      {FailedIndex::Kind::failed, collection.spec.ns, index.name(), bson::Document(index.keys()), error.message});
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

// A collMod in the stream may have been refused (SchemaChanger::modify_twin). What
// cannot be set here either is a difference that compare_options() finds.
Status Finalizer::make_time_series_real(const Collection& collection) {
  const Twin& twin = collection.ref->twin;
  auto present = target_.list_collections(twin.ns.database);
  if (!present) return fail(std::move(present.error()));
  const auto found = std::ranges::find(*present, twin.uuid, &CollectionSpec::uuid);
  if (found == present->end()) return {};
  const bson::View as_is = found->options["timeseries"].as_document();
  bson::Builder change;
  bool any = false;
  {
    auto fields = change.document("timeseries");
    for (const bson::Element& wanted : collection.spec.options["timeseries"].as_document()) {
      const bson::Value has = as_is[wanted.key];
      if (has && bson::compare(has, wanted.value) == 0) continue;
      // Follows the granularity.
      if (wanted.key == "bucketMaxSpanSeconds" && collection.spec.options["timeseries"].as_document()["granularity"])
        continue;
      fields->append(wanted.key, wanted.value);
      any = true;
    }
  }
  if (!any) return {};
  auto modified = target_.modify(twin, change.view());
  if (!modified && retryable(modified.error())) return fail(std::move(modified.error()));
  return {};
}

// ---- Comparing ------------------------------------------------------------------------------

Status Finalizer::compare(const Collection& collection) {
  if (!collection.ref) return {};
  const Namespace& ns = collection.spec.ns;
  auto present = target_.list_indexes(collection.ref->twin);
  if (!present) return fail(std::move(present.error()));
  for (const IndexTask& task : collection.indexes) {
    if (task.state == IndexState::failed) continue;
    const auto same_name = std::ranges::find(*present, task.spec.name(), &IndexSpec::name);
    if (same_name == present->end()) {
      report_.differences.push_back(ns.text() + " lacks index " + task.spec.name());
    } else if (!same_fields(same_name->spec.view(), task.spec.spec.view())) {
      report_.differences.push_back(ns.text() + " has index " + task.spec.name() + " as " +
                                    same_name->spec.view().json(300) + ", the source as " +
                                    task.spec.spec.view().json(300));
    }
  }
  auto on_target = target_.count_documents(ns);
  if (!on_target) return fail(std::move(on_target.error()));
  auto on_source = source_.count_documents(ns);
  if (!on_source && retryable(on_source.error())) return fail(std::move(on_source.error()));
  if (!on_source && on_source.error().code != ErrorCode::not_found) {
    report_.differences.push_back(ns.text() + " could not be counted on the source: " + on_source.error().message);
  }
  if (on_source && *on_source != *on_target) {
    report_.differences.push_back(ns.text() + " has " + std::to_string(*on_target) + " documents, on the source " +
                                  std::to_string(*on_source) +
                                  " (they differ rightly if it was written after finalize began)");
    return {};
  }
  return collection.spec.is_capped() ? compare_natural_order(ns) : Status();
}

Status Finalizer::compare_natural_order(const Namespace& ns) {
  auto on_target = target_.natural_order(ns);
  if (!on_target) return fail(std::move(on_target.error()));
  auto on_source = source_.natural_order(ns);
  if (on_source && *on_source == *on_target) return {};
  if (on_source) {
    report_.differences.push_back(ns.text() +
                                  " has its documents in another natural order than on the source (rightly if it was "
                                  "written after finalize began)");
    return {};
  }
  // Written so fast that it cannot be read to the end: another attempt would not help.
  const bool lost = on_source.error().server_code == server_code::capped_position_lost;
  if (retryable(on_source.error()) && !lost) return fail(std::move(on_source.error()));
  report_.differences.push_back(ns.text() + " could not be compared: " + on_source.error().message);
  return {};
}

Status Finalizer::compare_options() {
  std::set<std::string> databases;
  for (const auto& [uuid, collection] : catalog_.collections()) databases.insert(collection.spec.ns.database);
  for (const auto& [ns, view] : catalog_.views()) databases.insert(ns.database);
  for (const std::string& database : databases) {
    auto listed = target_.list_collections(database);
    if (!listed) return fail(std::move(listed.error()));
    const auto compare_one = [&](const CollectionSpec& wanted) {
      const auto same_name = std::ranges::find(*listed, wanted.ns, &CollectionSpec::ns);
      if (same_name == listed->end()) {
        report_.differences.push_back(wanted.ns.text() + " is not on the target");
      } else if (!same_fields(same_name->options.view(), wanted.options.view())) {
        report_.differences.push_back(wanted.ns.text() + " has options " + same_name->options.view().json(300) +
                                      ", on the source " + wanted.options.view().json(300));
      }
    };
    for (const auto& [uuid, collection] : catalog_.collections()) {
      if (collection.spec.ns.database == database) compare_one(collection.spec);
    }
    for (const auto& [ns, view] : catalog_.views()) {
      if (ns.database == database) compare_one(view);
    }
  }
  return {};
}

}  // namespace plm
