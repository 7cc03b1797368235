// Reading BSON without copying it. A View is a whole document and a Value one
// of its values; both only point into bytes that somebody else owns and keeps
// alive. What is read here came from a server or was checked with valid().
#pragma once

#include <bson/bson.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace plm::bson {

using Type = bson_type_t;  // BSON_TYPE_INT32 and so on

class View;

// A value: its type and its payload bytes, without the type byte and the key.
class Value {
 public:
  Value() = default;  // End of object: "there is none"
  Value(Type type, const std::uint8_t* data, std::uint32_t size) : data_(data), size_(size), type_(type) {}

  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] std::span<const std::uint8_t> payload() const { return {data_, size_}; }
  [[nodiscard]] bool exists() const { return type_ != BSON_TYPE_EOD; }
  explicit operator bool() const { return exists(); }

  [[nodiscard]] bool is_document() const { return type_ == BSON_TYPE_DOCUMENT; }
  [[nodiscard]] bool is_array() const { return type_ == BSON_TYPE_ARRAY; }
  [[nodiscard]] bool is_string() const { return type_ == BSON_TYPE_UTF8; }
  [[nodiscard]] bool is_number() const {
    return type_ == BSON_TYPE_INT32 || type_ == BSON_TYPE_INT64 || type_ == BSON_TYPE_DOUBLE ||
           type_ == BSON_TYPE_DECIMAL128;
  }

  // Unchecked reads: type() must be the matching one.
  [[nodiscard]] std::int32_t int32() const { return read<std::int32_t>(0); }
  [[nodiscard]] std::int64_t int64() const { return read<std::int64_t>(0); }
  [[nodiscard]] double float64() const { return read<double>(0); }
  [[nodiscard]] bool boolean() const { return data_[0] != 0; }
  [[nodiscard]] std::string_view string() const {
    return {reinterpret_cast<const char*>(data_) + 4, read<std::uint32_t>(0) - 1};
  }
  [[nodiscard]] View document() const;  // documents and arrays
  // Timestamp as seconds << 32 | increment.
  [[nodiscard]] std::uint64_t timestamp() const { return read<std::uint64_t>(0); }
  [[nodiscard]] bson_decimal128_t decimal() const { return {read<std::uint64_t>(0), read<std::uint64_t>(8)}; }
  [[nodiscard]] std::span<const std::uint8_t> binary() const { return {data_ + 5, read<std::uint32_t>(0)}; }
  [[nodiscard]] std::uint8_t binary_subtype() const { return data_[4]; }

  // Checked, converting reads; the default when the type does not fit.
  [[nodiscard]] std::int64_t as_int64(std::int64_t otherwise = 0) const;  // any number (cut to its whole part), bool
  [[nodiscard]] bool as_bool(bool otherwise = false) const;  // bool, any number: not zero, as in the server
  [[nodiscard]] std::string_view as_string(std::string_view otherwise = {}) const {
    return is_string() ? string() : otherwise;
  }
  [[nodiscard]] View as_document() const;  // an empty document when it is neither document nor array

  template <typename T>
  [[nodiscard]] T read(std::size_t offset) const {
    T out;
    std::memcpy(&out, data_ + offset, sizeof out);
    return out;
  }

 private:
  const std::uint8_t* data_ = nullptr;
  std::uint32_t size_ = 0;
  Type type_ = BSON_TYPE_EOD;
};

struct Element {
  std::string_view key;
  Value value;
};

class View {
 public:
  View() : data_(empty_document()) {}
  explicit View(const std::uint8_t* data) : data_(data) {}

  [[nodiscard]] const std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::uint32_t size() const {
    std::uint32_t out;
    std::memcpy(&out, data_, sizeof out);
    return out;
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {data_, size()}; }
  [[nodiscard]] bool empty() const { return size() <= 5; }

  // The first value under this key; the "none" value when there is none.
  [[nodiscard]] Value find(std::string_view key) const;
  [[nodiscard]] Value operator[](std::string_view key) const { return find(key); }

  class Iterator {
   public:
    using value_type = Element;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = const Element&;
    using pointer = const Element*;
    Iterator() = default;
    explicit Iterator(const std::uint8_t* at) : at_(at) { load(); }
    const Element& operator*() const { return element_; }
    const Element* operator->() const { return &element_; }
    Iterator& operator++() {
      at_ = element_.value.payload().data() + element_.value.payload().size();
      load();
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(std::default_sentinel_t) const { return *at_ == 0; }

   private:
    void load();
    const std::uint8_t* at_ = nullptr;
    Element element_;
  };
  [[nodiscard]] Iterator begin() const { return Iterator(data_ + 4); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  // Relaxed extended JSON, for messages and logs; cut between two characters
  // after at most max_bytes, with "..." behind. Always valid UTF-8.
  [[nodiscard]] std::string json(std::size_t max_bytes = 4096) const;

  bool operator==(const View& other) const {
    return size() == other.size() && std::memcmp(data_, other.data_, size()) == 0;
  }

 private:
  static const std::uint8_t* empty_document();
  const std::uint8_t* data_;
};

// Whether the bytes hold exactly one well-formed document: lengths, types and
// terminators at every depth, 512 levels at most (a server allows 250).
// Everything that does not come from a server's reply passes here before it
// becomes a View. Text need not be UTF-8: servers store what clients send.
[[nodiscard]] bool valid(std::span<const std::uint8_t> bytes);

// Relaxed extended JSON of one value, for messages; cut after max_bytes.
[[nodiscard]] std::string to_json(const Value& value, std::size_t max_bytes = 256);

}  // namespace plm::bson
