#include "engine/portable_update.h"

#include <iterator>

namespace plm {

namespace {

bool is_plain_name(std::string_view path) {
  return !path.empty() && !path.starts_with('$') && path.find('.') == std::string_view::npos;
}

}  // namespace

std::optional<bson::Document> portable_update(bson::View public_description) {
  if (!public_description["truncatedArrays"].as_document().empty()) return std::nullopt;
  const bson::View updated = public_description["updatedFields"].as_document();
  const bson::View removed = public_description["removedFields"].as_document();
  std::size_t fields_set = 0;
  for (const bson::Element& field : updated) {
    if (!is_plain_name(field.key) || ++fields_set > 1) return std::nullopt;
  }
  for (const bson::Element& name : removed) {
    if (!is_plain_name(name.value.as_string())) return std::nullopt;
  }
  if (updated.empty() && removed.empty()) return std::nullopt;
  bson::Builder out;
  if (!updated.empty()) out.append("$set", updated);
  if (!removed.empty()) {
    auto unset = out.document("$unset");
    for (const bson::Element& name : removed) unset->append(name.value.as_string(), true);
  }
  return out.take();
}

}  // namespace plm
