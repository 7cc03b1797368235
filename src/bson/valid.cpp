#include <optional>

#include "bson/view.h"

namespace plm::bson {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr int kMaxDepth = 512;

bool valid_document(Bytes bytes, int depth);

// The int32 length at the start; none when it is not there, or negative.
std::optional<std::size_t> length_at_start(Bytes bytes) {
  std::int32_t out = 0;
  if (bytes.size() < sizeof out) return std::nullopt;
  std::memcpy(&out, bytes.data(), sizeof out);
  if (out < 0) return std::nullopt;
  return static_cast<std::size_t>(out);
}

// The sizes of what `bytes` begin with; none when it is not well-formed or
// reaches beyond their end.
std::optional<std::size_t> fixed_size(Bytes bytes, std::size_t size) {
  if (bytes.size() < size) return std::nullopt;
  return size;
}

std::optional<std::size_t> name_size(Bytes bytes) {
  const void* end = bytes.empty() ? nullptr : std::memchr(bytes.data(), 0, bytes.size());
  if (end == nullptr) return std::nullopt;
  return static_cast<std::size_t>(static_cast<const std::uint8_t*>(end) - bytes.data()) + 1;
}

std::optional<std::size_t> text_size(Bytes bytes) {
  const auto length = length_at_start(bytes);
  if (!length || *length < 1 || *length > bytes.size() - 4 || bytes[4 + *length - 1] != 0) return std::nullopt;
  return 4 + *length;
}

std::optional<std::size_t> document_size(Bytes bytes, int depth) {
  const auto length = length_at_start(bytes);
  if (!length || *length > bytes.size() || !valid_document(bytes.first(*length), depth)) return std::nullopt;
  return length;
}

std::optional<std::size_t> binary_size(Bytes bytes) {
  const auto length = length_at_start(bytes);
  if (!length || bytes.size() < 5 || *length > bytes.size() - 5) return std::nullopt;
  return 5 + *length;
}

std::optional<std::size_t> boolean_size(Bytes bytes) {
  if (bytes.empty() || bytes[0] > 1) return std::nullopt;
  return 1;
}

std::optional<std::size_t> regex_size(Bytes bytes) {
  const auto pattern = name_size(bytes);
  if (!pattern) return std::nullopt;
  const auto flags = name_size(bytes.subspan(*pattern));
  if (!flags) return std::nullopt;
  return *pattern + *flags;
}

std::optional<std::size_t> db_pointer_size(Bytes bytes) {
  const auto name = text_size(bytes);
  if (!name) return std::nullopt;
  return fixed_size(bytes, *name + 12);
}

std::optional<std::size_t> code_with_scope_size(Bytes bytes, int depth) {
  const auto length = length_at_start(bytes);
  if (!length || *length < 4 || *length > bytes.size()) return std::nullopt;
  const Bytes content = bytes.first(*length).subspan(4);
  const auto code = text_size(content);
  if (!code || !valid_document(content.subspan(*code), depth)) return std::nullopt;
  return length;
}

std::optional<std::size_t> payload_size(Type type, Bytes bytes, int depth) {
  switch (type) {
    case BSON_TYPE_DOUBLE:
    case BSON_TYPE_DATE_TIME:
    case BSON_TYPE_TIMESTAMP:
    case BSON_TYPE_INT64:
      return fixed_size(bytes, 8);
    case BSON_TYPE_INT32:
      return fixed_size(bytes, 4);
    case BSON_TYPE_DECIMAL128:
      return fixed_size(bytes, 16);
    case BSON_TYPE_OID:
      return fixed_size(bytes, 12);
    case BSON_TYPE_UNDEFINED:
    case BSON_TYPE_NULL:
    case BSON_TYPE_MAXKEY:
    case BSON_TYPE_MINKEY:
      return 0;
    case BSON_TYPE_BOOL:
      return boolean_size(bytes);
    case BSON_TYPE_UTF8:
    case BSON_TYPE_CODE:
    case BSON_TYPE_SYMBOL:
      return text_size(bytes);
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
      return document_size(bytes, depth + 1);
    case BSON_TYPE_CODEWSCOPE:
      return code_with_scope_size(bytes, depth + 1);
    case BSON_TYPE_BINARY:
      return binary_size(bytes);
    case BSON_TYPE_REGEX:
      return regex_size(bytes);
    case BSON_TYPE_DBPOINTER:
      return db_pointer_size(bytes);
    case BSON_TYPE_EOD:
      break;  // inside a document: it ends before its length says so
  }
  return std::nullopt;
}

// All of `bytes` are one document.
bool valid_document(Bytes bytes, int depth) {
  if (depth > kMaxDepth || bytes.size() < 5 || length_at_start(bytes) != bytes.size() || bytes.back() != 0)
    return false;
  Bytes rest = bytes.subspan(4, bytes.size() - 5);
  while (!rest.empty()) {
    const auto type = static_cast<Type>(rest[0]);
    rest = rest.subspan(1);
    const auto key = name_size(rest);
    if (!key) return false;
    rest = rest.subspan(*key);
    const auto payload = payload_size(type, rest, depth);
    if (!payload) return false;
    rest = rest.subspan(*payload);
  }
  return true;
}

}  // namespace

bool valid(std::span<const std::uint8_t> bytes) { return valid_document(bytes, 1); }

}  // namespace plm::bson
