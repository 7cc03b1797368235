#include "bson/order.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "bson/decimal.h"

namespace plm::bson {

namespace {

// Values of different classes are ordered by class, values of one by content.
enum class Class : std::uint8_t {
  min_key,
  undefined,
  null,
  number,
  string,
  document,
  array,
  binary,
  object_id,
  boolean,
  date,
  timestamp,
  regex,
  db_pointer,
  code,
  code_with_scope,
  max_key,
};

Class class_of(Type type) {
  switch (type) {
    case BSON_TYPE_MINKEY:
      return Class::min_key;
    case BSON_TYPE_EOD:
    case BSON_TYPE_UNDEFINED:
      return Class::undefined;
    case BSON_TYPE_NULL:
      return Class::null;
    case BSON_TYPE_DOUBLE:
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
    case BSON_TYPE_DECIMAL128:
      return Class::number;
    case BSON_TYPE_UTF8:
    case BSON_TYPE_SYMBOL:
      return Class::string;
    case BSON_TYPE_DOCUMENT:
      return Class::document;
    case BSON_TYPE_ARRAY:
      return Class::array;
    case BSON_TYPE_BINARY:
      return Class::binary;
    case BSON_TYPE_OID:
      return Class::object_id;
    case BSON_TYPE_BOOL:
      return Class::boolean;
    case BSON_TYPE_DATE_TIME:
      return Class::date;
    case BSON_TYPE_TIMESTAMP:
      return Class::timestamp;
    case BSON_TYPE_REGEX:
      return Class::regex;
    case BSON_TYPE_DBPOINTER:
      return Class::db_pointer;
    case BSON_TYPE_CODE:
      return Class::code;
    case BSON_TYPE_CODEWSCOPE:
      return Class::code_with_scope;
    case BSON_TYPE_MAXKEY:
      return Class::max_key;
  }
  CHECK(!"unknown BSON type");
  return Class::undefined;
}

// Code with scope: int32 of the whole, string of the code, document of the scope.
std::string_view code_of(const Value& value) {
  return {reinterpret_cast<const char*>(value.payload().data()) + 8, value.read<std::uint32_t>(4) - 1};
}
View scope_of(const Value& value) { return View(value.payload().data() + 8 + value.read<std::uint32_t>(4)); }

std::string_view regex_pattern(const Value& value) { return reinterpret_cast<const char*>(value.payload().data()); }
std::string_view regex_flags(const Value& value) {
  return regex_pattern(value).data() + regex_pattern(value).size() + 1;
}

// --- Numbers ---

bool is_nan(const Value& number) {
  if (number.type() == BSON_TYPE_DOUBLE) return std::isnan(number.float64());
  return number.type() == BSON_TYPE_DECIMAL128 && Decimal::from(number.decimal()).kind == Decimal::Kind::nan;
}

bool is_integer(const Value& number) { return number.type() == BSON_TYPE_INT32 || number.type() == BSON_TYPE_INT64; }

std::int64_t integer_of(const Value& number) {
  return number.type() == BSON_TYPE_INT32 ? number.int32() : number.int64();
}

Decimal decimal_of(const Value& number) {
  return is_integer(number) ? Decimal::from(integer_of(number)) : Decimal::from(number.decimal());
}

// Whether the whole part of a number fits into an int64: false for NaN.
bool has_int64_part(double number) { return number >= -0x1p63 && number < 0x1p63; }

// Neither is a NaN.
std::weak_ordering compare_doubles(double left, double right) {
  if (left < right) return std::weak_ordering::less;
  return left > right ? std::weak_ordering::greater : std::weak_ordering::equivalent;
}

// `right` is no NaN.
std::weak_ordering compare_integer_with_double(std::int64_t left, double right) {
  if (!has_int64_part(right)) return right > 0 ? std::weak_ordering::less : std::weak_ordering::greater;
  const double whole = std::trunc(right);
  if (const auto order = left <=> static_cast<std::int64_t>(whole); order != 0) return order;
  return compare_doubles(whole, right);
}

std::weak_ordering compare_numbers(const Value& left, const Value& right) {
  if (is_integer(left) && is_integer(right)) return integer_of(left) <=> integer_of(right);
  const bool left_nan = is_nan(left);
  const bool right_nan = is_nan(right);
  if (left_nan || right_nan) return right_nan <=> left_nan;

  const bool left_double = left.type() == BSON_TYPE_DOUBLE;
  const bool right_double = right.type() == BSON_TYPE_DOUBLE;
  if (left_double && right_double) return compare_doubles(left.float64(), right.float64());
  if (left_double && is_integer(right)) return 0 <=> compare_integer_with_double(integer_of(right), left.float64());
  if (right_double && is_integer(left)) return compare_integer_with_double(integer_of(left), right.float64());
  // One of them is a decimal.
  if (left_double) return 0 <=> compare(decimal_of(right), left.float64());
  if (right_double) return compare(decimal_of(left), right.float64());
  return compare(decimal_of(left), decimal_of(right));
}

// --- Everything else ---

std::weak_ordering compare_bytes(const std::uint8_t* left, const std::uint8_t* right, std::size_t size) {
  return std::memcmp(left, right, size) <=> 0;
}

std::weak_ordering compare_binaries(const Value& left, const Value& right) {
  const auto left_data = left.binary();
  const auto right_data = right.binary();
  if (const auto order = left_data.size() <=> right_data.size(); order != 0) return order;
  if (const auto order = left.binary_subtype() <=> right.binary_subtype(); order != 0) return order;
  return compare_bytes(left_data.data(), right_data.data(), left_data.size());
}

// A name of a collection and an ObjectId: the shorter name comes first.
std::weak_ordering compare_db_pointers(const Value& left, const Value& right) {
  const auto left_data = left.payload();
  const auto right_data = right.payload();
  if (const auto order = left_data.size() <=> right_data.size(); order != 0) return order;
  return compare_bytes(left_data.data(), right_data.data(), left_data.size());
}

std::weak_ordering compare_contents(Class kind, const Value& left, const Value& right);

enum class Names { matter, are_positions };

std::weak_ordering compare_fields(View left, View right, Names names) {
  auto l = left.begin();
  auto r = right.begin();
  for (; l != left.end() && r != right.end(); ++l, ++r) {
    const Class kind = class_of(l->value.type());
    if (const auto order = kind <=> class_of(r->value.type()); order != 0) return order;
    if (names == Names::matter) {
      if (const auto order = l->key <=> r->key; order != 0) return order;
    }
    if (const auto order = compare_contents(kind, l->value, r->value); order != 0) return order;
  }
  return (l != left.end()) <=> (r != right.end());
}

std::weak_ordering compare_contents(Class kind, const Value& left, const Value& right) {
  switch (kind) {
    case Class::min_key:
    case Class::undefined:
    case Class::null:
    case Class::max_key:
      return std::weak_ordering::equivalent;
    case Class::number:
      return compare_numbers(left, right);
    case Class::string:
    case Class::code:
      return left.string() <=> right.string();
    case Class::document:
      return compare_fields(left.document(), right.document(), Names::matter);
    case Class::array:
      return compare_fields(left.document(), right.document(), Names::are_positions);
    case Class::binary:
      return compare_binaries(left, right);
    case Class::object_id:
      return compare_bytes(left.payload().data(), right.payload().data(), 12);
    case Class::boolean:
      return left.boolean() <=> right.boolean();
    case Class::date:
      return left.int64() <=> right.int64();
    case Class::timestamp:
      return left.timestamp() <=> right.timestamp();
    case Class::regex:
      if (const auto order = regex_pattern(left) <=> regex_pattern(right); order != 0) return order;
      return regex_flags(left) <=> regex_flags(right);
    case Class::db_pointer:
      return compare_db_pointers(left, right);
    case Class::code_with_scope:
      if (const auto order = code_of(left) <=> code_of(right); order != 0) return order;
      return compare_fields(scope_of(left), scope_of(right), Names::matter);
  }
  CHECK(!"unknown class");
  return std::weak_ordering::equivalent;
}

// --- Hashes ---

// The class is the seed: null and undefined have nothing else to hash.
std::uint64_t hash_bytes(Class kind, const void* data, std::size_t size) {
  return XXH3_64bits_withSeed(data, size, static_cast<std::uint64_t>(kind));
}
std::uint64_t hash_text(Class kind, std::string_view text) { return hash_bytes(kind, text.data(), text.size()); }
template <typename T>
std::uint64_t hash_fixed(Class kind, T value) {
  return hash_bytes(kind, &value, sizeof value);
}

// Whatever an int64 can hold is hashed as such, anything else as the nearest
// double: equal numbers take the same way, and no two int64 are folded into one.
std::uint64_t hash_integer(std::int64_t number) { return hash_fixed(Class::number, number); }

std::uint64_t hash_double(double number) {
  if (has_int64_part(number) && std::trunc(number) == number) return hash_integer(static_cast<std::int64_t>(number));
  if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
  return hash_fixed(Class::number, std::bit_cast<std::uint64_t>(number));
}

std::uint64_t hash_decimal(const Decimal& number) {
  if (const auto integer = number.to_int64()) return hash_integer(*integer);
  return hash_double(number.to_double());
}

std::uint64_t hash_number(const Value& number) {
  if (is_integer(number)) return hash_integer(integer_of(number));
  return number.type() == BSON_TYPE_DOUBLE ? hash_double(number.float64())
                                           : hash_decimal(Decimal::from(number.decimal()));
}

std::uint64_t hash_contents(Class kind, const Value& value);

std::uint64_t hash_fields(Class kind, View fields, Names names) {
  std::uint64_t out = static_cast<std::uint64_t>(kind);
  for (const auto& [key, value] : fields) {
    const std::uint64_t parts[] = {out, names == Names::matter ? hash_text(kind, key) : 0,
                                   hash_contents(class_of(value.type()), value)};
    out = hash_bytes(kind, parts, sizeof parts);
  }
  return out;
}

std::uint64_t hash_contents(Class kind, const Value& value) {
  switch (kind) {
    case Class::string:
    case Class::code:
      return hash_text(kind, value.string());
    case Class::number:
      return hash_number(value);
    case Class::document:
      return hash_fields(kind, value.document(), Names::matter);
    case Class::array:
      return hash_fields(kind, value.document(), Names::are_positions);
    case Class::code_with_scope: {
      const std::uint64_t parts[] = {hash_text(kind, code_of(value)),
                                     hash_fields(kind, scope_of(value), Names::matter)};
      return hash_bytes(kind, parts, sizeof parts);
    }
    case Class::boolean:
      return hash_fixed(kind, value.boolean());
    case Class::min_key:
    case Class::undefined:
    case Class::null:
    case Class::binary:
    case Class::object_id:
    case Class::date:
    case Class::timestamp:
    case Class::regex:
    case Class::db_pointer:
    case Class::max_key:
      return hash_bytes(kind, value.payload().data(), value.payload().size());
  }
  CHECK(!"unknown class");
  return 0;
}

}  // namespace

std::weak_ordering compare(const Value& left, const Value& right) {
  const Class kind = class_of(left.type());
  if (const auto order = kind <=> class_of(right.type()); order != 0) return order;
  return compare_contents(kind, left, right);
}

std::size_t hash(const Value& value) { return hash_contents(class_of(value.type()), value); }

}  // namespace plm::bson
