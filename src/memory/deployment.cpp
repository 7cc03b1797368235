#include "memory/deployment.h"
#include "memory/json.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "memory/faults.h"
#include "model/diff.h"

namespace plm {

namespace {

constexpr int kCannotIndexParallelArrays = 171;
constexpr int kCannotConvertIndexToUnique = 359;

tl::unexpected<Error> no_collection(const Namespace& ns) {
  return fail(server_error(server_code::namespace_not_found, "ns not found: " + ns.text()));
}

tl::unexpected<Error> name_taken(const Namespace& ns) {
  return fail(server_error(server_code::namespace_exists, "already exists: " + ns.text()));
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool folds_case(bson::View options) {
  const bson::View collation = options["collation"].as_document();
  return collation["locale"].as_string("simple") != "simple" && collation["strength"].as_int64(3) <= 2;
}

bool has_old_id_index(bson::View options) { return options["idIndex"].as_document()["v"].as_int64() == 1; }

bson::Document without(bson::View document, std::string_view key) {
  bson::Builder out(document.size());
  for (const bson::Element& field : document) {
    if (field.key != key) out.append(field.key, field.value);
  }
  return out.take();
}

// The value takes the place of the old one, or the end.
bson::Document with(bson::View document, std::string_view key, const bson::Value& value) {
  bson::Builder out(document.size() + 64);
  for (const bson::Element& field : document) out.append(field.key, field.key == key ? value : field.value);
  if (!document[key]) out.append(key, value);
  return out.take();
}

// Granularities only become coarser (mongod 6.0.5).
Result<bson::Document> modified_time_series(bson::View old, bson::View change) {
  constexpr std::array<std::string_view, 3> granularities = {"seconds", "minutes", "hours"};
  const auto place_of = [&](bson::View options) {
    return std::ranges::find(granularities, options["granularity"].as_string("seconds"));
  };
  if (change["granularity"] && place_of(change) < place_of(old)) {
    return fail(server_error(server_code::invalid_options, "Invalid transition for timeseries.granularity"));
  }
  bson::Document out(old);
  for (const bson::Element& field : change) out = with(out.view(), field.key, field.value);
  return out;
}

bson::Value at_path(bson::View document, std::string_view path) {
  const auto dot = path.find('.');
  const bson::Value value = document[path.substr(0, dot)];
  return dot == std::string_view::npos ? value : at_path(value.as_document(), path.substr(dot + 1));
}

// Whether an index lets no two documents have the same keys.
bool rejects_duplicates(const IndexSpec& index) {
  return (index.is_unique() || index.is_prepare_unique()) && !index.spec["partialFilterExpression"];
}

bool same_value(const bson::Value& left, const bson::Value& right) {
  const bool left_null = !left || left.type() == BSON_TYPE_NULL;
  const bool right_null = !right || right.type() == BSON_TYPE_NULL;
  return left_null || right_null ? left_null == right_null : bson::compare(left, right) == 0;
}

bool same_keys(const IndexSpec& index, bson::View left, bson::View right) {
  return std::ranges::all_of(
      std::ranges::subrange(index.keys().begin(), std::default_sentinel),
      [&](const auto& field) { return same_value(at_path(left, field.key), at_path(right, field.key)); });
}

bool is_indexed(const IndexSpec& index, bson::View document) {
  if (!index.spec["sparse"].as_bool()) return true;
  for (const bson::Element& field : index.keys()) {
    if (at_path(document, field.key)) return true;
  }
  return false;
}

tl::unexpected<Error> duplicate(const IndexSpec& index) {
  return fail(server_error(server_code::duplicate_key, "E11000 duplicate key error, index: " + index.name()));
}

bool has_parallel_arrays(const IndexSpec& index, bson::View document) {
  int arrays = 0;
  for (const bson::Element& field : index.keys()) arrays += at_path(document, field.key).is_array() ? 1 : 0;
  return arrays > 1;
}

tl::unexpected<Error> parallel_arrays(const IndexSpec& index) {
  return fail(server_error(kCannotIndexParallelArrays, "cannot index parallel arrays, index: " + index.name()));
}

// Whether an index can be built over a whole collection.
Status check_build(const MemoryCollection& collection, const IndexSpec& index) {
  const auto& documents = collection.documents;
  for (const auto& [id, stored] : documents) {
    if (has_parallel_arrays(index, stored.document->view())) return parallel_arrays(index);
  }
  if (!rejects_duplicates(index)) return {};
  for (auto left = documents.begin(); left != documents.end(); ++left) {
    const bson::View left_view = left->second.document->view();
    if (!is_indexed(index, left_view)) continue;
    for (auto right = std::next(left); right != documents.end(); ++right) {
      const bson::View right_view = right->second.document->view();
      if (is_indexed(index, right_view) && same_keys(index, left_view, right_view)) return duplicate(index);
    }
  }
  return {};
}

// What distinguishes indexes on the same keys.
bool same_signature(const IndexSpec& left, const IndexSpec& right) {
  const auto same = [&](std::string_view option) { return same_value(left.spec[option], right.spec[option]); };
  return left.keys() == right.keys() && left.is_unique() == right.is_unique() &&
         left.spec["sparse"].as_bool() == right.spec["sparse"].as_bool() && same("partialFilterExpression") &&
         same("collation");
}

bool same_index(const IndexSpec& left, const IndexSpec& right) {
  return left.name() == right.name() && same_signature(left, right) &&
         same_value(left.spec["expireAfterSeconds"], right.spec["expireAfterSeconds"]);
}

// Errors as mongod 6.0.5 gives them.
Status check_conflicts(const MemoryCollection& collection, const IndexSpec& wanted) {
  for (const IndexSpec& index : collection.indexes) {
    const bool same_name = index.name() == wanted.name();
    if (same_name && !same_signature(index, wanted)) {
      return fail(server_error(server_code::index_key_specs_conflict, "another index has the name " + wanted.name()));
    }
    if (same_name || same_signature(index, wanted)) {
      return fail(server_error(server_code::index_options_conflict, "an equivalent index exists: " + index.name()));
    }
  }
  return {};
}

}  // namespace

bool IdLess::operator()(const bson::Value& left, const bson::Value& right) const {
  if (folds_case && left.is_string() && right.is_string())
    return lower_case(left.string()) < lower_case(right.string());
  return bson::compare(left, right) < 0;
}

CollectionSpec MemoryCollection::spec() const {
  const CollectionKind kind = is_view() ? CollectionKind::view : kind_of(ns);
  return {ns,      kind,
          uuid,    kind == CollectionKind::time_series ? time_series_options(options.view()) : options,
          indexes, unfinished_indexes};
}

DocumentPtr MemoryCollection::find(const bson::Value& id) const {
  const auto found = documents.find(id);
  return found == documents.end() ? nullptr : found->second.document;
}

std::vector<MemoryDocument> MemoryCollection::natural_order(std::uint64_t behind_position) const {
  std::vector<MemoryDocument> out;
  for (const auto& [id, stored] : documents) {
    if (stored.position > behind_position) out.push_back(stored);
  }
  std::ranges::sort(out, {}, &MemoryDocument::position);
  return out;
}

MemoryCollection* MemoryDeployment::find(const Namespace& ns) {
  const auto found = collections_.find(ns);
  return found == collections_.end() ? nullptr : found->second.get();
}

MemoryCollection* MemoryDeployment::find(const Uuid& uuid) {
  const auto found = by_uuid_.find(uuid);
  return found == by_uuid_.end() ? nullptr : found->second;
}

Status MemoryDeployment::insert(const Namespace& ns, bson::View document) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) {
    if (auto created = create(ns, {}); !created) return fail(std::move(created.error()));
    collection = find(ns);
  }
  if (collection->documents.contains(document["_id"])) {
    return fail(server_error(server_code::duplicate_key, "E11000 duplicate key error, index: _id_"));
  }
  return put(*collection, document);
}

