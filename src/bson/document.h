// Owning and writing BSON.
#pragma once

#include <chrono>
#include <concepts>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "bson/view.h"

namespace plm::bson {

// A document that owns its bytes.
class Document {
 public:
  Document() : Document(View()) {}
  explicit Document(View view) : bytes_(view.bytes().begin(), view.bytes().end()) {}
  explicit Document(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] View view() const { return View(bytes_.data()); }
  [[nodiscard]] Value operator[](std::string_view key) const { return view().find(key); }
  [[nodiscard]] std::size_t size_bytes() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return view().empty(); }
  bool operator==(const Document& other) const { return bytes_ == other.bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

// Writes one document, front to back. Nested documents and arrays are opened
// and closed in place, without a copy:
//
//   Builder command;
//   command.append("insert", "orders");
//   { auto documents = command.array("documents"); documents.append(one_view); }
//
// Only the innermost open scope may be written to.
class Builder {
 public:
  explicit Builder(std::size_t reserve_bytes = 256) {
    bytes_.reserve(reserve_bytes);
    bytes_.resize(4);  // the length, written by finish()
  }

  // The value must exist: the type of "none" would end the document.
  Builder& append(std::string_view key, Value value) {
    CHECK(value.exists());
    begin(value.type(), key);
    raw(value.payload());
    return *this;
  }
  Builder& append(std::string_view key, View document) {
    begin(BSON_TYPE_DOCUMENT, key);
    raw(document.bytes());
    return *this;
  }
  Builder& append(std::string_view key, const Document& document) { return append(key, document.view()); }
  Builder& append(std::string_view key, std::string_view text);
  Builder& append(std::string_view key, const char* text) { return append(key, std::string_view(text)); }
  Builder& append(std::string_view key, const std::string& text) { return append(key, std::string_view(text)); }
  Builder& append(std::string_view key, std::same_as<bool> auto flag) {
    begin(BSON_TYPE_BOOL, key);
    bytes_.push_back(flag ? 1 : 0);
    return *this;
  }
  Builder& append(std::string_view key, std::int32_t number) {
    begin(BSON_TYPE_INT32, key);
    return fixed(number);
  }
  Builder& append(std::string_view key, std::int64_t number) {
    begin(BSON_TYPE_INT64, key);
    return fixed(number);
  }
  Builder& append(std::string_view key, double number) {
    begin(BSON_TYPE_DOUBLE, key);
    return fixed(number);
  }
  Builder& append_array(std::string_view key, View array) {
    begin(BSON_TYPE_ARRAY, key);
    raw(array.bytes());
    return *this;
  }
  Builder& append_timestamp(std::string_view key, std::uint64_t seconds_and_increment) {
    begin(BSON_TYPE_TIMESTAMP, key);
    return fixed(seconds_and_increment);
  }
  Builder& append_date(std::string_view key, std::chrono::system_clock::time_point time) {
    begin(BSON_TYPE_DATE_TIME, key);
    return fixed(static_cast<std::int64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count()));
  }
  Builder& append_binary(std::string_view key, std::uint8_t subtype, std::span<const std::uint8_t> data);
  Builder& append_null(std::string_view key) {
    begin(BSON_TYPE_NULL, key);
    return *this;
  }
  // Every element of another document, in its order.
  Builder& append_all(View document) {
    raw(document.bytes().subspan(4, document.size() - 5));
    return *this;
  }

  // A nested document; it ends with the scope's life.
  class Scope;
  [[nodiscard]] Scope document(std::string_view key);
  // A nested array: append(value) numbers the elements.
  class ArrayScope;
  [[nodiscard]] ArrayScope array(std::string_view key);

  // Of the document, if it were finished now.
  [[nodiscard]] std::size_t size_bytes() const { return bytes_.size() + (finished_ ? 0 : 1); }
  // The finished document; it stays valid until the next append.
  [[nodiscard]] View view() {
    finish();
    return View(bytes_.data());
  }
  // The finished document, moved out; the Builder is used up.
  [[nodiscard]] Document take() {
    finish();
    return Document(std::move(bytes_));
  }
  // Empty again, the memory kept.
  void clear() {
    bytes_.resize(4);
    finished_ = false;
  }

 private:
  void begin(Type type, std::string_view key) {
    if (finished_) {
      bytes_.pop_back();
      finished_ = false;
    }
    bytes_.push_back(static_cast<std::uint8_t>(type));
    raw({reinterpret_cast<const std::uint8_t*>(key.data()), key.size()});
    bytes_.push_back(0);
  }
  void raw(std::span<const std::uint8_t> data) {
    if (finished_) {
      bytes_.pop_back();
      finished_ = false;
    }
    bytes_.insert(bytes_.end(), data.begin(), data.end());
  }
  template <typename T>
  Builder& fixed(T number) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(&number);
    raw({data, sizeof number});
    return *this;
  }
  void close(std::size_t start) {
    bytes_.push_back(0);
    const auto length = static_cast<std::uint32_t>(bytes_.size() - start);
    std::memcpy(bytes_.data() + start, &length, sizeof length);
  }
  void finish() {
    if (finished_) return;
    close(0);
    finished_ = true;
  }

  std::vector<std::uint8_t> bytes_;
  bool finished_ = false;
};

class Builder::Scope {
 public:
  Scope(Builder& builder, Type type, std::string_view key) : builder_(builder) {
    builder_.begin(type, key);
    start_ = builder_.bytes_.size();
    builder_.bytes_.resize(start_ + 4);
  }
  ~Scope() { builder_.close(start_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  Scope(Scope&&) = delete;
  Scope& operator=(Scope&&) = delete;
  Builder* operator->() { return &builder_; }
  Builder& operator*() { return builder_; }

 private:
  Builder& builder_;
  std::size_t start_ = 0;
};

class Builder::ArrayScope {
 public:
  ArrayScope(Builder& builder, std::string_view key) : scope_(builder, BSON_TYPE_ARRAY, key) {}
  template <typename T>
  void append(const T& value) {
    scope_->append(next_key(), value);
  }
  [[nodiscard]] Scope document() { return {*scope_, BSON_TYPE_DOCUMENT, next_key()}; }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  std::string_view next_key() {
    const char* text = nullptr;
    const std::size_t size = bson_uint32_to_string(count_++, &text, buffer_, sizeof buffer_);
    return {text, size};
  }
  Scope scope_;
  std::uint32_t count_ = 0;
  char buffer_[16] = {};
};

inline Builder::Scope Builder::document(std::string_view key) { return {*this, BSON_TYPE_DOCUMENT, key}; }
inline Builder::ArrayScope Builder::array(std::string_view key) { return {*this, key}; }

// A value that owns its bytes: a document with the one field "v".
class OwnedValue {
 public:
  OwnedValue() = default;  // none
  explicit OwnedValue(Value value);
  [[nodiscard]] Value value() const { return exists_ ? holder_["v"] : Value(); }
  [[nodiscard]] bool exists() const { return exists_; }
  explicit operator bool() const { return exists_; }
  [[nodiscard]] std::size_t size_bytes() const { return holder_.size_bytes(); }

 private:
  Document holder_;
  bool exists_ = false;
};

}  // namespace plm::bson
