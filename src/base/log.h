// The log: one line per fact, "time level message key=value ...", or one JSON
// object per line. Written to standard error through spdlog. Never a secret,
// never a document's content above debug level: callers pass names, counts,
// times and redacted errors only.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace plm::log {

enum class Level { trace, debug, info, warn, error };
enum class Format { text, json };

// A key and a value; numbers stay numbers in JSON.
struct Field {
  std::string_view key;
  std::string value;
  bool is_number = false;

  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const char* text) : key(name), value(text) {}
  Field(std::string_view name, const std::string& text) : key(name), value(text) {}
  template <std::integral T>
  Field(std::string_view name, T number)
      : key(name), value(fmt::format("{}", number)), is_number(!std::same_as<T, bool>) {}
  Field(std::string_view name, double number) : key(name), value(fmt::format("{:.3f}", number)), is_number(true) {}
};
using Fields = std::initializer_list<Field>;

// Once, before any thread writes. The default is info, text.
void configure(Level level, Format format);

// Any thread. `message` is a fixed sentence; what varies goes into fields.
void write(Level level, std::string_view message, Fields fields = {});

inline void debug(std::string_view message, Fields fields = {}) { write(Level::debug, message, fields); }
inline void info(std::string_view message, Fields fields = {}) { write(Level::info, message, fields); }
inline void warn(std::string_view message, Fields fields = {}) { write(Level::warn, message, fields); }
inline void error(std::string_view message, Fields fields = {}) { write(Level::error, message, fields); }

}  // namespace plm::log
