// Identity of a collection on one side.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "bson/document.h"

namespace plm {

class Uuid {
 public:
  Uuid() = default;  // nil: "none"; views have none
  explicit Uuid(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  // From a BSON binary of subtype 4; nil for any other value.
  explicit Uuid(const bson::Value& value) {
    if (value.type() != BSON_TYPE_BINARY || value.binary_subtype() != BSON_SUBTYPE_UUID) return;
    if (value.binary().size() != bytes_.size()) return;
    std::memcpy(bytes_.data(), value.binary().data(), 16);
  }

  [[nodiscard]] bool is_nil() const { return *this == Uuid(); }
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  // "d058d17d-3904-42cc-bce0-10e8561ca52d"
  [[nodiscard]] std::string text() const;
  void append_to(bson::Builder& builder, std::string_view key) const { builder.append_binary(key, 4, bytes_); }

  auto operator<=>(const Uuid&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

struct UuidHash {
  std::size_t operator()(const Uuid& uuid) const {
    std::size_t out = 0;
    std::memcpy(&out, uuid.bytes().data(), sizeof out);  // random (version 4), so any part will do
    return out;
  }
};

}  // namespace plm