Status MemoryDeployment::update(const Namespace& ns, const bson::Value& id, bson::View diff) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  return change(*collection, id, diff);
}

Status MemoryDeployment::replace(const Namespace& ns, bson::View document) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  if (!collection->documents.contains(document["_id"])) return fail(ErrorCode::not_found, "no such document");
  return put(*collection, document);
}

Status MemoryDeployment::erase(const Namespace& ns, const bson::Value& id) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  if (!remove(*collection, id)) return fail(ErrorCode::not_found, "no such document");
  return {};
}

Status MemoryDeployment::put(MemoryCollection& collection, bson::View document) {
  if (Status allowed = check_indexes(collection, document); !allowed) return allowed;
  const bson::Value id = document["_id"];
  CHECK(id.exists());
  const bool exists = collection.documents.contains(id);
  store(collection, id, std::make_shared<const bson::Document>(document));
  oplog_.add_write({.type = exists ? "replace" : "insert",
                    .ns = collection.ns,
                    .uuid = collection.uuid,
                    .id = id,
                    .full_document = document});
  if (!exists) evict(collection);
  return {};
}

Status MemoryDeployment::change(MemoryCollection& collection, const bson::Value& id, bson::View diff) {
  const DocumentPtr old = collection.find(id);
  if (old == nullptr) return fail(ErrorCode::not_found, "no such document");
  auto changed = apply_diff(old->view(), diff);
  if (!changed) return fail(std::move(changed.error()));
  if (!same_value((*changed)["_id"], (*old)["_id"])) {
    return fail(server_error(server_code::id_mismatch_on_replace, "in Collection::updateDocument _id mismatch"));
  }
  if (Status allowed = check_indexes(collection, changed->view()); !allowed) return allowed;
  oplog_.add_write({.type = "update", .ns = collection.ns, .uuid = collection.uuid, .id = (*old)["_id"], .diff = diff});
  store(collection, (*old)["_id"], std::make_shared<const bson::Document>(*std::move(changed)));
  return {};
}

