#include "bson/view.h"

#include <limits>
#include <utility>

#include "base/check.h"
#include "bson/decimal.h"
#include "bson/document.h"

namespace plm::bson {

namespace {

// Bytes of the payload at `at` of an element of this type.
std::uint32_t payload_size(Type type, const std::uint8_t* at) {
  const auto length = [at](std::size_t offset) {
    std::uint32_t out;
    std::memcpy(&out, at + offset, sizeof out);
    return out;
  };
  switch (type) {
    case BSON_TYPE_DOUBLE:
    case BSON_TYPE_DATE_TIME:
    case BSON_TYPE_TIMESTAMP:
    case BSON_TYPE_INT64:
      return 8;
    case BSON_TYPE_UTF8:
    case BSON_TYPE_CODE:
    case BSON_TYPE_SYMBOL:
      return 4 + length(0);
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
    case BSON_TYPE_CODEWSCOPE:
      return length(0);
    case BSON_TYPE_BINARY:
      return 5 + length(0);
    case BSON_TYPE_OID:
      return 12;
    case BSON_TYPE_BOOL:
      return 1;
    case BSON_TYPE_REGEX: {
      const auto pattern = std::strlen(reinterpret_cast<const char*>(at)) + 1;
      return static_cast<std::uint32_t>(pattern + std::strlen(reinterpret_cast<const char*>(at) + pattern) + 1);
    }
    case BSON_TYPE_DBPOINTER:
      return 4 + length(0) + 12;
    case BSON_TYPE_INT32:
      return 4;
    case BSON_TYPE_DECIMAL128:
      return 16;
    case BSON_TYPE_EOD:
    case BSON_TYPE_UNDEFINED:
    case BSON_TYPE_NULL:
    case BSON_TYPE_MAXKEY:
    case BSON_TYPE_MINKEY:
      return 0;
  }
  CHECK(!"unknown BSON type");
  return 0;
}

std::string shortened(std::string text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  const auto within_character = [&](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U; };
  while (max_bytes > 0 && within_character(max_bytes)) --max_bytes;
  text.resize(max_bytes);
  return text + "...";
}

}  // namespace

void View::Iterator::load() {
  const auto type = static_cast<Type>(*at_);
  if (type == BSON_TYPE_EOD) return;
  const auto* key = reinterpret_cast<const char*>(at_ + 1);
  const std::size_t key_size = std::strlen(key);
  const auto* payload = at_ + 1 + key_size + 1;
  element_ = {{key, key_size}, Value(type, payload, payload_size(type, payload))};
}

const std::uint8_t* View::empty_document() {
  static constexpr std::uint8_t empty[5] = {5, 0, 0, 0, 0};
  return empty;
}

Value View::find(std::string_view key) const {
  for (const Element& element : *this) {
    if (element.key == key) return element.value;
  }
  return {};
}

View Value::document() const { return View(data_); }

View Value::as_document() const { return is_document() || is_array() ? View(data_) : View(); }

std::int64_t Value::as_int64(std::int64_t otherwise) const {
  switch (type_) {
    case BSON_TYPE_INT32:
      return int32();
    case BSON_TYPE_INT64:
      return int64();
    case BSON_TYPE_DOUBLE:
      return float64() >= -0x1p63 && float64() < 0x1p63 ? static_cast<std::int64_t>(float64()) : otherwise;
    case BSON_TYPE_DECIMAL128:
      return Decimal::from(decimal()).whole_part().value_or(otherwise);
    case BSON_TYPE_BOOL:
      return boolean() ? 1 : 0;
    default:
      return otherwise;
  }
}

bool Value::as_bool(bool otherwise) const {
  switch (type_) {
    case BSON_TYPE_DOUBLE:
      return float64() != 0;
    case BSON_TYPE_DECIMAL128:
      return !Decimal::from(decimal()).is_zero();
    default:
      return as_int64(otherwise ? 1 : 0) != 0;
  }
}

std::string View::json(std::size_t max_bytes) const {
  bson_t whole;
  if (!bson_init_static(&whole, data_, size())) return "(invalid document)";
  std::size_t length = 0;
  char* text = bson_as_relaxed_extended_json(&whole, &length);
  if (text == nullptr) return "(document that has no JSON form)";
  std::string out(text, length);
  bson_free(text);
  return shortened(std::move(out), max_bytes);
}

std::string to_json(const Value& value, std::size_t max_bytes) {
  Builder holder;
  holder.append("v", value);
  // { "v" : VALUE }
  std::string text = holder.view().json(std::numeric_limits<std::size_t>::max());
  const auto start = text.find(": ");
  if (start == std::string::npos) return text;
  text.erase(0, start + 2);
  if (text.ends_with(" }")) text.erase(text.size() - 2);
  return shortened(std::move(text), max_bytes);
}

}  // namespace plm::bson
