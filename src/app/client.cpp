#include "app/client.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>

#include "api/request_json.h"
#include "api/start_fields.h"
#include "app/config.h"
#include "app/http_client.h"
#include "app/refuse.h"
#include "app/status_text.h"
#include "app/text_file.h"

namespace plm {

namespace {

using nlohmann::ordered_json;

struct Command {
  std::string_view name;
  std::string_view help;
  std::string_view success;  // what is said when the daemon has done it
};

constexpr std::array<Command, 8> kCommands = {{
    {"status", "Show what the daemon does.", ""},
    {"health", "Say whether somebody should look at it: exit code 0 or 1.", "Healthy."},
    {"start", "Start a job.", "Started. \"plm status --watch\" follows it."},
    {"pause", "Stop copying and applying; the position is saved.", "Paused."},
    {"resume", "Go on from the saved position.", "Resumed."},
    {"finalize", "Apply everything up to the source's present state, make indexes real, stop.",
     "Finalizing. \"plm status --watch\" follows it."},
    {"reset", "Forget the job; the target's data stays.", "Reset."},
    {"version", "Show the version.", ""},
}};

// Pause waits for what is under way at the servers, start looks at every collection.
constexpr std::chrono::seconds kStatusLimit{10};
constexpr std::chrono::seconds kCommandLimit{600};

const Command* find_command(std::string_view word) {
  const auto* const found = std::ranges::find(kCommands, word, &Command::name);
  return found == kCommands.end() ? nullptr : found;
}

// What the flags of one command line were.
struct Flags {
  std::string host;
  std::string port;
  std::string url;
  std::string token_file;
  std::string ca_file;
  bool json = false;
  bool watch = false;
  bool from_failure = false;
  std::string recopy;
  bool waive_parked = false;
  bool replace_target = false;
  bool pause_on_initial_sync = false;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::array<std::string, 16> tuning;  // by the field's place in its table
};

void add_connection_flags(CLI::App& app, Flags& flags) {
  app.add_flag("--json", flags.json, "Print the daemon's answer as JSON");
  app.add_option("--host", flags.host, "The daemon's host (127.0.0.1)")->type_name("HOST");
  app.add_option("--port", flags.port, "The daemon's port (2242) [PLM_PORT]")->type_name("PORT");
  app.add_option("--url", flags.url, "The daemon's URL, instead of host and port [PLM_URL]")->type_name("URL");
  app.add_option("--api-token-file", flags.token_file, "File that holds the daemon's token [PLM_API_TOKEN_FILE]")
      ->type_name("FILE");
  app.add_option("--api-ca-file", flags.ca_file,
                 "PEM file with the authority of the daemon's certificate; means https [PLM_API_CA_FILE]")
      ->type_name("FILE");
}

void add_start_flags(CLI::App& app, Flags& flags) {
  app.get_formatter()->column_width(42);
  app.add_option("--include-namespaces", flags.include, "db.coll or db.*, separated by commas")
      ->type_name("NAMES")
      ->option_text("NAMES")  // without CLI11's "..." behind it
      ->allow_extra_args(false);
  app.add_option("--exclude-namespaces", flags.exclude, "The same; exclude wins")
      ->type_name("NAMES")
      ->option_text("NAMES")  // without CLI11's "..." behind it
      ->allow_extra_args(false);
  app.add_flag("--replace-target", flags.replace_target, "Drop what the target holds in the selected namespaces");
  app.add_flag("--pause-on-initial-sync", flags.pause_on_initial_sync, "Pause when the initial sync is complete");
  for (std::size_t i = 0; i < tuning_fields().size(); ++i) {
    const TuningField& field = tuning_fields()[i];
    app.add_option(fmt::format("--{}", field.flag_name), flags.tuning.at(i),
                   fmt::format("{} (0: plm chooses)", field.help))
        ->type_name(field.is_size() ? "SIZE" : "NUMBER");
  }
  app.footer("What is not given here is as the daemon was given it; it replicates everything unless told otherwise.");
}

void add_resume_flags(CLI::App& app, Flags& flags) {
  app.add_flag("--from-failure", flags.from_failure, "Also from the state \"failed\"");
  app.add_option("--recopy", flags.recopy,
                 "Copy again, when the position was lost or the target is not as it should be; also from the state "
                 "\"failed\". changed: compare both sides and write what differs; all: drop everything on the "
                 "target and copy it anew")
      ->type_name("changed|all");
}

std::string flag_or_variable(const std::string& flag, const char* name, const Environment& environment) {
  const char* variable = environment(name);
  return !flag.empty() || variable == nullptr ? flag : variable;
}

Result<std::string> url_of(const CLI::App& app, const Flags& flags, const Environment& environment) {
  const bool by_place = app.count("--host") + app.count("--port") > 0;
  if (app.count("--url") > 0 && by_place) return refuse("--url: give either this or --host and --port");
  const char* url_variable = environment("PLM_URL");
  std::string url = !flags.url.empty() ? flags.url : !by_place && url_variable != nullptr ? url_variable : "";
  if (!url.empty()) {
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      return refuse("\"{}\" is not an http URL", showable(url));
    while (url.ends_with('/')) url.pop_back();
    return url;
  }
  const char* port_variable = environment("PLM_PORT");
  const bool from_flag = !flags.port.empty();
  const std::string port_text = from_flag ? flags.port : port_variable != nullptr ? port_variable : "2242";
  const auto port = parse_port(port_text);
  if (!port) return fail(port.error().within(from_flag ? "--port" : "PLM_PORT"));
  std::string host = flags.host.empty() ? "127.0.0.1" : flags.host;
  if (host.find(':') != std::string::npos) host = fmt::format("[{}]", host);  // IPv6
  const bool tls = !flag_or_variable(flags.ca_file, "PLM_API_CA_FILE", environment).empty();
  return fmt::format("{}://{}:{}", tls ? "https" : "http", host, *port);
}

// What lets client and daemon trust each other.
Status read_trust(const Flags& flags, const Environment& environment, ClientCommand& out) {
  out.ca_file = flag_or_variable(flags.ca_file, "PLM_API_CA_FILE", environment);
  if (!flags.ca_file.empty() && !out.url.starts_with("https://")) return refuse("--api-ca-file: needs an https URL");
  if (!out.ca_file.empty()) {
    const std::string origin = flags.ca_file.empty() ? "PLM_API_CA_FILE" : "--api-ca-file";
    if (const auto text = read_text_file(out.ca_file); !text) return fail(text.error().within(origin));
  }
  const std::string token_file = flag_or_variable(flags.token_file, "PLM_API_TOKEN_FILE", environment);
  if (token_file.empty()) return {};
  auto token = read_token_file(token_file);
  if (!token) return fail(token.error().within(flags.token_file.empty() ? "PLM_API_TOKEN_FILE" : "--api-token-file"));
  out.token = *std::move(token);
  return {};
}

std::vector<std::string> entries_of(const std::vector<std::string>& values) {
  std::vector<std::string> out;
  for (const std::string& value : values) {
    for (std::string& entry : split_list(value)) out.push_back(std::move(entry));
  }
  return out;
}

// The daemon names the field of its request; people gave a flag.
Error named_by_flag(Error error) {
  std::vector<std::pair<std::string_view, std::string_view>> names = {
      {"includeNamespaces", "include-namespaces"}, {"excludeNamespaces", "exclude-namespaces"}, {"recopy", "recopy"}};
  for (const TuningField& field : tuning_fields()) names.emplace_back(field.json_name, field.flag_name);
  for (const auto& [field, flag] : names) {
    if (!error.message.starts_with(std::string(field) + ":")) continue;
    error.message.replace(0, field.size(), fmt::format("--{}", flag));
    break;
  }
  return error;
}

// Only what was given: the rest is the daemon's to choose.
Result<std::string> start_body(const CLI::App& app, const Flags& flags) {
  ordered_json body = ordered_json::object();
  if (app.count("--include-namespaces") > 0) body["includeNamespaces"] = entries_of(flags.include);
  if (app.count("--exclude-namespaces") > 0) body["excludeNamespaces"] = entries_of(flags.exclude);
  if (app.count("--replace-target") > 0) body["replaceTarget"] = flags.replace_target;
  if (app.count("--pause-on-initial-sync") > 0) body["pauseOnInitialSync"] = flags.pause_on_initial_sync;
  for (std::size_t i = 0; i < tuning_fields().size(); ++i) {
    const TuningField& field = tuning_fields()[i];
    const std::string& text = flags.tuning.at(i);
    if (app.count(fmt::format("--{}", field.flag_name)) == 0) continue;
    // A whole number goes as a number; a size with its unit as text, and what is none is refused below.
    const bool digits = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (digits && text.size() < 18) {
      body[std::string(field.json_name)] = std::stoll(text);
    } else if (!field.is_size()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("--{}: \"{}\" is not a whole number", field.flag_name, text));
    } else {
      body[std::string(field.json_name)] = text;
    }
  }
  std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // The daemon will read it with the same function.
  if (const auto options = parse_start_body(text, {}); !options) return fail(named_by_flag(options.error()));
  return text;
}

Result<std::string> resume_body(const CLI::App& app, const Flags& flags) {
  ordered_json body = ordered_json::object();
  if (flags.from_failure) body["fromFailure"] = true;
  if (app.count("--recopy") > 0) body["recopy"] = flags.recopy;
  if (body.empty()) return std::string();
  std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // The daemon will read it with the same function.
  if (const auto options = parse_resume_body(text); !options) return fail(named_by_flag(options.error()));
  return text;
}

Result<std::string> body_of(const CLI::App& app, const std::string& command, const Flags& flags) {
  if (command == "start") return start_body(app, flags);
  if (command == "resume") return resume_body(app, flags);
  if (command == "finalize" && flags.waive_parked) return R"({"waiveParked":true})";
  return std::string();
}

int report_unreachable(const Error& error, const ClientOutput& output) {
  output.err << "plm: " << error.message << '\n';
  return exit_code::unreachable;
}

// The daemon's answer, or the reason why it is none of a plm.
Result<ordered_json> parse_answer(const ClientCommand& command, const HttpAnswer& answer) {
  ordered_json parsed = ordered_json::parse(answer.body, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("ok") || !parsed["ok"].is_boolean()) {
    return fail(ErrorCode::network,
                fmt::format("what answers at {} is not plm (HTTP status {})", command.url, answer.status));
  }
  return parsed;
}

int print_answer(const ClientCommand& command, const HttpAnswer& answer, const ClientOutput& output) {
  const auto parsed = parse_answer(command, answer);
  if (!parsed) return report_unreachable(parsed.error(), output);
  const bool ok = (*parsed)["ok"].get<bool>();
  if (command.json) {
    output.out << answer.body << '\n';
    return ok ? exit_code::done : exit_code::failed;
  }
  if (!ok) {
    const auto error = parsed->find("error");
    const bool named = error != parsed->end() && error->is_string();
    output.err << "plm: " << (named ? error->get<std::string>() : command.name + " was refused") << '\n';
    return exit_code::failed;
  }
  if (command.name != "status") {
    output.out << find_command(command.name)->success << '\n';
    return exit_code::done;
  }
  const auto text = status_text(answer.body);
  if (!text) return report_unreachable(text.error(), output);
  output.out << *text;
  return exit_code::done;
}

// The path of a command is its name.
Result<HttpAnswer> call(const ClientCommand& command, std::string method, std::chrono::seconds limit) {
  return http_call({std::move(method), fmt::format("{}/{}", command.url, command.name), command.body, limit,
                    command.token, command.ca_file});
}

int show_status(const ClientCommand& command, const ClientOutput& output) {
  const auto answer = call(command, "GET", kStatusLimit);
  if (!answer) return report_unreachable(answer.error(), output);
  constexpr std::string_view kEmptyScreen = "\x1b[H\x1b[2J";
  if (output.clear_screen && command.watch) output.out << kEmptyScreen;
  const int code = print_answer(command, *answer, output);
  output.out.flush();
  return code;
}

int watch_status(const ClientCommand& command, const ClientOutput& output) {
  if (const int code = show_status(command, output); code != exit_code::done) return code;
  // Ends with the program, or when nobody reads any more.
  while (output.out.good()) {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // a person's pace, not the engine's
    if (!output.clear_screen && !command.json) output.out << '\n';
    (void)show_status(command, output);
  }
  return exit_code::done;
}

}  // namespace

