// What the fuzz targets share. A target that finds a broken promise ends by
// CHECK; the sanitizers find the rest.
#pragma once

#include <bson/bson.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "bson/document.h"

namespace plm::fuzz {

[[nodiscard]] inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A document: BSON as it is, or extended JSON, in which corpora can be read and
// a changed byte mostly gives another document.
[[nodiscard]] inline std::optional<bson::Document> document_of(std::string_view text) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  if (bson::valid(bytes)) return bson::Document(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  if (text.empty() || text.front() != '{') return std::nullopt;
  bson_error_t error;
  bson_t* parsed = bson_new_from_json(bytes.data(), static_cast<ssize_t>(bytes.size()), &error);
  if (parsed == nullptr) return std::nullopt;
  const std::span written(bson_get_data(parsed), parsed->len);
  std::optional<bson::Document> out;
  if (bson::valid(written)) out.emplace(std::vector<std::uint8_t>(written.begin(), written.end()));
  bson_destroy(parsed);
  return out;
}

// What stands in front of the separator; the rest stays in `text`.
[[nodiscard]] inline std::string_view take_until(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return out;
}

}  // namespace plm::fuzz
