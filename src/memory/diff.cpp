#include "memory/diff.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memory/faults.h"

namespace plm {

namespace {

constexpr int kEmptyDiff = 4770500;
constexpr int kUnexpectedSection = 4770503;
constexpr int kUnexpectedArrayField = 4770521;

// A document's diff, taken apart.
struct DocumentDiff {
  bson::View removed;
  bson::View changed;
  bson::View added;
  std::vector<bson::Element> nested;  // keys without the leading s

  [[nodiscard]] bson::Value nested_in(std::string_view field) const {
    for (const bson::Element& sub : nested) {
      if (sub.key == field) return sub.value;
    }
    return {};
  }
};

// An array's diff, taken apart.
struct ArrayDiff {
  struct Change {
    std::size_t index;
    bool nested;
    bson::Value value;
  };
  std::optional<std::size_t> length;
  std::vector<Change> changes;
};

bool is_array_diff(bson::View diff) { return diff["a"].exists(); }

Result<DocumentDiff> parse_document_diff(bson::View diff) {
  if (diff.empty()) return fail(server_error(kEmptyDiff, "Expected diff to be non-empty"));
  DocumentDiff out;
  int order = 0;
  for (const bson::Element& section : diff) {
    const int before = order;
    if (section.key == "d") {
      out.removed = section.value.as_document();
      order = 1;
    } else if (section.key == "u") {
      out.changed = section.value.as_document();
      order = 2;
    } else if (section.key == "i") {
      out.added = section.value.as_document();
      order = 3;
    } else if (section.key.starts_with('s') && section.value.is_document()) {
      out.nested.push_back({section.key.substr(1), section.value});
      order = 5;
    } else {
      order = 0;
    }
    if (order <= before && !(order == 5 && before == 5)) {
      return fail(
          server_error(kUnexpectedSection, "Unexpected section: " + std::string(section.key) + " in document diff"));
    }
  }
  return out;
}

Result<ArrayDiff> parse_array_diff(bson::View diff) {
  ArrayDiff out;
  for (const bson::Element& field : diff) {
    if (field.key == "a") continue;
    if (field.key == "l" && out.changes.empty()) {
      out.length = static_cast<std::size_t>(field.value.as_int64());
      continue;
    }
    std::size_t index = 0;
    const auto digits = field.key.substr(std::min<std::size_t>(1, field.key.size()));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    const bool known = field.key.starts_with('u') || field.key.starts_with('s');
    const bool ascending = out.changes.empty() || index > out.changes.back().index;
    const bool within = !out.length || index < *out.length;
    if (!known || error != std::errc() || end != digits.data() + digits.size() || !ascending || !within) {
      return fail(server_error(kUnexpectedArrayField, "unexpected field " + std::string(field.key) + " in array diff"));
    }
    out.changes.push_back({index, field.key.starts_with('s'), field.value});
  }
  return out;
}

Status apply_to_document(bson::View document, bson::View diff, bson::Builder& out);
Status apply_to_array(bson::View array, bson::View diff, bson::Builder& out);

// Writes what `old` becomes when `diff` is applied to it.
Status apply_nested(std::string_view key, const bson::Value& old, bson::View diff, bson::Builder& out) {
  if (old.is_document() && !is_array_diff(diff)) {
    bson::Builder::Scope scope(out, BSON_TYPE_DOCUMENT, key);
    return apply_to_document(old.document(), diff, *scope);
  }
  if (old.is_array() && is_array_diff(diff)) {
    bson::Builder::Scope scope(out, BSON_TYPE_ARRAY, key);
    return apply_to_array(old.document(), diff, *scope);
  }
  if (is_array_diff(diff)) {
    if (const auto parsed = parse_array_diff(diff); !parsed) return fail(parsed.error());
  } else if (const auto parsed = parse_document_diff(diff); !parsed) {
    return fail(parsed.error());
  }
  out.append_null(key);
  return {};
}

Status apply_to_document(bson::View document, bson::View diff, bson::Builder& out) {
  const auto parsed = parse_document_diff(diff);
  if (!parsed) return fail(parsed.error());
  for (const bson::Element& field : document) {
    if (parsed->removed[field.key] || parsed->added[field.key]) continue;
    if (const bson::Value changed = parsed->changed[field.key]) {
      out.append(field.key, changed);
    } else if (const bson::Value nested = parsed->nested_in(field.key)) {
      if (Status applied = apply_nested(field.key, field.value, nested.document(), out); !applied) return applied;
    } else {
      out.append(field.key, field.value);
    }
  }
  for (const bson::Element& field : parsed->changed) {
    if (!document[field.key]) out.append(field.key, field.value);
  }
  out.append_all(parsed->added);
  return {};
}

Status apply_to_array(bson::View array, bson::View diff, bson::Builder& out) {
  const auto parsed = parse_array_diff(diff);
  if (!parsed) return fail(parsed.error());
  auto change = parsed->changes.begin();
  auto old = array.begin();
  for (std::size_t index = 0;; ++index) {
    const bool has_old = old != array.end();
    const bool more = parsed->length ? index < *parsed->length : has_old || change != parsed->changes.end();
    if (!more) return {};
    const std::string key = std::to_string(index);
    if (change == parsed->changes.end() || change->index != index) {
      has_old ? out.append(key, old->value) : out.append_null(key);
    } else if (!change->nested) {
      out.append(key, (change++)->value);
    } else {
      const bson::Value before = has_old ? old->value : bson::Value();
      if (Status applied = apply_nested(key, before, (change++)->value.as_document(), out); !applied) return applied;
    }
    if (has_old) ++old;
  }
}

// Collects the parts of an update's public description, path by path.
struct PublicDescription {
  bson::Builder updated;
  std::vector<std::string> removed;
  std::vector<std::pair<std::string, std::int32_t>> truncated;

  void add_document(const std::string& prefix, bson::View diff) {
    const auto parsed = parse_document_diff(diff);
    CHECK(parsed.has_value());
    for (const bson::Element& field : parsed->removed) removed.push_back(prefix + std::string(field.key));
    for (const bson::Element& field : parsed->changed) updated.append(prefix + std::string(field.key), field.value);
    for (const bson::Element& field : parsed->added) updated.append(prefix + std::string(field.key), field.value);
    for (const bson::Element& field : parsed->nested) add(prefix + std::string(field.key), field.value.document());
  }
  void add_array(const std::string& path, bson::View diff) {
    const auto parsed = parse_array_diff(diff);
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

Result<bson::Document> apply_diff(bson::View document, bson::View diff) {
  bson::Builder out(document.size() + diff.size());
  if (Status applied = apply_to_document(document, diff, out); !applied) return fail(std::move(applied.error()));
  return out.take();
}

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
