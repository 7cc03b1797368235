#include "model/diff.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace plm {

namespace {

constexpr int kEmptyDiff = 4770500;
constexpr int kUnexpectedSection = 4770503;
constexpr int kUnexpectedArrayField = 4770521;

Error refusal(int code, std::string message) { return {ErrorCode::server, code, {}, std::move(message)}; }

// What a document's diff says of one field.
struct FieldChange {
  std::string_view field;
  bool removed = false;
  bson::Value changed;
  bson::Value added;
  bson::Value nested;
  bool met = false;  // in the document that the diff is applied to
};

// What a document's diff says, by field.
class FieldChanges {
 public:
  explicit FieldChanges(const DocumentDiff& diff) {
    for (const bson::Element& field : diff.removed) add(field.key).removed = true;
    for (const bson::Element& field : diff.changed) add(field.key).changed = field.value;
    for (const bson::Element& field : diff.added) add(field.key).added = field.value;
    for (const bson::Element& field : diff.nested) add(field.key).nested = field.value;
    std::ranges::stable_sort(changes_, {}, &FieldChange::field);
    unite_those_of_one_field();
  }

  // nullptr: nothing.
  [[nodiscard]] FieldChange* of(std::string_view field) {
    const auto found = std::ranges::lower_bound(changes_, field, {}, &FieldChange::field);
    return found != changes_.end() && found->field == field ? &*found : nullptr;
  }

 private:
  FieldChange& add(std::string_view field) {
    FieldChange& out = changes_.emplace_back();
    out.field = field;
    return out;
  }

  void unite_those_of_one_field() {
    std::size_t kept = 0;
    for (std::size_t i = 1; i < changes_.size(); ++i) {
      FieldChange& into = changes_[kept];
      const FieldChange& next = changes_[i];
      if (into.field != next.field) {
        changes_[++kept] = next;
        continue;
      }
      into.removed = into.removed || next.removed;
      if (next.changed) into.changed = next.changed;
      if (next.added) into.added = next.added;
      if (next.nested) into.nested = next.nested;
    }
    if (!changes_.empty()) changes_.resize(kept + 1);
  }

  std::vector<FieldChange> changes_;  // by field
};

// ---- Applying ------------------------------------------------------------------

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
    if (const auto parsed = ArrayDiff::parse(diff); !parsed) return fail(parsed.error());
  } else if (const auto parsed = DocumentDiff::parse(diff); !parsed) {
    return fail(parsed.error());
  }
  out.append_null(key);
  return {};
}

Status apply_to_document(bson::View document, bson::View diff, bson::Builder& out) {
  const auto parsed = DocumentDiff::parse(diff);
  if (!parsed) return fail(parsed.error());
  FieldChanges changes(*parsed);
  for (const bson::Element& field : document) {
    FieldChange* change = changes.of(field.key);
    if (change == nullptr) {
      out.append(field.key, field.value);
      continue;
    }
    if (std::exchange(change->met, true)) {
      return fail(refusal(server_code::failed_to_parse, "the document has twice a field that is changed"));
    }
    if (change->removed || change->added) continue;
    if (change->changed) {
      out.append(field.key, change->changed);
    } else if (Status applied = apply_nested(field.key, field.value, change->nested.document(), out); !applied) {
      return applied;
    }
  }
  for (const bson::Element& field : parsed->changed) {
    if (!changes.of(field.key)->met) out.append(field.key, field.value);
  }
  out.append_all(parsed->added);
  return {};
}

