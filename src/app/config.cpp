#include "app/config.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>

#include "api/sizes.h"
#include "api/start_fields.h"
#include "api/token.h"
#include "app/refuse.h"
#include "app/text_file.h"
#include "app/toml_file.h"
#include "model/filter.h"
#include "mongo/uri.h"

namespace plm {

namespace {

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) - first + 1));
}

template <typename Number>
Result<Number> parse_number(std::string_view text) {
  Number out{};
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [rest, problem] = std::from_chars(begin, end, out);
  if (problem != std::errc() || rest != end || text.empty())
    return refuse("\"{}\" is not a whole number", showable(text));
  return out;
}

Result<bool> parse_flag(std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return refuse("\"{}\" is neither true nor false", showable(text));
}

Result<log::Level> parse_level(std::string_view text) {
  using enum log::Level;
  constexpr std::array<std::pair<std::string_view, log::Level>, 5> kLevels = {
      {{"trace", trace}, {"debug", debug}, {"info", info}, {"warn", warn}, {"error", error}}};
  for (const auto& [name, level] : kLevels) {
    if (name == text) return level;
  }
  return refuse("\"{}\" is not a log level; there are trace, debug, info, warn and error", showable(text));
}

Result<std::string> parse_listen(std::string_view text) {
  std::string address = text == "localhost" ? "127.0.0.1" : std::string(text);
  in6_addr ignored{};
  if (inet_pton(AF_INET, address.c_str(), &ignored) == 1 || inet_pton(AF_INET6, address.c_str(), &ignored) == 1) {
    return address;
  }
  return refuse("\"{}\" is not an IP address", showable(text));
}

// Whether only this machine can reach it.
bool is_loopback(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<std::int64_t> parse_memory_limit(std::string_view text) {
  return parse_size(text).and_then([text](std::int64_t bytes) -> Result<std::int64_t> {
    if (bytes < kLeastMemoryBytes) return refuse("\"{}\" is too little; at least 128MiB are needed", text);
    return bytes;
  });
}

Result<std::optional<ApplyMode>> parse_apply_mode(std::string_view text) {
  if (text == "auto") return std::nullopt;
  if (text == "exact") return ApplyMode::exact;
  if (text == "portable") return ApplyMode::portable;
  return refuse("\"{}\" is not a mode; there are auto, exact and portable", showable(text));
}

// One setting after the other; the first error stays.
class OptionReader {
 public:
  explicit OptionReader(const Settings& settings) : settings_(settings) {}

  // Leaves `out` alone when the option is not set.
  template <typename T, typename Parse>
  void read(std::string_view name, T& out, Parse&& parse) {
    const Setting* setting = find(name);
    if (setting == nullptr || error_) return;
    if (setting->values.size() != 1) {
      refuse_setting(*setting, setting->values.empty() ? "has no value" : "given more than once");
      return;
    }
    auto value = parse(setting->values.front());
    if (!value) {
      refuse_setting(*setting, value.error().message);
      return;
    }
    out = *std::move(value);
  }

  void read_list(std::string_view name, std::vector<std::string>& out) {
    const Setting* setting = find(name);
    if (setting == nullptr || error_) return;
    out.clear();
    // An array of the configuration file is split already; a name may hold a comma there.
    const bool split = setting->values.size() == 1;
    for (const std::string& value : setting->values) {
      const auto entries =
          split || setting->origin.starts_with('-') ? split_list(value) : std::vector<std::string>{value};
      out.insert(out.end(), entries.begin(), entries.end());
    }
    const auto filter = name == "include-namespaces" ? Filter::make(out, {}) : Filter::make({}, out);
    if (filter) return;
    // The filter says the list's name in the API; the setting's origin takes its place.
    const std::string& why = filter.error().message;
    refuse_setting(*setting, why.substr(why.find(": ") + 2));
  }

  void refuse_setting(const Setting& setting, const std::string& why) {
    if (!error_) error_ = Error{ErrorCode::invalid_argument, 0, {}, fmt::format("{}: {}", setting.origin, why)};
  }
  [[nodiscard]] const Setting* find(std::string_view name) const {
    const auto found = settings_.find(name);
    return found == settings_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  const Settings& settings_;
  std::optional<Error> error_;
};

// One line; whoever keeps a secret in a file ends it with a newline.
Result<std::string> read_line_file(std::string_view path) {
  auto whole = read_text_file(std::string(path));
  if (!whole) return whole;
  std::string text = trimmed(*whole);
  if (text.empty()) return refuse("{} is empty", path);
  if (text.find('\n') != std::string::npos) return refuse("{} holds more than one line", path);
  return text;
}

Result<std::string> checked_uri(std::string_view text) {
  return parse_uri(std::string(text)).map([](const ParsedUri& uri) { return uri.text; });
}

void read_uri(OptionReader& reader, const std::string& side, std::string& out) {
  const std::string in_file = side + "-uri-file";
  const Setting* uri = reader.find(side);
  const Setting* file = reader.find(in_file);
  if (uri != nullptr && file != nullptr) {
    reader.refuse_setting(*uri, fmt::format("only one of this and {} may be given", file->origin));
  } else if (uri == nullptr && file == nullptr) {
    reader.refuse_setting({{}, "--" + side}, fmt::format("needed: the connection string of the {} replica set", side));
  }
  reader.read(side, out, checked_uri);
  reader.read(in_file, out, [](std::string_view path) { return read_line_file(path).and_then(checked_uri); });
}

void read_access(OptionReader& reader, DaemonConfig& config) {
  reader.read("api-token-file", config.api_token, read_token_file);
  TlsIdentity tls;
  const auto read_file = [](std::string_view path) { return read_text_file(std::string(path)); };
  reader.read("api-tls-cert", tls.certificate_pem, read_file);
  reader.read("api-tls-key", tls.key_pem, read_file);
  const Setting* certificate = reader.find("api-tls-cert");
  const Setting* key = reader.find("api-tls-key");
  if ((certificate == nullptr) != (key == nullptr)) {
    reader.refuse_setting(certificate != nullptr ? *certificate : *key,
                          "a certificate and its key are needed together (--api-tls-cert, --api-tls-key)");
  } else if (certificate != nullptr && !reader.error()) {
    if (const Status usable = check_identity(tls); !usable) reader.refuse_setting(*certificate, usable.error().message);
    config.api_tls = std::move(tls);
  }
  if (const Setting* listen = reader.find("listen");
      listen != nullptr && !is_loopback(config.listen) && config.api_token.empty()) {
    reader.refuse_setting(*listen,
                          fmt::format("others can reach {}: a token is needed (--api-token-file)", config.listen));
  }
}

void read_tuning(OptionReader& reader, Tuning& tuning) {
  for (const TuningField& field : tuning_fields()) {
    reader.read(field.flag_name, tuning, [&](std::string_view text) -> Result<Tuning> {
      const auto number = field.is_size() ? parse_size(text) : parse_number<std::int64_t>(text);
      if (!number) return fail(number.error());
      Tuning changed = tuning;
      if (const Status status = set_tuning(changed, field, *number); !status) return fail(status.error());
      return changed;
    });
  }
}

}  // namespace

Result<std::string> read_token_file(std::string_view path) {
  return read_line_file(path).and_then([path](std::string token) -> Result<std::string> {
    if (const Status status = check_token(token); !status) return refuse("{}: {}", path, status.error().message);
    return token;
  });
}

Result<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_number<std::uint16_t>(text);
  if (!number || *number == 0) return refuse("\"{}\" is not a port (1 to 65535)", showable(text));
  return *number;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0;;) {
    const auto comma = text.find(',', begin);
    out.push_back(trimmed(text.substr(begin, comma == std::string_view::npos ? comma : comma - begin)));
    if (comma == std::string_view::npos) return out;
    begin = comma + 1;
  }
}

