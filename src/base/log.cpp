#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

namespace plm::log {

namespace {

std::atomic<Format> g_format{Format::text};  // set once by configure()

// Never destroyed: threads may write until the process ends. The line is made
// here, spdlog keeps lines of several threads apart. Standard error has no
// buffer, so a line is out when write() returns and nothing waits to be flushed.
spdlog::logger& sink() {
  static spdlog::logger& logger = *[] {
    auto made = std::make_unique<spdlog::logger>("plm", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::info);
    return made.release();
  }();
  return logger;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view name_of(Level level, Format format) {
  const bool text = format == Format::text;
  switch (level) {
    case Level::trace:
      return text ? "TRACE" : "trace";
    case Level::debug:
      return text ? "DEBUG" : "debug";
    case Level::info:
      return text ? "INFO" : "info";
    case Level::warn:
      return text ? "WARN" : "warn";
    case Level::error:
      return text ? "ERROR" : "error";
  }
  return {};
}

// 2026-11-23T05:28:00.123Z
std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, millis);
}

// As a JSON string, with its quotes; bytes that are not UTF-8 are replaced.
std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// A value that people and simple scripts can split off: quoted when it is
// empty or holds a blank, a quote, an equals sign or a control character.
std::string text_value(std::string_view value) {
  for (const char c : value) {
    if (c == ' ' || c == '"' || c == '=' || c == '\\' || is_control(c)) return json_string(value);
  }
  return value.empty() ? "\"\"" : std::string(value);
}

// One line stays one line, whatever is in it.
std::string text_message(std::string_view message) {
  std::string out(message);
  for (char& c : out) {
    if (is_control(c)) c = ' ';
  }
  return out;
}

std::string text_line(Level level, std::string_view message, Fields fields) {
  std::string line = fmt::format("{} {} {}", timestamp(), name_of(level, Format::text), text_message(message));
  for (const Field& field : fields) line += fmt::format(" {}={}", field.key, text_value(field.value));
  return line;
}

std::string json_line(Level level, std::string_view message, Fields fields) {
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","message":{})", timestamp(),
                                 name_of(level, Format::json), json_string(message));
  for (const Field& field : fields) {
    // "nan" and "inf" are numbers to C++ and none to JSON.
    const bool number = field.is_number && nlohmann::json::accept(field.value);
    line += fmt::format(",{}:{}", json_string(field.key), number ? field.value : json_string(field.value));
  }
  return line + "}";
}

}  // namespace

void configure(Level level, Format format) {
  g_format = format;
  sink().set_level(spdlog_level(level));
}

void write(Level level, std::string_view message, Fields fields) {
  spdlog::logger& logger = sink();
  if (!logger.should_log(spdlog_level(level))) return;
  const std::string line =
      g_format == Format::json ? json_line(level, message, fields) : text_line(level, message, fields);
  logger.log(spdlog_level(level), spdlog::string_view_t(line));
}

}  // namespace plm::log
