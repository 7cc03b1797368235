#include "bson/document.h"

namespace plm::bson {

Builder& Builder::append(std::string_view key, std::string_view text) {
  begin(BSON_TYPE_UTF8, key);
  fixed(static_cast<std::uint32_t>(text.size() + 1));
  raw({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  bytes_.push_back(0);
  return *this;
}

Builder& Builder::append_binary(std::string_view key, std::uint8_t subtype, std::span<const std::uint8_t> data) {
  begin(BSON_TYPE_BINARY, key);
  fixed(static_cast<std::uint32_t>(data.size()));
  bytes_.push_back(subtype);
  raw(data);
  return *this;
}

OwnedValue::OwnedValue(Value value) : exists_(value.exists()) {
  if (!exists_) return;
  Builder builder;
  builder.append("v", value);
  holder_ = builder.take();
}

}  // namespace plm::bson
