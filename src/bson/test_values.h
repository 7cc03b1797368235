// Documents for tests: from JSON, and at random.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "base/check.h"
#include "bson/document.h"

namespace plm::bson {

// From extended JSON, canonical or relaxed. A mistake in the text stops the test.
inline Document from_json(std::string_view json) {
  bson_error_t error;
  bson_t* parsed =
      bson_new_from_json(reinterpret_cast<const std::uint8_t*>(json.data()), static_cast<ssize_t>(json.size()), &error);
  if (parsed == nullptr) std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(json.size()), json.data(), error.message);
  CHECK(parsed != nullptr);
  Document out{View(bson_get_data(parsed))};
  bson_destroy(parsed);
  return out;
}

inline OwnedValue value_from_json(std::string_view json) {
  return OwnedValue(from_json(R"({"v": )" + std::string(json) + "}")["v"]);
}

// The seed of this run, printed: PLM_SEED of the environment, or a new one.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("PLM_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("seed: PLM_SEED=%llu\n", static_cast<unsigned long long>(seed));
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

// Values of every type, many of them equal or nearly so.
class RandomValues {
 public:
  explicit RandomValues(std::uint64_t seed) : engine_(seed) {}

  [[nodiscard]] std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine_);
  }

  OwnedValue value(int depth = 0) {
    Builder out;
    append(out, "v", depth);
    return OwnedValue(out.view()["v"]);
  }

  Document document(int depth = 0) {
    Builder out;
    fields(out, depth);
    return out.take();
  }

  OwnedValue number() {
    Builder out;
    append_number(out, "v");
    return OwnedValue(out.view()["v"]);
  }

 private:
  static constexpr int kMaxDepth = 4;

  std::string text() {
    static constexpr char alphabet[] = {'a', 'b', '\0', '\x01', '\x7f', '\xff', 'A'};
    std::string out;
    for (std::size_t i = below(4); i > 0; --i) out += alphabet[below(sizeof alphabet)];
    return out;
  }
  // A field's name: like a text, but without zero bytes.
  std::string name() {
    std::string out = text();
    std::erase(out, '\0');
    return out;
  }

  double float64() {
    static constexpr double special[] = {0.0,
                                         -0.0,
                                         1.0,
                                         0.1,
                                         -0.1,
                                         0.5,
                                         1e22,
                                         1e23,
                                         2147483648.0,
                                         0x1p53,
                                         0x1p63,
                                         -0x1p63,
                                         0x1p64,
                                         5e-324,
                                         std::numeric_limits<double>::min(),
                                         std::numeric_limits<double>::max(),
                                         std::numeric_limits<double>::infinity(),
                                         -std::numeric_limits<double>::infinity(),
                                         std::numeric_limits<double>::quiet_NaN()};
    switch (below(4)) {
      case 0:
        return std::bit_cast<double>(engine_());
      case 1:
        return static_cast<double>(below(5)) - 2.0;
      default:
        break;
    }
    const double base = special[below(std::size(special))];
    switch (below(3)) {
      case 0:
        return std::nextafter(base, std::numeric_limits<double>::infinity());
      case 1:
        return std::nextafter(base, -std::numeric_limits<double>::infinity());
      default:
        return base;
    }
  }

  std::int64_t int64() {
    static constexpr std::int64_t special[] = {0,
                                               1,
                                               -1,
                                               2147483647,
                                               2147483648,
                                               std::int64_t{1} << 53U,
                                               -(std::int64_t{1} << 53U),
                                               std::numeric_limits<std::int64_t>::max(),
                                               std::numeric_limits<std::int64_t>::min()};
    if (below(4) == 0) return static_cast<std::int64_t>(engine_());
    const auto near = static_cast<std::uint64_t>(special[below(std::size(special))]) + below(5) - 2;
    return static_cast<std::int64_t>(near);
  }

  // A decimal beside a number of another type, written in one of many ways.
  bson_decimal128_t decimal() {
    char buffer[64];
    switch (below(6)) {
      case 0:
        std::snprintf(buffer, sizeof buffer, "%lld", static_cast<long long>(int64()));
        break;
      case 1:
        std::snprintf(buffer, sizeof buffer, "%lld.%0*d", static_cast<long long>(int64()),
                      static_cast<int>(below(8)) + 1, 0);
        break;
      case 2:
        std::snprintf(buffer, sizeof buffer, "%dE%d", static_cast<int>(below(30)) - 15,
                      static_cast<int>(below(60)) - 30);
        break;
      case 3: {
        static constexpr const char* special[] = {"NaN",     "Infinity", "-Infinity", "-0",
                                                  "0E+6000", "1E-6176",  "9.9E+6144", "0.1"};
        std::snprintf(buffer, sizeof buffer, "%s", special[below(std::size(special))]);
        break;
      }
      case 4:
        return random_bits();
      default:
        std::snprintf(buffer, sizeof buffer, "%.33e", float64());
        break;
    }
    bson_decimal128_t out;
    if (!bson_decimal128_from_string(buffer, &out)) return random_bits();
    if (below(3) == 0) out.low += 1;  // the next decimal
    return out;
  }
  bson_decimal128_t random_bits() {
    bson_decimal128_t out;
    out.high = engine_();
    out.low = engine_();
    return out;
  }

  void append_number(Builder& out, std::string_view key) {
    switch (below(4)) {
      case 0:
        out.append(key, static_cast<std::int32_t>(int64()));
        break;
      case 1:
        out.append(key, int64());
        break;
      case 2:
        out.append(key, float64());
        break;
      default:
        out.append(key, fixed(BSON_TYPE_DECIMAL128, decimal()));
        break;
    }
  }

  // A value of a type that the Builder has no function for; valid until the next call.
  template <typename T>
  Value fixed(Type type, const T& content) {
    return payload(type, std::string_view(reinterpret_cast<const char*>(&content), sizeof content));
  }
  Value payload(Type type, std::string_view content) {
    scratch_.assign(content);
    return {type, reinterpret_cast<const std::uint8_t*>(scratch_.data()), static_cast<std::uint32_t>(scratch_.size())};
  }
  static std::string length_prefixed(const std::string& content) {
    const auto length = static_cast<std::uint32_t>(content.size() + 1);
    std::string out(reinterpret_cast<const char*>(&length), sizeof length);
    return out.append(content).append(1, '\0');
  }
  std::string object_id() { return std::string(11, '\x05') + std::string(1, static_cast<char>(below(256))); }

  Value code_with_scope(int depth) {
    const Document scope = document(depth + 1);
    std::string content = length_prefixed(text());
    content.append(reinterpret_cast<const char*>(scope.view().data()), scope.size_bytes());
    const auto length = static_cast<std::uint32_t>(content.size() + 4);
    return payload(BSON_TYPE_CODEWSCOPE, std::string(reinterpret_cast<const char*>(&length), 4) + content);
  }

  void fields(Builder& out, int depth) {
    for (std::size_t i = below(4); i > 0; --i) append(out, name(), depth + 1);
  }

  void append(Builder& out, std::string_view key, int depth) {
    switch (below(depth < kMaxDepth ? 22 : 19)) {
      case 0:
        out.append(key, payload(BSON_TYPE_MINKEY, {}));
        break;
      case 1:
        out.append(key, payload(BSON_TYPE_MAXKEY, {}));
        break;
      case 2:
        out.append(key, payload(BSON_TYPE_UNDEFINED, {}));
        break;
      case 3:
        out.append_null(key);
        break;
      case 4:
        out.append(key, text());
        break;
      case 5:
        out.append(key, payload(BSON_TYPE_SYMBOL, length_prefixed(text())));
        break;
      case 6:
        out.append(key, payload(BSON_TYPE_CODE, length_prefixed(text())));
        break;
      case 7: {
        const std::string data = text();
        out.append_binary(key, static_cast<std::uint8_t>(below(3) * 64),
                          {reinterpret_cast<const std::uint8_t*>(data.data()), data.size()});
        break;
      }
      case 8:
        out.append(key, payload(BSON_TYPE_OID, object_id()));
        break;
      case 9:
        out.append(key, below(2) == 0);
        break;
      case 10:
        out.append(key, fixed(BSON_TYPE_DATE_TIME, int64()));
        break;
      case 11:
        out.append_timestamp(key, static_cast<std::uint64_t>(int64()));
        break;
      case 12:
        out.append(key, payload(BSON_TYPE_REGEX, name() + std::string(1, '\0') + name() + std::string(1, '\0')));
        break;
      case 13:
        out.append(key, payload(BSON_TYPE_DBPOINTER, length_prefixed(text()) + object_id()));
        break;
      case 19: {
        auto nested = out.document(key);
        fields(*nested, depth);
        break;
      }
      case 20: {
        const Document nested = document(depth + 1);
        auto array = out.array(key);
        for (const Element& element : nested.view()) array.append(element.value);
        break;
      }
      case 21:
        out.append(key, code_with_scope(depth));
        break;
      default:
        append_number(out, key);
        break;
    }
  }

  std::mt19937_64 engine_;
  std::string scratch_;
};

}  // namespace plm::bson