bool MemoryDeployment::remove(MemoryCollection& collection, const bson::Value& id) {
  const auto found = collection.documents.find(id);
  if (found == collection.documents.end()) return false;
  const DocumentPtr old = found->second.document;
  collection.size_bytes -= static_cast<std::int64_t>(old->size_bytes());
  collection.documents.erase(found);
  oplog_.add_write({.type = "delete", .ns = collection.ns, .uuid = collection.uuid, .id = (*old)["_id"]});
  return true;
}

void MemoryDeployment::store(MemoryCollection& collection, const bson::Value& id, DocumentPtr document) {
  collection.size_bytes += static_cast<std::int64_t>(document->size_bytes());
  const auto found = collection.documents.find(id);
  if (found == collection.documents.end()) {
    collection.documents.emplace(bson::OwnedValue(id), MemoryDocument{std::move(document), ++last_position_});
    return;
  }
  collection.size_bytes -= static_cast<std::int64_t>(found->second.document->size_bytes());
  found->second.document = std::move(document);
}

// A full capped collection loses its oldest documents.
void MemoryDeployment::evict(MemoryCollection& collection) {
  if (!collection.options["capped"].as_bool()) return;
  const std::int64_t most_bytes = collection.options["size"].as_int64();
  const std::int64_t most_documents = collection.options["max"].as_int64();
  for (const MemoryDocument& oldest : collection.natural_order()) {
    const bool too_many = most_documents > 0 && std::ssize(collection.documents) > most_documents;
    if (!too_many && collection.size_bytes <= most_bytes) return;
    remove(collection, (*oldest.document)["_id"]);
  }
}

