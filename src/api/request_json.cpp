#include "api/request_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "api/sizes.h"
#include "api/start_fields.h"
#include "model/filter.h"

namespace plm {

namespace {

using nlohmann::json;

// No request of ours is deeper than an array in an object.
constexpr int kMaxDepth = 4;

// An error of the body as a whole; thrown and caught within this file.
struct BadBody {
  std::string message;
};

template <typename... Args>
auto refuse(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_argument, fmt::format(format, std::forward<Args>(args)...));
}

std::string_view kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::number_float:
      return "a fractional number";
    default:
      return "a number";
  }
}

// nlohmann keeps the last of two equal keys; whoever sends two means one of them.
Result<json> parse_object(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
  std::set<std::string> keys;
  const auto check = [&keys](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth) throw BadBody{"the body is nested too deeply"};
    if (event == json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second) {
      throw BadBody{fmt::format("{}: given twice", parsed.get<std::string>())};
    }
    return true;
  };
  try {
    json parsed = json::parse(body, check);
    if (!parsed.is_object()) return refuse("the body must be a JSON object, not {}", kind_of(parsed));
    return parsed;
  } catch (const BadBody& error) {
    return refuse("{}", error.message);
  } catch (const json::parse_error& error) {
    return refuse("the body is not valid JSON, at byte {}", error.byte);
  } catch (const json::exception&) {
    return refuse("the body is not valid JSON");
  }
}

Status read_bool(const std::string& name, const json& value, bool& out) {
  if (!value.is_boolean()) return refuse("{}: must be true or false, not {}", name, kind_of(value));
  out = value.get<bool>();
  return {};
}

Status read_list(const std::string& name, const json& value, std::vector<std::string>& out) {
  if (!value.is_array()) return refuse("{}: must be an array of strings, not {}", name, kind_of(value));
  std::vector<std::string> list;
  for (const json& entry : value) {
    if (!entry.is_string()) return refuse("{}: must hold strings only, not {}", name, kind_of(entry));
    list.push_back(entry.get<std::string>());
  }
  out = std::move(list);
  return {};
}

Result<std::int64_t> read_number(const TuningField& field, const json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(field.max)) {
    return refuse("is too large");
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (field.is_size() && value.is_string()) return parse_size(value.get<std::string>());
  return refuse("must be {}, not {}", field.is_size() ? "a size, as bytes or as \"500MB\"" : "a whole number",
                kind_of(value));
}

Status read_tuning(const TuningField& field, const json& value, Tuning& tuning) {
  const Status status =
      read_number(field, value).and_then([&](std::int64_t number) { return set_tuning(tuning, field, number); });
  if (!status) return fail(status.error().within(std::string(field.json_name)));
  return {};
}

const TuningField* tuning_field_named(std::string_view name) {
  for (const TuningField& field : tuning_fields()) {
    if (field.json_name == name) return &field;
  }
  return nullptr;
}

Status read_start_field(const std::string& name, const json& value, JobOptions& options) {
  if (name == "includeNamespaces") return read_list(name, value, options.include_namespaces);
  if (name == "excludeNamespaces") return read_list(name, value, options.exclude_namespaces);
  if (name == "replaceTarget") return read_bool(name, value, options.replace_target);
  if (name == "pauseOnInitialSync") return read_bool(name, value, options.pause_on_initial_sync);
  if (const TuningField* field = tuning_field_named(name)) return read_tuning(*field, value, options.tuning);
  return refuse("{}: unknown field", name);
}

Status read_recopy(const std::string& name, const json& value, Recopy& out) {
  const auto recopy = value.is_string() ? recopy_named(value.get<std::string>()) : std::nullopt;
  if (!recopy || *recopy == Recopy::none) {
    return refuse("{}: must be \"changed\" or \"all\", not {}", name,
                  value.is_string() ? "another string" : kind_of(value));
  }
  out = *recopy;
  return {};
}

Status read_resume_field(const std::string& name, const json& value, ResumeOptions& options) {
  if (name == "fromFailure") return read_bool(name, value, options.from_failure);
  if (name == "recopy") return read_recopy(name, value, options.recopy);
  return refuse("{}: unknown field", name);
}

}  // namespace

Result<JobOptions> parse_start_body(std::string_view body, const JobOptions& defaults) {
  const auto parsed = parse_object(body);
  if (!parsed) return fail(parsed.error());
  JobOptions options = defaults;
  for (const auto& [name, value] : parsed->items()) {
    if (const Status status = read_start_field(name, value, options); !status) return fail(status.error());
  }
  if (const auto filter = Filter::make(options.include_namespaces, options.exclude_namespaces); !filter) {
    return fail(filter.error());
  }
  return options;
}

Result<ResumeOptions> parse_resume_body(std::string_view body) {
  const auto parsed = parse_object(body);
  if (!parsed) return fail(parsed.error());
  ResumeOptions options;
  for (const auto& [name, value] : parsed->items()) {
    if (const Status status = read_resume_field(name, value, options); !status) return fail(status.error());
  }
  return options;
}

Result<FinalizeOptions> parse_finalize_body(std::string_view body) {
  const auto parsed = parse_object(body);
  if (!parsed) return fail(parsed.error());
  FinalizeOptions options;
  for (const auto& [name, value] : parsed->items()) {
    if (name != "waiveParked") return refuse("{}: unknown field", name);
    if (const Status status = read_bool(name, value, options.waive_parked); !status) return fail(status.error());
  }
  return options;
}

Status parse_empty_body(std::string_view body) {
  const auto parsed = parse_object(body);
  if (!parsed) return fail(parsed.error());
  if (!parsed->empty()) return refuse("{}: unknown field", parsed->begin().key());
  return {};
}

}  // namespace plm
