#include "app/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "api/sizes.h"
#include "base/duration.h"

namespace plm {

namespace {

using nlohmann::ordered_json;

// More names than this do not help a reader.
constexpr std::size_t kNamesShown = 5;

// Lines "label       text"; a label is not repeated.
class Lines {
 public:
  template <typename... Args>
  void add(std::string_view label, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), "{:<12} {}\n", label, fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// ", copying a.b, a.c and 7 more"; nothing for no names.
std::string names_text(std::string_view verb, const ordered_json& names) {
  if (names.empty()) return {};
  std::string out = fmt::format(", {}", verb);
  const std::size_t shown = std::min(names.size(), kNamesShown);
  for (std::size_t i = 0; i < shown; ++i) out += fmt::format("{} {}", i == 0 ? "" : ",", names[i].get<std::string>());
  if (names.size() > shown) out += fmt::format(" and {} more", names.size() - shown);
  return out;
}

void add_server(Lines& lines, std::string_view label, const ordered_json& server) {
  const auto version = server.at("version").get<std::string>();
  lines.add(label, "{}{}, {}", server.at("uri").get<std::string>(), version.empty() ? "" : ", MongoDB " + version,
            server.at("state").get<std::string>());
}

void add_copy(Lines& lines, const ordered_json& sync) {
  const auto copied = sync.at("clonedSizeBytes").get<std::int64_t>();
  const auto estimated = sync.at("estimatedCloneSizeBytes").get<std::int64_t>();
  const auto eta = sync.at("etaSeconds").get<std::int64_t>();
  if (sync.at("cloneCompleted").get<bool>()) {
    lines.add("copy", "{} done, {}", progress_bar(1), format_size(copied));
    return;
  }
  // An estimate may be too small; what is left is then not known.
  const double part = estimated > 0 ? std::min(0.999, static_cast<double>(copied) / static_cast<double>(estimated)) : 0;
  std::string speed;
  if (eta > 0 && estimated > copied) {
    speed = fmt::format(", {}/s, {} left", format_size((estimated - copied) / eta), format_duration(eta));
  }
  lines.add("copy", "{} {:.1f} %, {} of {}{}", progress_bar(part), part * 100, format_size(copied),
            format_size(estimated), speed);
}

void add_initial_sync(Lines& lines, const ordered_json& sync) {
  add_copy(lines, sync);
  const ordered_json& collections = sync.at("collections");
  lines.add("collections", "{} of {} copied{}", format_count(collections.at("copied").get<std::int64_t>()),
            format_count(collections.at("total").get<std::int64_t>()),
            names_text("copying", collections.at("copying")));
  const ordered_json& indexes = sync.at("indexes");
  lines.add("indexes", "{} of {} built{}", format_count(indexes.at("built").get<std::int64_t>()),
            format_count(indexes.at("total").get<std::int64_t>()), names_text("building", indexes.at("building")));
}

void add_changes(Lines& lines, const ordered_json& status) {
  const ordered_json& position = status.at("lastReplicatedOpTime");
  std::string upto;
  // Before that the target has the changes only of what is copied.
  const bool complete = status.at("initialSync").at("completed").get<bool>();
  if (complete && position.at("ts").get<std::string>() != "0.0") {
    upto = fmt::format("; the target has everything up to {}", position.at("isoDate").get<std::string>());
  }
  lines.add("lag", "{}{}", format_duration(status.at("lagTimeSeconds").get<std::int64_t>()), upto);
  lines.add("events", "{} read, {} applied", format_count(status.at("eventsRead").get<std::int64_t>()),
            format_count(status.at("eventsApplied").get<std::int64_t>()));
}

void add_parked(Lines& lines, const ordered_json& parked) {
  const auto count = parked.at("count").get<std::int64_t>();
  if (count == 0) return;
  lines.add("parked", "{} {} could not be applied and {} for finalize", format_count(count),
            count == 1 ? "change" : "changes", count == 1 ? "waits" : "wait");
  for (const auto& sample : parked.at("sample")) lines.add("", "{}", sample.get<std::string>());
}

void add_finalization(Lines& lines, const ordered_json& finalization) {
  const auto started = finalization.at("startedAt").get<std::string>();
  std::string how_far = "under way";
  if (const auto completed = finalization.find("completedAt"); completed != finalization.end()) {
    how_far = "completed " + completed->get<std::string>();
  } else if (const auto collections = finalization.find("collections"); collections != finalization.end()) {
    how_far = fmt::format("{} of {} collections compared", format_count(collections->at("done").get<std::int64_t>()),
                          format_count(collections->at("total").get<std::int64_t>()));
  }
  lines.add("finalize", "started {}, {}", started, how_far);
  for (const auto& index : finalization.at("unsuccessfulIndexes")) {
    lines.add(index.at("type").get<std::string>(), "index {} of {} {}: {}", index.at("indexName").get<std::string>(),
              index.at("namespace").get<std::string>(), index.at("keys").dump(), index.at("reason").get<std::string>());
  }
  if (const auto waived = finalization.find("waivedParked"); waived != finalization.end()) {
    lines.add("waived", "{} documents that the target did not take",
              format_count(waived->at("count").get<std::int64_t>()));
    for (const auto& document : waived->at("documents")) {
      lines.add("", "{} {}: {}", document.at("namespace").get<std::string>(), document.at("_id").dump(),
                document.at("reason").get<std::string>());
    }
  }
  for (const auto& difference : finalization.at("differences"))
    lines.add("difference", "{}", difference.get<std::string>());
}

// ": Replicating Changes"; nothing for a phase that only repeats the state, such as "Paused".
std::string phase_text(std::string_view state, std::string_view phase) {
  if (phase.empty()) return {};
  const bool repeats = phase.size() == state.size() && phase.substr(1) == state.substr(1);
  return repeats ? std::string() : fmt::format(": {}", phase);
}

std::string lines_of(const ordered_json& status) {
  Lines lines;
  const auto state = status.at("state").get<std::string>();
  const auto info = status.value("info", std::string());
  const auto mode = status.value("mode", std::string());
  lines.add("state", "{}{}{}", state, phase_text(state, info), mode.empty() ? "" : fmt::format(" ({} mode)", mode));
  if (const auto error = status.find("error"); error != status.end())
    lines.add("error", "{}", error->get<std::string>());
  add_server(lines, "source", status.at("source"));
  add_server(lines, "target", status.at("target"));
  if (state != "idle" && state != "standby") {
    add_initial_sync(lines, status.at("initialSync"));
    add_changes(lines, status);
  }
  add_parked(lines, status.at("parked"));
  if (const auto found = status.find("finalization"); found != status.end()) add_finalization(lines, *found);
  for (const auto& warning : status.at("warnings")) lines.add("warning", "{}", warning.get<std::string>());
  return lines.take();
}

}  // namespace

Result<std::string> status_text(std::string_view json) {
  try {
    return lines_of(ordered_json::parse(json));
  } catch (const ordered_json::exception&) {
    return fail(ErrorCode::invalid_argument, "what answered is not a plm of this version");
  }
}

std::string progress_bar(double done) {
  constexpr int kWidth = 30;
  const int full = static_cast<int>(std::clamp(done, 0.0, 1.0) * kWidth);
  return fmt::format("[{:#<{}}{:.<{}}]", "", full, "", kWidth - full);
}

std::string format_count(std::int64_t number) {
  std::string out = fmt::format("{}", number);
  for (auto at = static_cast<std::ptrdiff_t>(out.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
    out.insert(out.begin() + at, ',');
  }
  return out;
}

}  // namespace plm