Status MemoryDeployment::check_indexes(const MemoryCollection& collection, bson::View document) const {
  const IdLess& less = collection.documents.key_comp();
  const bson::Value id = document["_id"];
  for (const IndexSpec& index : collection.indexes) {
    if (has_parallel_arrays(index, document)) return parallel_arrays(index);
    if (!rejects_duplicates(index) || !is_indexed(index, document)) continue;
    for (const auto& [other_id, other] : collection.documents) {
      const bool itself = !less(other_id, id) && !less(id, other_id);
      const bson::View view = other.document->view();
      if (!itself && is_indexed(index, view) && same_keys(index, document, view)) return duplicate(index);
    }
  }
  return {};
}

Uuid MemoryDeployment::new_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_.next());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
  return Uuid(bytes);
}

MemoryCollection& MemoryDeployment::add_collection(const Namespace& ns, bson::View options) {
  auto collection = std::make_unique<MemoryCollection>();
  collection->ns = ns;
  collection->options = has_old_id_index(options) ? bson::Document(options) : without(options, "idIndex");
  collection->documents = MemoryDocuments(IdLess{folds_case(options)});
  if (!options["viewOn"]) {
    collection->uuid = new_uuid();
    by_uuid_[collection->uuid] = collection.get();
  }
  return *(collections_[ns] = std::move(collection));
}

void MemoryDeployment::remove_collection(const Namespace& ns) {
  by_uuid_.erase(find(ns)->uuid);
  collections_.erase(ns);
}

Result<Uuid> MemoryDeployment::create(const Namespace& ns, bson::View options) {
  if (find(ns) != nullptr) return name_taken(ns);
  if (options["timeseries"] && !ns.is_buckets()) return create_time_series(ns, options);
  const MemoryCollection& collection = add_collection(ns, options);
  bson::Builder description;
  description.append_all(without(collection.options.view(), "idIndex").view());
  if (!collection.is_view() && !options["clusteredIndex"] && !has_old_id_index(options)) {
    auto id_index = description.document("idIndex");
    id_index->append("v", std::int32_t{2});
    {
      auto key = id_index->document("key");
      key->append("_id", std::int32_t{1});
    }
    id_index->append("name", "_id_");
    if (const bson::Value collation = options["collation"]) id_index->append("collation", collation);
  }
  oplog_.add_ddl({.type = "create", .ns = ns, .uuid = collection.uuid, .description = description.view()});
  return collection.uuid;
}

Result<Uuid> MemoryDeployment::create_time_series(const Namespace& ns, bson::View options) {
  const std::string buckets = std::string(kBucketsPrefix) + ns.collection;
  bson::Builder of_buckets;
  {
    auto validator = of_buckets.document("validator");
    validator->append("$jsonSchema", bson::Document());
  }
  of_buckets.append("clusteredIndex", true).append_all(options);
  auto uuid = create({ns.database, buckets}, of_buckets.view());
  if (!uuid) return uuid;
  bson::Builder of_view;
  of_view.append("viewOn", buckets);
  {
    auto pipeline = of_view.array("pipeline");
  }
  if (auto view = create(ns, of_view.view()); !view) return view;
  return uuid;
}

Status MemoryDeployment::drop(const Namespace& ns) {
  const MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  if (collection->is_view_of_buckets()) {
    return drop({ns.database, std::string(collection->options["viewOn"].as_string())});
  }
  if (ns.is_buckets() && find(ns.for_users()) != nullptr) {
    oplog_.add_ddl({.type = "drop", .ns = ns.for_users()});
    remove_collection(ns.for_users());
  }
  oplog_.add_ddl({.type = "drop", .ns = ns, .uuid = collection->uuid});
  remove_collection(ns);
  return {};
}

