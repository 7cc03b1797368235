#include "memory/random_documents.h"

#include <array>
#include <limits>
#include <string>
#include <string_view>

namespace plm {

namespace {

// "0" is a field here and an index in an array; "s" and "a" are words of diffs, too.
constexpr std::array<std::string_view, 7> kFieldNames = {"a", "b", "c", "s", "0", "x.y", ""};
constexpr int kDeepest = 3;

std::string_view random_name(Random& random) {
  // The odd names are rarer.
  const std::size_t names = random.chance(0.2) ? kFieldNames.size() : 4;
  return kFieldNames[random.below(names)];
}

void append_random_value(Random& random, bson::Builder& out, std::string_view key, int depth);

void append_random_fields(Random& random, bson::Builder& out, int depth) {
  for (const std::string_view name : kFieldNames) {
    if (random.chance(0.3)) append_random_value(random, out, name, depth);
  }
}

void append_random_value(Random& random, bson::Builder& out, std::string_view key, int depth) {
  switch (random.below(depth < kDeepest ? 8 : 5)) {
    case 0:
    case 1:
      out.append(key, static_cast<std::int32_t>(random.below(100)));
      return;
    case 2:
      out.append(key, "text" + std::to_string(random.below(10)));
      return;
    case 3:
      out.append(key, random.chance(0.5));
      return;
    case 4:
      random.chance(0.5) ? out.append(key, static_cast<double>(random.below(10)) / 4) : out.append_null(key);
      return;
    case 5:
    case 6: {
      auto scope = out.document(key);
      append_random_fields(random, *scope, depth + 1);
      return;
    }
    default: {
      bson::Builder::Scope scope(out, BSON_TYPE_ARRAY, key);
      const auto size = random.below(5);
      for (std::uint64_t i = 0; i < size; ++i) append_random_value(random, *scope, std::to_string(i), depth + 1);
      return;
    }
  }
}

void append_section(bson::Builder& out, std::string_view name, bson::Builder& section) {
  if (!section.view().empty()) out.append(name, section.view());
}

void write_array_diff(Random& random, bson::View array, bson::Builder& out, int depth);
void write_document_diff(Random& random, bson::View document, bson::Builder& out, int depth);

void append_nested_diff(Random& random, const bson::Value& value, bson::Builder& out, const std::string& key,
                        int depth) {
  auto scope = out.document(key);
  value.is_array() ? write_array_diff(random, value.document(), *scope, depth + 1)
                   : write_document_diff(random, value.document(), *scope, depth + 1);
}

bool has_parts(const bson::Value& value) { return value.is_document() || value.is_array(); }

void write_document_diff(Random& random, bson::View document, bson::Builder& out, int depth) {
  bson::Builder removed;
  bson::Builder changed;
  bson::Builder added;
  bson::Builder nested;
  for (const bson::Element& field : document) {
    if (depth == 0 && field.key == "_id") continue;
    if (random.chance(0.2)) {
      removed.append(field.key, false);
    } else if (has_parts(field.value) && random.chance(0.5)) {
      append_nested_diff(random, field.value, nested, "s" + std::string(field.key), depth);
    } else if (random.chance(0.3)) {
      append_random_value(random, changed, field.key, depth + 1);
    }
  }
  const bool unchanged = removed.view().empty() && changed.view().empty() && nested.view().empty();
  for (int tries = unchanged ? 100 : 1; tries > 0; --tries) {
    const std::string_view name = random_name(random);
    if (document[name] || added.view()[name]) continue;
    append_random_value(random, added, name, depth + 1);
    break;
  }
  append_section(out, "d", removed);
  append_section(out, "u", changed);
  append_section(out, "i", added);
  out.append_all(nested.view());
}

void write_array_diff(Random& random, bson::View array, bson::Builder& out, int depth) {
  std::uint64_t size = 0;
  for (auto at = array.begin(); at != array.end(); ++at) ++size;
  out.append("a", true);
  const bool shorter = size > 0 && random.chance(0.3);
  const std::uint64_t kept = shorter ? random.below(size) : size;
  if (shorter) out.append("l", static_cast<std::int32_t>(kept));
  std::uint64_t index = 0;
  bool changed = shorter;
  for (const bson::Element& element : array) {
    if (index == kept) break;
    if (random.chance(0.4)) {
      changed = true;
      if (has_parts(element.value) && random.chance(0.5)) {
        append_nested_diff(random, element.value, out, "s" + std::to_string(index), depth);
      } else {
        append_random_value(random, out, "u" + std::to_string(index), depth + 1);
      }
    }
    ++index;
  }
  if (shorter || (changed && random.chance(0.5))) return;
  const std::uint64_t more = 1 + random.below(2);
  for (std::uint64_t i = 0; i < more; ++i) append_random_value(random, out, "u" + std::to_string(size + i), depth + 1);
}

}  // namespace

bson::OwnedValue random_id(Random& random, int how_many) {
  const auto number = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(how_many)));
  bson::Builder out;
  switch (number % 8) {
    case 0:
    case 1:
    case 2:
      out.append("v", number);
      break;
    case 3:  // the same _id in three types
      switch (random.below(3)) {
        case 0:
          out.append("v", number);
          break;
        case 1:
          out.append("v", static_cast<std::int64_t>(number));
          break;
        default:
          out.append("v", static_cast<double>(number));
      }
      break;
    case 4:
    case 5:
      out.append("v", "key" + std::to_string(number));
      break;
    case 6: {
      auto scope = out.document("v");
      scope->append("k", number);
      break;
    }
    default:
      number % 16 == 7 ? out.append("v", std::numeric_limits<double>::quiet_NaN()) : out.append_null("v");
  }
  return bson::OwnedValue(out.view()["v"]);
}

bson::Document random_document(Random& random, const bson::Value& id) {
  bson::Builder out;
  out.append("_id", id);
  append_random_fields(random, out, 0);
  return out.take();
}

bson::Document random_diff(Random& random, bson::View document) {
  bson::Builder out;
  do {
    out.clear();
    write_document_diff(random, document, out, 0);
  } while (out.view().empty());
  return out.take();
}

}  // namespace plm
