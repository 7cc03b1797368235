// Documents written as extended JSON, for tests: json(R"({"_id": 1, "a": [true]})").
#pragma once

#include <string_view>

#include "base/check.h"
#include "bson/document.h"

namespace plm {

// The text must be right.
[[nodiscard]] inline bson::Document json(std::string_view text) {
  bson_t* parsed = bson_new_from_json(reinterpret_cast<const std::uint8_t*>(text.data()),
                                      static_cast<ssize_t>(text.size()), nullptr);
  CHECK(parsed != nullptr);
  bson::Document out{bson::View(bson_get_data(parsed))};
  bson_destroy(parsed);
  return out;
}

}  // namespace plm