Status apply_to_array(bson::View array, bson::View diff, bson::Builder& out) {
  const auto parsed = ArrayDiff::parse(diff);
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

// ---- Composing -----------------------------------------------------------------

// Of two documents' diffs. Every function that returns bool says whether there
// is a result.
class Composition {
 public:
  static bool compose(bson::View first, bson::View second, bson::Builder& out) {
    if (is_array_diff(first) || is_array_diff(second)) return false;
    const auto one = DocumentDiff::parse(first);
    const auto two = DocumentDiff::parse(second);
    return one && two && Composition(*one, *two).write(out);
  }

 private:
  Composition(const DocumentDiff& first, const DocumentDiff& second)
      : first_(first), second_(second), in_first_(first), in_second_(second) {}

  bool write(bson::Builder& out) {
    if (!independent(second_.removed) || !independent(second_.added) || !keeps_order()) return false;
    if (!first_.removed.empty() || !second_.removed.empty()) {
      auto section = out.document("d");
      for (const bson::Element& field : first_.removed) {
        if (in_second_.of(field.key) != nullptr) return false;
        section->append(field.key, field.value);
      }
      section->append_all(second_.removed);
    }
    return write_values("u", first_.changed, new_values(), out) &&
           write_values("i", first_.added, second_.added, out) && write_nested(out);
  }

  // Whether the first diff touches none of the fields.
  bool independent(bson::View fields) {
    return std::ranges::none_of(fields.begin(), fields.end(),
                                [&](const bson::Element& field) { return in_first_.of(field.key) != nullptr; });
  }

  static bool sets(const FieldChange* change) { return change != nullptr && (change->changed || change->added); }

  // Where a document lacks a field that the second diff changes, it comes behind
  // those that the first one adds.
  bool keeps_order() {
    if (first_.added.empty()) return true;
    return std::ranges::all_of(second_.changed.begin(), second_.changed.end(),
                               [&](const bson::Element& field) { return sets(in_first_.of(field.key)); });
  }

  // What the second diff changes and the first does not set.
  bson::View new_values() {
    new_values_.clear();
    for (const bson::Element& field : second_.changed) {
      if (!sets(in_first_.of(field.key))) new_values_.append(field.key, field.value);
    }
    return new_values_.view();
  }

  // The values of the first diff as the second leaves them, then those which only the second has.
  bool write_values(std::string_view name, bson::View first, bson::View only_second, bson::Builder& out) {
    if (first.empty() && only_second.empty()) return true;
    auto section = out.document(name);
    for (const bson::Element& field : first) {
      const FieldChange* later = in_second_.of(field.key);
      if (later == nullptr) {
        section->append(field.key, field.value);
      } else if (later->changed) {
        section->append(field.key, later->changed);
      } else if (!apply_nested(field.key, field.value, later->nested.document(), *section)) {
        return false;
      }
    }
    section->append_all(only_second);
    return true;
  }

  bool write_nested(bson::Builder& out) {
    for (const bson::Element& field : first_.nested) {
      const FieldChange* later = in_second_.of(field.key);
      const std::string name = "s" + std::string(field.key);
      if (later == nullptr) {
        out.append(name, field.value);
      } else if (!later->changed) {
        auto section = out.document(name);
        if (!compose(field.value.document(), later->nested.document(), *section)) return false;
      }
    }
    for (const bson::Element& field : second_.nested) {
      if (in_first_.of(field.key) == nullptr) out.append("s" + std::string(field.key), field.value);
    }
    return true;
  }

  const DocumentDiff& first_;
  const DocumentDiff& second_;
  FieldChanges in_first_;
  FieldChanges in_second_;
  bson::Builder new_values_;
};

}  // namespace

bool is_array_diff(bson::View diff) { return diff["a"].exists(); }

Result<DocumentDiff> DocumentDiff::parse(bson::View diff) {
  if (diff.empty()) return fail(refusal(kEmptyDiff, "Expected diff to be non-empty"));
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
      return fail(refusal(kUnexpectedSection, "Unexpected section: " + std::string(section.key) + " in document diff"));
    }
  }
  return out;
}

Result<ArrayDiff> ArrayDiff::parse(bson::View diff) {
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
      return fail(refusal(kUnexpectedArrayField, "unexpected field " + std::string(field.key) + " in array diff"));
    }
    out.changes.push_back({index, field.key.starts_with('s'), field.value});
  }
  return out;
}

Result<bson::Document> apply_diff(bson::View document, bson::View diff) {
  bson::Builder out(document.size() + diff.size());
  if (Status applied = apply_to_document(document, diff, out); !applied) return fail(std::move(applied.error()));
  return out.take();
}

std::optional<bson::Document> compose_diffs(bson::View first, bson::View second) {
  bson::Builder out(first.size() + second.size());
  if (!Composition::compose(first, second, out)) return std::nullopt;
  return out.take();
}

}  // namespace plm
