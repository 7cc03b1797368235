#include "engine/schema_change.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "engine/not_carried.h"

namespace plm {

namespace {

// Options of a create event, without what is not an option.
bson::Document options_of(bson::View description) {
  bson::Builder out;
  for (const bson::Element& field : description) {
    if (field.key != "idIndex" && field.key != "temp") out.append(field.key, field.value);
  }
  return out.take();
}

// A time-series collection is its buckets; its view comes and goes with them.
bool is_view_of_buckets(bson::View options) { return options["viewOn"].as_string().starts_with(kBucketsPrefix); }

std::vector<IndexSpec> indexes_of(bson::View description) {
  std::vector<IndexSpec> out;
  for (const bson::Element& element : description["indexes"].as_document()) {
    bson::Builder spec;
    for (const bson::Element& field : element.value.as_document()) {
      if (field.key != "ns") spec.append(field.key, field.value);
    }
    IndexSpec index{spec.take()};
    if (!index.is_id_index()) out.push_back(std::move(index));
  }
  return out;
}

// A document with one field set (in place, or at the end) or removed.
bson::Document with_field(bson::View document, std::string_view key, const bson::Value& value) {
  bson::Builder out;
  bool found = false;
  for (const bson::Element& field : document) {
    if (field.key != key) {
      out.append(field.key, field.value);
      continue;
    }
    found = true;
    if (value) out.append(key, value);
  }
  if (!found && value) out.append(key, value);
  return out.take();
}

// Buckets and their view come and go one after the other, and servers do not keep
// others from the name between the two (seen on 6.0.5):
// - a name is taken while the buckets are still there: they go now, their drop is
//   about to come; or, as a lost race left them without view, they do not count.
// - buckets are created while another has the name: they do not count.
// - a view is created of buckets that were there: now they count.
const Collection* buckets_with_the_name_of(const Namespace& ns, const Catalog& catalog) {
  const auto found = std::ranges::find_if(catalog.collections(), [&](const auto& known) {
    const CollectionSpec& spec = known.second.spec;
    return spec.kind == CollectionKind::time_series && spec.ns.for_users() == ns;
  });
  return found == catalog.collections().end() ? nullptr : &found->second;
}

bool is_taken(const Namespace& ns, const Catalog& catalog) {
  return catalog.views().contains(ns) ||
         std::ranges::any_of(catalog.collections(), [&](const auto& known) { return known.second.spec.ns == ns; });
}

SchemaChange create_view_of_buckets(const ChangeEvent& event, const Catalog& catalog) {
  SchemaChange out;
  if (buckets_with_the_name_of(event.ns(), catalog) != nullptr) return out;
  out.kind = SchemaChange::Kind::copy;
  out.ns = {std::string(event.database), std::string(event.description["viewOn"].as_string())};
  out.needs_listing = true;
  return out;
}

SchemaChange create(const ChangeEvent& event, const Catalog& catalog, const Filter& filter) {
  SchemaChange out;
  out.ns = event.ns();
  if (!filter.selects(out.ns)) return out;
  out.options = options_of(event.description);
  if (event.description["viewOn"]) {
    if (is_view_of_buckets(event.description)) return create_view_of_buckets(event, catalog);
    out.kind = SchemaChange::Kind::create_view;
    if (const Collection* buckets = buckets_with_the_name_of(out.ns, catalog)) out.replaced = buckets->uuid();
    out.warning = warning_about_view({out.ns, CollectionKind::view, {}, out.options, {}}, filter);
    return out;
  }
  if (event.uuid.is_nil()) return out;
  // Known: created by us before a crash, which the stream tells again.
  if (catalog.collections().contains(event.uuid)) return out;
  if (out.ns.is_buckets()) {
    if (is_taken(out.ns.for_users(), catalog)) return out;
    out.options = time_series_options(out.options.view());
  } else {
    // A server leaves an _id index of version 1 out of its oplog (seen on 6.0.5).
    if (!event.description["idIndex"] && !out.options["clusteredIndex"])
      out.options = with_old_id_index(out.options.view());
    if (const Collection* buckets = buckets_with_the_name_of(out.ns, catalog)) out.replaced = buckets->uuid();
  }
  out.collection = event.uuid;
  // convertToCapped and cloneCollectionAsCapped fill a capped collection without
  // events. The former's is known by its rename, when it is full.
  const bool capped = out.options["capped"].as_bool();
  if (capped && event.description["temp"].as_bool()) return out;
  out.kind = capped ? SchemaChange::Kind::copy : SchemaChange::Kind::create;
  return out;
}

SchemaChange rename(const ChangeEvent& event, Catalog& catalog, const Filter& filter) {
  SchemaChange out;
  const bson::View to = event.description["to"].as_document();
  out.ns = {std::string(to["db"].as_string()), std::string(to["coll"].as_string())};
  out.collection = event.uuid;
  const Uuid dropped(event.description["dropTarget"]);
  if (!dropped.is_nil() && catalog.find(dropped) != nullptr) out.replaced = dropped;

  const bool known = catalog.find(event.uuid) != nullptr;
  if (const Collection* buckets = buckets_with_the_name_of(out.ns, catalog)) out.replaced = buckets->uuid();
  if (filter.selects(out.ns)) {
    out.kind = known ? SchemaChange::Kind::rename : SchemaChange::Kind::copy;
    out.needs_listing = !known;
  } else if (known) {
    out.kind = SchemaChange::Kind::drop;
  }
  return out;
}

SchemaChange drop(const ChangeEvent& event, Catalog& catalog) {
  SchemaChange out;
  out.ns = event.ns();
  if (event.uuid.is_nil()) {
    if (catalog.find_view(out.ns) != nullptr) out.kind = SchemaChange::Kind::drop_view;
    return out;
  }
  if (catalog.find(event.uuid) == nullptr) return out;
  out.collection = event.uuid;
  out.kind = SchemaChange::Kind::drop;
  return out;
}

SchemaChange modify(const ChangeEvent& event, Catalog& catalog, const Filter& filter) {
  SchemaChange out;
  out.ns = event.ns();
  out.options = bson::Document(event.description);
  if (event.uuid.is_nil()) {
    // The event of a view names its collation, which collMod does not know.
    out.options = with_field(event.description, "collation", {});
    if (catalog.find_view(out.ns) == nullptr) return out;
    out.kind = SchemaChange::Kind::modify_view;
    out.warning = warning_about_view({out.ns, CollectionKind::view, {}, out.options, {}}, filter);
    return out;
  }
  if (catalog.find(event.uuid) == nullptr) return out;
  out.collection = event.uuid;
  out.kind = SchemaChange::Kind::modify;
  return out;
}

SchemaChange change_indexes(const ChangeEvent& event, Catalog& catalog, SchemaChange::Kind kind) {
  SchemaChange out;
  out.ns = event.ns();
  if (catalog.find(event.uuid) == nullptr) return out;
  out.collection = event.uuid;
  out.indexes = indexes_of(event.description);
  if (!out.indexes.empty()) out.kind = kind;
  return out;
}

SchemaChange plan_by_kind(const ChangeEvent& event, Catalog& catalog, const Filter& filter) {
  switch (event.kind) {
    case EventKind::create:
      return create(event, catalog, filter);
    case EventKind::rename:
      return rename(event, catalog, filter);
    case EventKind::drop:
      return drop(event, catalog);
    case EventKind::modify:
      return modify(event, catalog, filter);
    case EventKind::create_indexes:
      return change_indexes(event, catalog, SchemaChange::Kind::create_indexes);
    case EventKind::drop_indexes:
      return change_indexes(event, catalog, SchemaChange::Kind::drop_indexes);
    case EventKind::drop_database: {
      // Its collections have events of their own, its views have none.
      SchemaChange out;
      out.ns.database = event.database;
      out.kind = SchemaChange::Kind::drop_views;
      return out;
    }
    case EventKind::insert:
    case EventKind::update:
    case EventKind::replace:
    case EventKind::erase:
    case EventKind::ignored:
      break;
  }
  CHECK(!"not a DDL event");
  return {};
}

}  // namespace

std::string_view name_of(SchemaChange::Kind kind) {
  switch (kind) {
    case SchemaChange::Kind::none:
      return "none";
    case SchemaChange::Kind::create:
      return "create";
    case SchemaChange::Kind::copy:
      return "copy";
    case SchemaChange::Kind::drop:
      return "drop";
    case SchemaChange::Kind::rename:
      return "rename";
    case SchemaChange::Kind::modify:
      return "modify";
    case SchemaChange::Kind::create_indexes:
      return "create indexes";
    case SchemaChange::Kind::drop_indexes:
      return "drop indexes";
    case SchemaChange::Kind::create_view:
      return "create view";
    case SchemaChange::Kind::modify_view:
      return "modify view";
    case SchemaChange::Kind::drop_view:
      return "drop view";
    case SchemaChange::Kind::drop_views:
      return "drop the views of a database";
    case SchemaChange::Kind::move:
      return "move";
  }
  CHECK(!"unknown change");
  return {};
}

// A dropDatabase that is interrupted has dropped the views and told nobody (seen
// on 6.0.5): they are known to be gone when something else has their name.
SchemaChange plan_schema_change(const ChangeEvent& event, Catalog& catalog, const Filter& filter) {
  using Kind = SchemaChange::Kind;
  SchemaChange out = plan_by_kind(event, catalog, filter);
  const bool takes_name = out.kind == Kind::create || out.kind == Kind::copy || out.kind == Kind::rename;
  out.replaces_view = takes_name && catalog.find_view(out.ns.for_users()) != nullptr;
  return out;
}

// ---- collMod -------------------------------------------------------------------------

namespace {

// An index flag that is false is not in the specification.
bson::Value unless_false(const bson::Value& value) {
  return value.type() == BSON_TYPE_BOOL && !value.boolean() ? bson::Value() : value;
}

// Only of expireAfterSeconds does "off" mean "none"; a validationLevel is called so.
bson::Value unless_off(std::string_view option, const bson::Value& value) {
  return option == "expireAfterSeconds" && value.as_string() == "off" ? bson::Value() : value;
}

void modify_index(bson::View change, Collection& collection) {
  const auto task = std::ranges::find_if(collection.indexes, [&](const IndexTask& candidate) {
    if (const bson::Value name = change["name"]) return candidate.spec.name() == name.as_string();
    return candidate.spec.keys() == change["keyPattern"].as_document();
  });
  if (task == collection.indexes.end()) return;
  for (const bson::Element& field : change) {
    if (field.key == "name" || field.key == "keyPattern") continue;
    task->spec.spec = with_field(task->spec.spec.view(), field.key, unless_false(field.value));
    // Unique at last: the preparation is over.
    if (field.key == "unique") task->spec.spec = with_field(task->spec.spec.view(), "prepareUnique", {});
  }
}

void modify_time_series(bson::View change, bson::Document& options) {
  bson::Document merged(options["timeseries"].as_document());
  // Follows the granularity; the server refuses a value that does not.
  if (change["granularity"]) merged = with_field(merged.view(), "bucketMaxSpanSeconds", {});
  for (const bson::Element& field : change) merged = with_field(merged.view(), field.key, field.value);
  bson::Builder holder;
  holder.append("v", merged);
  options = with_field(options.view(), "timeseries", holder.view()["v"]);
}

// Whoever changes one part of the validation gets all parts; an empty validator is none (seen on 6.0.5).
void complete_validation(bson::View modification, bson::Document& options) {
  if (!modification["validator"] && !modification["validationLevel"] && !modification["validationAction"]) return;
  if (options["validator"].is_document() && options["validator"].as_document().empty()) {
    options = with_field(options.view(), "validator", {});
  }
  bson::Builder defaults;
  defaults.append("validationLevel", "strict").append("validationAction", "error");
  for (const bson::Element& field : defaults.view()) {
    if (!options[field.key]) options = with_field(options.view(), field.key, field.value);
  }
}

// Names of collMod fields and of the options they change, where they differ.
std::string_view option_named(std::string_view field) {
  if (field == "cappedSize") return "size";
  if (field == "cappedMax") return "max";
  return field;
}

}  // namespace

void apply_modification(bson::View modification, Collection& collection) {
  bson::Document& options = collection.spec.options;
  for (const bson::Element& field : modification) {
    if (field.key == "index") {
      modify_index(field.value.as_document(), collection);
    } else if (field.key == "timeseries") {
      modify_time_series(field.value.as_document(), options);
    } else {
      options = with_field(options.view(), option_named(field.key), unless_off(field.key, field.value));
    }
  }
  complete_validation(modification, options);
}

std::optional<bson::Document> modification_for_target(bson::View modification) {
  constexpr std::array<std::string_view, 4> held_back = {"index", "expireAfterSeconds", "cappedSize", "cappedMax"};
  bson::Builder out;
  bool any = false;
  for (const bson::Element& field : modification) {
    if (std::ranges::find(held_back, field.key) != held_back.end()) continue;
    out.append(field.key, field.value);
    any = true;
  }
  if (!any) return std::nullopt;
  return out.take();
}

}  // namespace plm