bool is_client_command(std::string_view word) { return find_command(word) != nullptr; }

Result<ClientCommand> parse_client_arguments(const std::vector<std::string>& arguments, const Environment& environment,
                                             std::string_view version) {
  const Command& command = *find_command(arguments.front());
  ClientCommand out;
  out.name = command.name;
  Flags flags;
  const std::string program = fmt::format("plm {}", command.name);
  CLI::App app(std::string(command.help), program);
  app.allow_extras();
  if (out.name == "version") {
    app.add_flag("--json", flags.json, "Print it as JSON");
  } else {
    add_connection_flags(app, flags);
  }
  if (out.name == "status") app.add_flag("--watch", flags.watch, "Show it again every second");
  if (out.name == "finalize") {
    app.add_flag("--waive-parked", flags.waive_parked,
                 "Go on without the documents and indexes that the target does not take");
  }
  if (out.name == "resume") add_resume_flags(app, flags);
  if (out.name == "start") add_start_flags(app, flags);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend() - 1));  // CLI11 wants them reversed
  } catch (const CLI::CallForHelp&) {
    out.print = app.help();
    return out;
  } catch (const CLI::ParseError& error) {
    const std::string_view text = error.what();
    return refuse("{}: {}", out.name, showable(text.substr(0, text.find('\n'))));
  }
  if (const auto extras = app.remaining(); !extras.empty())
    return refuse("{}: {}", out.name, name_unexpected(extras, program, "there are options only"));
  out.json = flags.json;
  out.watch = flags.watch;
  if (out.name == "version") {
    out.print =
        flags.json ? fmt::format("{}\n", ordered_json{{"version", version}}.dump()) : fmt::format("plm {}\n", version);
    return out;
  }
  auto url = url_of(app, flags, environment);
  if (!url) return fail(url.error());
  out.url = *std::move(url);
  if (auto known = read_trust(flags, environment, out); !known) return fail(known.error());
  auto body = body_of(app, out.name, flags);
  if (!body) return fail(body.error());
  out.body = *std::move(body);
  return out;
}

int run_client(const ClientCommand& command, const ClientOutput& output) {
  if (command.print) {
    output.out << *command.print;
    return exit_code::done;
  }
  if (command.name == "status") return command.watch ? watch_status(command, output) : show_status(command, output);
  const auto answer =
      command.name == "health" ? call(command, "GET", kStatusLimit) : call(command, "POST", kCommandLimit);
  if (!answer) return report_unreachable(answer.error(), output);
  return print_answer(command, *answer, output);
}

}  // namespace plm
