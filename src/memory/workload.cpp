#include "memory/workload.h"

#include <string>
#include <vector>

#include "memory/random_documents.h"

namespace plm {

namespace {

std::string numbered(const char* word, int count, Random& random) {
  return word + std::to_string(random.below(static_cast<std::uint64_t>(count)));
}

bson::Document index_spec(Random& random, double compound_chance) {
  static constexpr const char* fields[] = {"a", "b", "c"};
  const auto first = random.below(3);
  const char* field = fields[first];
  const char* second_field = random.chance(compound_chance) ? fields[(first + 1) % 3] : nullptr;
  const bool unique = random.chance(0.3);
  const bool sparse = random.chance(0.2);
  const bool expires = second_field == nullptr && random.chance(0.2);
  bson::Builder out;
  out.append("v", std::int32_t{2});
  if (unique) out.append("unique", true);
  {
    auto key = out.document("key");
    key->append(field, std::int32_t{1});
    if (second_field != nullptr) key->append(second_field, std::int32_t{1});
  }
  std::string name = std::string(field) + "_1";
  if (second_field != nullptr) name += std::string("_") + second_field + "_1";
  if (unique) name += "_unique";
  if (sparse) name += "_sparse";
  out.append("name", name);
  if (sparse) out.append("sparse", true);
  if (expires) out.append("expireAfterSeconds", static_cast<std::int32_t>(60 + random.below(60)));
  return out.take();
}

}  // namespace

void Workload::fill() {
  for (int i = 0; i < options_.collections; ++i) {
    const Namespace ns = any_collection_name();
    (void)deployment_.create(ns, {});
    if (random_.chance(0.5)) change_indexes(ns);
  }
  for (int i = 0; i < options_.ids * options_.collections; ++i) write();
}

void Workload::step() {
  const Mix& mix = options_.mix;
  if (random_.chance(mix.notes)) {
    deployment_.append_note();
  } else if (random_.chance(mix.transactions)) {
    transaction();
  } else if (!random_.chance(mix.structure)) {
    write();
  } else if (random_.chance(mix.capped)) {
    change_capped();
  } else if (random_.chance(mix.databases)) {
    change_database();
  } else if (random_.chance(mix.series)) {
    change_series();
  } else {
    change_structure();
  }
}

Namespace Workload::any_collection_name() {
  return {numbered("db", options_.databases, random_), numbered("c", options_.collections, random_)};
}

Namespace Workload::any_view_name() {
  return {numbered("db", options_.databases, random_), numbered("view", options_.views, random_)};
}

MemoryCollection* Workload::any_collection() {
  // A few guesses are quicker than a list, and a step may do nothing.
  for (int i = 0; i < 8; ++i) {
    if (MemoryCollection* found = deployment_.find(any_collection_name())) return found;
  }
  return nullptr;
}

void Workload::write(const Namespace& ns) {
  const bson::OwnedValue id = random_id(random_, options_.ids);
  const MemoryCollection* collection = deployment_.find(ns);
  const DocumentPtr old = collection == nullptr ? nullptr : collection->find(id.value());
  if (old == nullptr) {
    (void)deployment_.insert(ns, random_document(random_, id.value()).view());
    return;
  }
  const bson::Value old_id = (*old)["_id"];
  switch (random_.below(5)) {
    case 0:
      (void)deployment_.replace(ns, random_document(random_, old_id).view());
      return;
    case 1:
      (void)deployment_.erase(ns, old_id);
      return;
    default:
      (void)deployment_.update(ns, old_id, random_diff(random_, old->view()).view());
  }
}

void Workload::transaction() {
  const auto scope = deployment_.transaction();
  const int writes = random_.between(2, 6);
  for (int i = 0; i < writes; ++i) write();
}

void Workload::change_structure() {
  const MemoryCollection* collection = any_collection();
  if (collection == nullptr) {
    (void)deployment_.create(any_collection_name(), {});
    return;
  }
  const Namespace ns = collection->ns;
  switch (random_.below(8)) {
    case 0:
      (void)deployment_.create(any_collection_name(), {});
      return;
    case 1:
      (void)deployment_.drop(ns);
      return;
    case 2:
    case 3:
      (void)deployment_.rename(ns, {ns.database, any_collection_name().collection}, random_.chance(0.5));
      return;
    case 4:
    case 5:
      change_indexes(ns);
      return;
    case 6:
      modify(*collection);
      return;
    default:
      change_view();
  }
}

void Workload::change_indexes(const Namespace& ns) {
  if (random_.chance(0.7)) {
    (void)deployment_.create_indexes(ns, {IndexSpec{index_spec(random_, options_.mix.compound)}});
    return;
  }
  const MemoryCollection* collection = deployment_.find(ns);
  if (collection == nullptr || collection->indexes.empty()) return;
  const auto index = random_.below(collection->indexes.size());
  (void)deployment_.drop_index(ns, random_.chance(0.2) ? "*" : collection->indexes[index].name());
}

void Workload::modify(const MemoryCollection& collection) {
  bson::Builder change;
  if (!collection.indexes.empty() && random_.chance(0.5)) {
    const IndexSpec& index = collection.indexes[random_.below(collection.indexes.size())];
    auto scope = change.document("index");
    scope->append("name", index.name());
    if (index.is_ttl()) {
      scope->append("expireAfterSeconds", static_cast<std::int64_t>(random_.below(1000)));
    } else {
      scope->append("hidden", random_.chance(0.5));
    }
  } else {
    {
      auto validator = change.document("validator");
      auto field = validator->document("a");
      field->append("$exists", random_.chance(0.5));
    }
    change.append("validationLevel", random_.chance(0.5) ? "off" : "moderate");
  }
  (void)deployment_.modify(Namespace(collection.ns), change.view());
}

void Workload::change_view() {
  const Namespace ns = any_view_name();
  bson::Builder definition;
  definition.append("viewOn", any_collection_name().collection);
  {
    auto pipeline = definition.array("pipeline");
    auto stage = pipeline.document();
    stage->append("$limit", static_cast<std::int32_t>(1 + random_.below(9)));
  }
  if (deployment_.find(ns) == nullptr) {
    (void)deployment_.create(ns, definition.view());
  } else if (random_.chance(0.5)) {
    (void)deployment_.modify(ns, definition.view());
  } else {
    (void)deployment_.drop(ns);
  }
}

void Workload::change_capped() {
  const Namespace ns = any_collection_name();
  const MemoryCollection* collection = deployment_.find(ns);
  if (collection == nullptr) {
    bson::Builder options;
    options.append("capped", true).append("size", std::int32_t{4096}).append("max", random_.between(3, 8));
    (void)deployment_.create(ns, options.view());
  } else if (collection->spec().is_capped() && random_.chance(0.8)) {
    bson::Builder change;
    if (random_.chance(0.5)) {
      change.append("cappedSize", std::int64_t{256} * random_.between(1, 8));
    } else {
      change.append("cappedMax", random_.between(2, 20));
    }
    (void)deployment_.modify(ns, change.view());
  } else {
    (void)deployment_.convert_to_capped(ns, std::int64_t{256} * random_.between(1, 8));
  }
}

void Workload::change_series() {
  const Namespace ns{numbered("db", options_.databases, random_), "series"};
  const Namespace buckets{ns.database, std::string(kBucketsPrefix) + ns.collection};
  bson::Builder options;
  {
    auto series = options.document("timeseries");
    const char* granularity = random_.chance(0.5) ? "minutes" : "hours";
    if (deployment_.find(ns) == nullptr) series->append("timeField", "t");
    series->append("granularity", deployment_.find(ns) == nullptr ? "seconds" : granularity);
  }
  if (random_.chance(0.3)) options.append("expireAfterSeconds", std::int32_t{3600});
  if (deployment_.find(ns) == nullptr) {
    (void)deployment_.create(ns, options.view());
    return;
  }
  switch (random_.below(8)) {
    case 0:
      (void)deployment_.drop(ns);
      return;
    case 1:
      (void)deployment_.modify(ns, options.view());
      return;
    default:
      for (int i = 0; i < 10; ++i) write(buckets);
  }
}

void Workload::change_database() {
  const MemoryCollection* collection = any_collection();
  if (collection == nullptr) return;
  const Namespace ns = collection->ns;
  if (random_.chance(0.5)) {
    (void)deployment_.rename(ns, any_collection_name(), random_.chance(0.5));
  } else {
    (void)deployment_.drop_database(ns.database);
  }
}

}  // namespace plm
