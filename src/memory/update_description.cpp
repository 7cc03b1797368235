#include "memory/update_description.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memory/faults.h"
#include "model/diff.h"

namespace plm {

namespace {

// Collects the parts of an update's public description, path by path.
struct PublicDescription {
  bson::Builder updated;
  std::vector<std::string> removed;
  std::vector<std::pair<std::string, std::int32_t>> truncated;

  void add_document(const std::string& prefix, bson::View diff) {
    const auto parsed = DocumentDiff::parse(diff);
    CHECK(parsed.has_value());
    for (const bson::Element& field : parsed->removed) removed.push_back(prefix + std::string(field.key));
    for (const bson::Element& field : parsed->changed) updated.append(prefix + std::string(field.key), field.value);
    for (const bson::Element& field : parsed->added) updated.append(prefix + std::string(field.key), field.value);
    for (const bson::Element& field : parsed->nested) add(prefix + std::string(field.key), field.value.document());
  }
  void add_array(const std::string& path, bson::View diff) {
    const auto parsed = ArrayDiff::parse(diff);
    CHECK(parsed.has_value());
    if (parsed->length) truncated.emplace_back(path, static_cast<std::int32_t>(*parsed->length));
    for (const ArrayDiff::Change& change : parsed->changes) {
      const std::string element = path + "." + std::to_string(change.index);
      if (change.nested) {
        add(element, change.value.document());
      } else {
        updated.append(element, change.value);
      }
    }
  }
  void add(const std::string& path, bson::View diff) {
    is_array_diff(diff) ? add_array(path, diff) : add_document(path + ".", diff);
  }
};

}  // namespace

Result<bson::Document> apply_set_and_unset(bson::View document, bson::View update) {
  const bson::View set = update["$set"].as_document();
  const bson::View unset = update["$unset"].as_document();
  std::map<std::string_view, bson::Value> added;  // the server sorts new fields by name
  for (const bson::View section : {set, unset}) {
    for (const bson::Element& field : section) {
      if (field.key.empty() || field.key.starts_with('$') || field.key.find('.') != std::string_view::npos) {
        return fail(server_error(server_code::failed_to_parse, "not a plain field name: " + std::string(field.key)));
      }
    }
  }
  for (const bson::Element& field : set) {
    if (!document[field.key]) added[field.key] = field.value;
  }
  bson::Builder out(document.size() + set.size());
  for (const bson::Element& field : document) {
    if (unset[field.key]) continue;
    const bson::Value changed = set[field.key];
    out.append(field.key, changed ? changed : field.value);
  }
  for (const auto& [name, value] : added) out.append(name, value);
  return out.take();
}

bson::Document public_update_description(bson::View diff) {
  PublicDescription parts;
  parts.add_document("", diff);
  bson::Builder out;
  out.append("updatedFields", parts.updated.view());
  {
    auto removed = out.array("removedFields");
    for (const std::string& path : parts.removed) removed.append(path);
  }
  {
    auto truncated = out.array("truncatedArrays");
    for (const auto& [path, length] : parts.truncated) {
      auto entry = truncated.document();
      entry->append("field", path).append("newSize", length);
    }
  }
  return out.take();
}

}  // namespace plm
