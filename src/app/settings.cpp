#include "app/settings.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "api/start_fields.h"

namespace plm {

namespace {

std::string variable_of(std::string_view name) {
  std::string out = "PLM_";
  for (const char c : name) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::vector<Option> make_options() {
  using enum Option::Kind;
  std::vector<Option> out = {
      {"source", "PLM_SOURCE_URI", value, "URI", "Connection string of the source replica set"},
      {"target", "PLM_TARGET_URI", value, "URI", "Connection string of the target replica set"},
      {"source-uri-file", "", value, "FILE", "File that holds the source's connection string"},
      {"target-uri-file", "", value, "FILE", "File that holds the target's connection string"},
      {"listen", "", value, "ADDRESS", "Address of the HTTP server (127.0.0.1); any but loopback needs a token"},
      {"port", "", value, "PORT", "Port of the HTTP server (2242)"},
      {"api-token-file", "", value, "FILE", "File that holds the token which every request must show"},
      {"api-tls-cert", "", value, "FILE", "PEM file with the HTTP server's certificate and its issuers'"},
      {"api-tls-key", "", value, "FILE", "PEM file with the certificate's private key"},
      {"log-level", "", value, "LEVEL", "trace, debug, info, warn or error (info)"},
      {"log-json", "", flag, "", "Write the log as JSON lines"},
      {"memory-limit", "", value, "SIZE", "Memory for the whole process (512MiB); at least 128MiB"},
      {"apply-mode", "", value, "MODE", "How changes are applied: auto, exact or portable (auto: the target is asked)"},
      {"reset-state", "", flag, "", "Forget the saved job first; the target's data stays"},
      {"start", "", flag, "", "Start at once, unless a job is saved"},
      {"include-namespaces", "", list, "NAMES", "db.coll or db.*, separated by commas (all)"},
      {"exclude-namespaces", "", list, "NAMES", "The same; exclude wins"},
      {"replace-target", "", flag, "", "Let a start drop what the target holds in the selected namespaces"},
      {"pause-on-initial-sync", "", flag, "", "Pause when the initial sync is complete"},
  };
  for (const TuningField& field : tuning_fields()) {
    out.push_back({std::string(field.flag_name), "", value, field.is_size() ? "SIZE" : "NUMBER",
                   fmt::format("{} (0: plm chooses)", field.help)});
  }
  for (Option& option : out) {
    if (option.variable.empty()) option.variable = variable_of(option.name);
  }
  return out;
}

constexpr std::string_view kFooter =
    "Commands for a running daemon (plm COMMAND --help says more):\n"
    "  status    Show what it does        pause     Stop copying and applying\n"
    "  start     Start a job              resume    Go on from the saved position\n"
    "  finalize  End it at the source's   reset     Forget the job; the target's\n"
    "            present state                      data stays\n"
    "  health    Say whether somebody     version   Show the version\n"
    "            should look at it\n\n"
    "\"plm serve\" is the same as \"plm\". Each option is also a key of the file given with\n"
    "--config (TOML: log-level = \"info\"). A flag beats its variable, a variable the file.";

// CLI11's messages may quote a value on several lines; the first line, without URIs.
std::string first_line(std::string_view text) { return showable(text.substr(0, text.find('\n'))); }

}  // namespace

const std::vector<Option>& daemon_options() {
  static const std::vector<Option> options = make_options();
  return options;
}

std::string showable(std::string_view argument) {
  if (argument.find("://") != std::string_view::npos || argument.find('@') != std::string_view::npos) {
    return "(not shown: it may hold a password)";
  }
  return std::string(argument);
}

std::string name_unexpected(const std::vector<std::string>& arguments, std::string_view program,
                            std::string_view hint) {
  const auto flag = std::ranges::find_if(arguments, [](const std::string& text) { return text.starts_with('-'); });
  if (flag == arguments.end()) return fmt::format("unexpected argument {}; {}", showable(arguments.front()), hint);
  return fmt::format("unknown option {}; see \"{} --help\"", showable(flag->substr(0, flag->find('='))), program);
}

Result<CommandLine> parse_daemon_arguments(const std::vector<std::string>& arguments, std::string_view version) {
  CommandLine out;
  CLI::App app("plm replicates a running MongoDB replica set into another one.", "plm");
  app.footer(std::string(kFooter));
  app.allow_extras();
  app.get_formatter()->column_width(42);
  bool show_version = false;
  std::vector<std::string> config_files;
  app.add_flag("--version", show_version, "Show the version");
  app.add_option("--config", config_files, "TOML file with any of the options below [PLM_CONFIG]")
      ->type_name("FILE")
      ->option_text("FILE")
      ->allow_extra_args(false);

  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> flags;
  for (const Option& option : daemon_options()) {
    const std::string help = fmt::format("{} [{}]", option.help, option.variable);
    if (option.kind == Option::Kind::flag) {
      app.add_flag("--" + option.name, flags[option.name], help);
    } else {
      app.add_option("--" + option.name, values[option.name], help)
          ->type_name(option.value_name)
          ->option_text(option.value_name)  // without CLI11's "..." behind it
          ->allow_extra_args(false);
    }
  }
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 wants them reversed
  } catch (const CLI::CallForHelp&) {
    out.print = app.help();
    return out;
  } catch (const CLI::ParseError& error) {
    return fail(ErrorCode::invalid_argument, first_line(error.what()));
  }
  if (show_version) {
    out.print = fmt::format("plm {}\n", version);
    return out;
  }
  if (const auto extras = app.remaining(); !extras.empty()) {
    return fail(ErrorCode::invalid_argument,
                name_unexpected(extras, "plm", "a command comes first, as in \"plm status\""));
  }
  if (config_files.size() > 1) return fail(ErrorCode::invalid_argument, "--config: given twice");
  if (!config_files.empty()) out.config_file = config_files.front();

  for (const Option& option : daemon_options()) {
    const std::string origin = "--" + option.name;
    if (app.count(origin) == 0) continue;
    if (option.kind == Option::Kind::flag) {
      out.flags[option.name] = {{flags[option.name] ? "true" : "false"}, origin};
    } else {
      out.flags[option.name] = {values[option.name], origin};
    }
  }
  return out;
}

Settings settings_of(const Environment& environment) {
  Settings out;
  for (const Option& option : daemon_options()) {
    const char* value = environment(option.variable.c_str());
    if (value != nullptr && *value != '\0') out[option.name] = {{value}, option.variable};
  }
  return out;
}

Settings merged(const Settings& flags, const Settings& environment, const Settings& file) {
  Settings out = flags;
  // A connection string and the file that holds one are two ways to say the same.
  const auto add = [&out](const Settings& weaker) {
    const Settings stronger = out;
    for (const auto& [name, setting] : weaker) {
      const bool in_other_form = (name == "source" && stronger.contains("source-uri-file")) ||
                                 (name == "target" && stronger.contains("target-uri-file")) ||
                                 (name == "source-uri-file" && stronger.contains("source")) ||
                                 (name == "target-uri-file" && stronger.contains("target"));
      if (!in_other_form) out.emplace(name, setting);
    }
  };
  add(environment);
  add(file);
  return out;
}

}  // namespace plm