Result<DaemonConfig> make_config(const Settings& settings) {
  DaemonConfig config;
  OptionReader reader(settings);
  const auto parse_format = [](std::string_view text) {
    return parse_flag(text).map([](bool json) { return json ? log::Format::json : log::Format::text; });
  };
  reader.read("listen", config.listen, parse_listen);
  reader.read("port", config.port, parse_port);
  read_access(reader, config);
  reader.read("log-level", config.log_level, parse_level);
  reader.read("log-json", config.log_format, parse_format);
  reader.read("memory-limit", config.memory_limit_bytes, parse_memory_limit);
  reader.read("apply-mode", config.apply_mode, parse_apply_mode);
  reader.read("reset-state", config.reset_state, parse_flag);
  reader.read("start", config.start, parse_flag);
  reader.read("replace-target", config.job.replace_target, parse_flag);
  reader.read("pause-on-initial-sync", config.job.pause_on_initial_sync, parse_flag);
  reader.read_list("include-namespaces", config.job.include_namespaces);
  reader.read_list("exclude-namespaces", config.job.exclude_namespaces);
  read_tuning(reader, config.job.tuning);
  read_uri(reader, "source", config.source_uri);
  read_uri(reader, "target", config.target_uri);
  if (reader.error()) return fail(*reader.error());
  return config;
}

Result<DaemonInvocation> configure_daemon(const std::vector<std::string>& arguments, const Environment& environment,
                                          std::string_view version) {
  const auto line = parse_daemon_arguments(arguments, version);
  if (!line) return fail(line.error());
  if (line->print) return DaemonInvocation{line->print, {}};

  Settings file;
  const char* variable = environment("PLM_CONFIG");
  const std::string path = line->config_file ? *line->config_file : variable != nullptr ? variable : "";
  if (!path.empty()) {
    auto read = read_toml_file(path);
    if (!read) return fail(read.error());
    file = *std::move(read);
  }
  return make_config(merged(line->flags, settings_of(environment), file)).map([](DaemonConfig config) {
    return DaemonInvocation{std::nullopt, std::move(config)};
  });
}

}  // namespace plm