Status MemoryDeployment::rename(const Namespace& from, const Namespace& to, bool drop_target) {
  MemoryCollection* collection = find(from);
  if (collection == nullptr || collection->is_view()) return no_collection(from);
  const MemoryCollection* occupant = find(to);
  if (from == to || (occupant != nullptr && (!drop_target || occupant->is_view()))) return name_taken(to);
  if (from.database != to.database) return rename_across(*collection, to, drop_target);

  bson::Builder description;
  {
    auto target = description.document("to");
    target->append("db", to.database).append("coll", to.collection);
  }
  if (occupant != nullptr) {
    occupant->uuid.append_to(description, "dropTarget");
    remove_collection(to);
  }
  oplog_.add_ddl(
      {.type = "rename", .ns = from, .uuid = collection->uuid, .description = description.view(), .to = &to});
  auto node = collections_.extract(from);
  node.key() = to;
  collections_.insert(std::move(node));
  collection->ns = to;
  collection->options = without(collection->options.view(), "temp");
  return {};
}

Status MemoryDeployment::rename_across(MemoryCollection& from, const Namespace& to, bool drop_target) {
  const Namespace temporary{to.database, "tmp" + std::to_string(last_position_) + ".renameCollection"};
  if (auto created = create(temporary, from.options.view()); !created) return fail(std::move(created.error()));
  if (Status indexed = create_indexes(temporary, from.indexes); !indexed) return indexed;
  MemoryCollection& copy = *find(temporary);
  for (const MemoryDocument& stored : from.natural_order()) {
    if (Status inserted = put(copy, stored.document->view()); !inserted) return inserted;
  }
  if (Status renamed = rename(temporary, to, drop_target); !renamed) return renamed;
  return drop(Namespace(from.ns));
}

Status MemoryDeployment::create_indexes(const Namespace& ns, const std::vector<IndexSpec>& indexes) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  std::vector<IndexSpec> added;
  for (const IndexSpec& index : indexes) {
    if (std::ranges::any_of(collection->indexes, [&](const IndexSpec& old) { return same_index(old, index); }))
      continue;
    if (Status conflict = check_conflicts(*collection, index); !conflict) return conflict;
    if (Status built = check_build(*collection, index); !built) return built;
    added.push_back(index);
  }
  if (added.empty()) return {};
  bson::Builder description;
  {
    auto list = description.array("indexes");
    for (const IndexSpec& index : added) list.append(index.spec);
  }
  oplog_.add_ddl({.type = "createIndexes", .ns = ns, .uuid = collection->uuid, .description = description.view()});
  std::ranges::move(added, std::back_inserter(collection->indexes));
  return {};
}

Status MemoryDeployment::drop_index(const Namespace& ns, const std::string& name) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  bool found = name == "*";
  std::vector<IndexSpec> kept;
  for (const IndexSpec& index : collection->indexes) {
    if (name != "*" && index.name() != name) {
      kept.push_back(index);
      continue;
    }
    found = true;
    bson::Builder description;
    {
      auto list = description.array("indexes");
      list.append(index.spec);
    }
    oplog_.add_ddl({.type = "dropIndexes", .ns = ns, .uuid = collection->uuid, .description = description.view()});
  }
  if (!found) return fail(server_error(server_code::index_not_found, "index not found with name [" + name + "]"));
  collection->indexes = std::move(kept);
  return {};
}

Status MemoryDeployment::modify(const Namespace& ns, bson::View change) {
  MemoryCollection* collection = find(ns);
  if (collection == nullptr) return no_collection(ns);
  if (collection->is_view_of_buckets()) {
    return modify({ns.database, std::string(collection->options["viewOn"].as_string())}, change);
  }
  bson::Builder description;
  bson::Document options = collection->options;
  for (const bson::Element& field : change) {
    if (field.key == "index") {
      const auto modified = modify_index(*collection, field.value.as_document());
      if (!modified) return fail(modified.error());
      if (*modified) description.append(field.key, field.value);
      continue;
    }
    description.append(field.key, field.value);
    if (field.key == "timeseries") {
      auto modified = modified_time_series(options["timeseries"].as_document(), field.value.as_document());
      if (!modified) return fail(std::move(modified.error()));
      bson::Builder holder;
      holder.append("v", *modified);
      options = with(options.view(), "timeseries", holder.view()["v"]);
    } else if (field.key == "cappedSize" || field.key == "cappedMax") {
      const std::string_view option = field.key == "cappedSize" ? "size" : "max";
      options = with(options.view(), option, field.value);
    } else if (field.key == "expireAfterSeconds" && field.value.as_string() == "off") {
      options = without(options.view(), field.key);
    } else {
      options = with(options.view(), field.key, field.value);
    }
  }
  if (change["validator"] || change["validationLevel"] || change["validationAction"]) {
    if (options["validator"].is_document() && options["validator"].as_document().empty()) {
      options = without(options.view(), "validator");
    }
    const bson::Document defaults = json(R"({"validationLevel": "strict", "validationAction": "error"})");
    for (const bson::Element& field : defaults.view()) {
      if (!options[field.key]) options = with(options.view(), field.key, field.value);
    }
  }
  collection->options = std::move(options);
  oplog_.add_ddl({.type = "modify", .ns = ns, .uuid = collection->uuid, .description = description.view()});
  return {};
}

