#include "mongo/stored_catalog.h"

#include <algorithm>
#include <ranges>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "bson/same_fields.h"
#include "mongo/cursor.h"
#include "mongo/index_list.h"
#include "mongo/listed_collections.h"

namespace plm::mongo {
namespace {

// What is stored of all collections, through one stage more.
template <typename Stage>
bson::Document catalog_command(const Stage& append_stage) {
  bson::Builder command;
  command.append("aggregate", 1);
  {
    auto pipeline = command.array("pipeline");
    {
      auto source = pipeline.document();
      auto all = source->document("$listCatalog");
    }
    auto stage = pipeline.document();
    append_stage(*stage);
  }
  {
    auto cursor = command.document("cursor");
  }
  return command.take();
}

bson::Document collections_command(const std::vector<std::string>& databases) {
  return catalog_command([&](bson::Builder& stage) {
    auto match = stage.document("$match");
    auto database = match->document("db");
    auto names = database->array("$in");
    for (const std::string& name : databases) names.append(name);
  });
}

bson::Document names_command() {
  return catalog_command([](bson::Builder& stage) {
    auto group = stage.document("$group");
    group->append("_id", "$db");
  });
}

bson::Document collection_command(const Uuid& uuid) {
  return catalog_command([&](bson::Builder& stage) {
    auto match = stage.document("$match");
    uuid.append_to(*match, "md.options.uuid");
  });
}

// A view is stored as {_id, viewOn, pipeline, collation}, to which the command adds.
void append_view_options(bson::Builder& options, bson::View stored) {
  for (const bson::Element& field : stored) {
    const bool is_added =
        field.key == "_id" || field.key == "db" || field.key == "name" || field.key == "ns" || field.key == "type";
    if (!is_added) options.append(field.key, field.value);
  }
}

// In the form of listCollections.
bson::Document entry_from(bson::View stored) {
  const bson::View metadata = stored["md"].as_document();
  bson::Builder out;
  out.append("name", stored["name"]).append("type", stored["type"]);
  {
    auto options = out.document("options");
    if (!metadata["options"].exists()) append_view_options(*options, stored);
    for (const bson::Element& option : metadata["options"].as_document()) {
      if (option.key != "uuid") options->append(option.key, option.value);
    }
  }
  if (const bson::Value uuid = metadata["options"].as_document()["uuid"]) {
    auto info = out.document("info");
    info->append("uuid", uuid);
  }
  for (const bson::Element& index : metadata["indexes"].as_document()) {
    const bson::View spec = index.value.as_document()["spec"].as_document();
    if (spec["name"].as_string() == "_id_") out.append("idIndex", spec);
  }
  return out.take();
}

std::vector<IndexSpec> finished_indexes(bson::View stored) {
  std::vector<IndexSpec> out;
  for (const bson::Element& index : stored["md"].as_document()["indexes"].as_document()) {
    const bson::View entry = index.value.as_document();
    const ListedIndex listed{entry["spec"].as_document(), {}};
    if (entry["ready"].as_bool() && !listed.is_inherent()) out.push_back(without_namespace(listed.spec));
  }
  return out;
}

// A listing shows truth values of indexes as such and their numbers cut, whatever they were given as.
bool same_value(const bson::Value& left, const bson::Value& right) {
  const auto counts = [](const bson::Value& value) { return value.is_number() || value.type() == BSON_TYPE_BOOL; };
  if (counts(left) && counts(right)) return left.as_int64() == right.as_int64();
  return bson::compare(left, right) == 0;
}

bool same_indexes(const std::vector<IndexSpec>& left, const std::vector<IndexSpec>& right) {
  return left.size() == right.size() && std::ranges::all_of(left, [&](const IndexSpec& index) {
           const auto other = std::ranges::find(right, index.name(), &IndexSpec::name);
           return other != right.end() && same_fields(index.spec.view(), other->spec.view(), same_value);
         });
}

bool same_collection(const CollectionSpec& left, const CollectionSpec& right) {
  return left.ns == right.ns && left.kind == right.kind && left.uuid == right.uuid &&
         same_fields(left.options.view(), right.options.view(), same_value) &&
         same_indexes(left.indexes, right.indexes);
}

}  // namespace

Result<std::vector<std::string>> stored_databases(Connection& connection) {
  std::vector<std::string> out;
  auto read = read_all(connection, "admin", names_command().view(),
                       [&](bson::View entry) { out.emplace_back(entry["_id"].as_string()); });
  if (!read) return fail(read.error());
  return out;
}

Result<std::map<std::string, std::vector<CollectionSpec>>> stored_collections(
    Connection& connection, const std::vector<std::string>& databases) {
  std::map<std::string, ListedEntries> entries;
  std::unordered_map<Uuid, std::vector<IndexSpec>, UuidHash> indexes;
  auto read = read_all(connection, "admin", collections_command(databases).view(), [&](bson::View stored) {
    const std::string database(stored["db"].as_string());
    const bson::Document entry = entry_from(stored);
    entries.try_emplace(database, database).first->second.add(entry.view());
    if (const bson::Value uuid = entry["info"].as_document()["uuid"]) indexes[Uuid(uuid)] = finished_indexes(stored);
  });
  if (!read) return fail(read.error());
  std::map<std::string, std::vector<CollectionSpec>> out;
  for (auto& [database, listed] : entries) {
    std::vector<CollectionSpec>& collections = out[database];
    collections = listed.take().collections;
    for (CollectionSpec& spec : collections) {
      if (!spec.is_view()) spec.indexes = std::move(indexes[spec.uuid]);
    }
  }
  return out;
}

Result<bool> is_stored(Connection& connection, const Uuid& uuid) {
  bool found = false;
  auto read = read_all(connection, "admin", collection_command(uuid).view(), [&](bson::View) { found = true; });
  if (!read) return fail(read.error());
  return found;
}

bool shows(const std::vector<CollectionSpec>& listed, const std::vector<CollectionSpec>& stored) {
  const auto by_name = [](const std::vector<CollectionSpec>& specs) {
    std::map<Namespace, const CollectionSpec*> out;
    for (const CollectionSpec& spec : specs) out.emplace(spec.ns, &spec);
    return out;
  };
  return std::ranges::equal(by_name(listed), by_name(stored), [](const auto& left, const auto& right) {
    return same_collection(*left.second, *right.second);
  });
}

}  // namespace plm::mongo
