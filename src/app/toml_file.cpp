#include "app/toml_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "app/text_file.h"

namespace plm {

namespace {

bool is_option(std::string_view name) {
  return std::ranges::any_of(daemon_options(), [name](const Option& option) { return option.name == name; });
}

// The value as a command line would give it; none when it has a type that no option has.
std::optional<std::vector<std::string>> values_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return std::vector<std::string>{text->get()};
  if (const auto* number = node.as_integer()) return std::vector<std::string>{std::to_string(number->get())};
  if (const auto* flag = node.as_boolean()) return std::vector<std::string>{flag->get() ? "true" : "false"};
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> out;
  for (const toml::node& entry : *array) {
    if (!entry.is_string()) return std::nullopt;
    out.push_back(entry.as_string()->get());
  }
  return out;
}

Result<Settings> settings_of(const toml::table& table, const std::string& path) {
  Settings out;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (!is_option(name)) return fail(ErrorCode::invalid_argument, fmt::format("{}: unknown key {}", path, name));
    auto values = values_of(node);
    if (!values) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: {} must be a string, a whole number, a boolean or an array of strings", path, name));
    }
    out[name] = {*std::move(values), fmt::format("{} in {}", name, path)};
  }
  return out;
}

}  // namespace

Result<Settings> read_toml_file(const std::string& path) {
  return read_text_file(path).and_then([&path](const std::string& text) { return parse_toml(text, path); });
}

Result<Settings> parse_toml(std::string_view text, const std::string& path) {
  try {
    return settings_of(toml::parse(text, path), path);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: line {}: {}", path, error.source().begin.line, showable(error.description())));
  }
}

}  // namespace plm