Result<bool> MemoryDeployment::modify_index(MemoryCollection& collection, bson::View change) {
  const auto found = std::ranges::find_if(collection.indexes, [&](const IndexSpec& index) {
    return change["name"] ? index.name() == change["name"].as_string()
                          : index.keys() == change["keyPattern"].as_document();
  });
  if (found == collection.indexes.end())
    return fail(server_error(server_code::index_not_found, "cannot find the index"));
  bson::Document spec = found->spec;
  for (const bson::Element& field : change) {
    if (field.key == "name" || field.key == "keyPattern") continue;
    const bool off = field.value.type() == BSON_TYPE_BOOL && !field.value.boolean();
    spec = off ? without(spec.view(), field.key) : with(spec.view(), field.key, field.value);
  }
  IndexSpec changed{std::move(spec)};
  if (changed.is_unique() && !found->is_unique()) {
    if (!found->is_prepare_unique()) {
      return fail(server_error(server_code::invalid_options, "Cannot make index unique with 'prepareUnique=false'"));
    }
    if (!check_build(collection, changed)) {
      return fail(server_error(kCannotConvertIndexToUnique, "Cannot convert the index to unique"));
    }
    changed.spec = without(changed.spec.view(), "prepareUnique");
  }
  const bool differs = changed != *found;
  *found = std::move(changed);
  return differs;
}

Status MemoryDeployment::drop_database(const std::string& database) {
  std::vector<Namespace> names;
  for (const auto& [ns, collection] : collections_) {
    if (ns.database == database) names.push_back(ns);
  }
  for (const Namespace& ns : names) {
    if (!find(ns)->is_view()) oplog_.add_ddl({.type = "drop", .ns = ns, .uuid = find(ns)->uuid});
    remove_collection(ns);
  }
  if (!names.empty()) oplog_.add_ddl({.type = "dropDatabase", .ns = {database, ""}});
  return {};
}

Status MemoryDeployment::convert_to_capped(const Namespace& ns, std::int64_t size_bytes) {
  const MemoryCollection* old = find(ns);
  if (old == nullptr || old->is_view()) return no_collection(ns);
  const Namespace temporary{ns.database, "tmp" + std::to_string(last_position_) + ".convertToCapped." + ns.collection};
  bson::Builder options;
  options.append("capped", true).append("size", size_bytes).append("temp", true);
  if (auto created = create(temporary, options.view()); !created) return fail(std::move(created.error()));
  MemoryCollection& copy = *find(temporary);
  std::vector<MemoryDocument> newest = old->natural_order();
  std::ranges::reverse(newest);
  std::int64_t total_bytes = 0;
  const auto end = std::ranges::find_if(newest, [&](const MemoryDocument& stored) {
    return (total_bytes += static_cast<std::int64_t>(stored.document->size_bytes())) > size_bytes;
  });
  newest.erase(end, newest.end());
  std::ranges::reverse(newest);
  for (const MemoryDocument& stored : newest) store(copy, (*stored.document)["_id"], stored.document);
  return rename(temporary, ns, true);
}

}  // namespace plm
