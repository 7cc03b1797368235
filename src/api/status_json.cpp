#include "api/status_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace plm {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Names of collections may hold bytes that are not UTF-8: they are replaced.
std::string text_of(const ordered_json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// 2025-11-24T16:00:00Z
std::string iso_date(std::time_t seconds) {
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}
std::string iso_date(WallTime time) { return iso_date(std::chrono::system_clock::to_time_t(time)); }

// Index keys keep their order and their BSON types, as extended JSON.
ordered_json keys_json(const bson::Document& keys) {
  constexpr std::size_t kNoLimit = 1 << 20;
  ordered_json parsed = ordered_json::parse(keys.view().json(kNoLimit), nullptr, false);
  return parsed.is_discarded() ? ordered_json::object() : parsed;
}

// As extended JSON.
ordered_json value_json(const bson::OwnedValue& value) {
  ordered_json parsed = ordered_json::parse(bson::to_json(value.value()), nullptr, false);
  return parsed.is_discarded() ? ordered_json(bson::to_json(value.value())) : parsed;
}

std::string_view type_name(UnsuccessfulIndex::Kind kind) {
  switch (kind) {
    case UnsuccessfulIndex::Kind::failed:
      return "failed";
    case UnsuccessfulIndex::Kind::incomplete:
      return "incomplete";
  }
  return {};
}

std::string_view mode_name(ApplyMode mode) {
  switch (mode) {
    case ApplyMode::exact:
      return "exact";
    case ApplyMode::portable:
      return "portable";
  }
  return {};
}

ordered_json op_time_json(const ClusterTime& time) {
  return {{"ts", time.text()}, {"isoDate", iso_date(static_cast<std::time_t>(time.seconds))}};
}

ordered_json initial_sync_json(const StatusReport::InitialSync& sync) {
  ordered_json out;
  out["completed"] = sync.completed;
  out["cloneCompleted"] = sync.clone_completed;
  out["lagTimeSeconds"] = sync.lag_seconds;
  out["estimatedCloneSizeBytes"] = sync.estimated_bytes;
  out["clonedSizeBytes"] = sync.cloned_bytes;
  out["etaSeconds"] = sync.eta_seconds;
  out["collections"] = {
      {"total", sync.collections_total}, {"copied", sync.collections_copied}, {"copying", sync.collections_copying}};
  out["indexes"] = {{"total", sync.indexes_total}, {"built", sync.indexes_built}, {"building", sync.indexes_building}};
  return out;
}

ordered_json finalization_json(const StatusReport::Finalization& finalization) {
  ordered_json out;
  out["completed"] = finalization.completed;
  out["startedAt"] = iso_date(finalization.started_at);
  if (finalization.collections_total > 0) {
    out["collections"] = {{"total", finalization.collections_total}, {"done", finalization.collections_done}};
  }
  if (finalization.completed_at) out["completedAt"] = iso_date(*finalization.completed_at);
  out["unsuccessfulIndexes"] = ordered_json::array();
  for (const UnsuccessfulIndex& index : finalization.unsuccessful_indexes) {
    out["unsuccessfulIndexes"].push_back({{"namespace", index.ns},
                                          {"indexName", index.name},
                                          {"type", type_name(index.kind)},
                                          {"keys", keys_json(index.keys)},
                                          {"reason", index.reason}});
  }
  out["differences"] = finalization.differences;
  if (finalization.waived_count == 0) return out;
  out["waivedParked"] = {{"count", finalization.waived_count}, {"documents", ordered_json::array()}};
  for (const WaivedDocument& document : finalization.waived) {
    out["waivedParked"]["documents"].push_back(
        {{"namespace", document.ns}, {"_id", value_json(document.id)}, {"reason", document.reason}});
  }
  return out;
}

ordered_json server_json(const ServerReport& server) {
  const std::string state = server.reachable ? "ok" : "unreachable since " + iso_date(server.unreachable_since);
  return {{"uri", server.uri}, {"version", server.version}, {"state", state}};
}

ordered_json oplog_json(const OplogUse& oplog) {
  ordered_json out;
  out["usedFraction"] = std::round(oplog.used_fraction * 1000) / 1000;
  if (oplog.seconds_left) out["secondsLeft"] = *oplog.seconds_left;
  out["level"] = name_of(oplog.level);
  return out;
}

}  // namespace

std::string status_json(const StatusReport& report) {
  ordered_json out;
  out["ok"] = true;
  if (!report.error.empty()) out["error"] = report.error;
  out["state"] = report.state_name();
  if (!report.info.empty()) out["info"] = report.info;
  if (!report.standby_for.empty()) out["standbyFor"] = report.standby_for;
  out["lagTimeSeconds"] = report.lag_seconds;
  out["eventsRead"] = report.events_read;
  out["eventsApplied"] = report.events_applied;
  out["lastReplicatedOpTime"] = op_time_json(report.last_replicated);
  if (report.oplog) out["oplogWindow"] = oplog_json(*report.oplog);
  out["initialSync"] = initial_sync_json(report.initial_sync);
  if (report.finalization) out["finalization"] = finalization_json(*report.finalization);
  out["warnings"] = report.warnings;
  out["parked"] = {{"count", report.parked.count}, {"sample", report.parked.sample}};
  out["source"] = server_json(report.source);
  out["target"] = server_json(report.target);
  if (report.mode) out["mode"] = mode_name(*report.mode);
  return text_of(out);
}

std::string health_json(std::string_view state, const std::vector<HealthProblem>& problems) {
  ordered_json out;
  out["ok"] = problems.empty();
  out["state"] = state;
  if (!problems.empty()) {
    std::vector<std::string> reasons;
    for (const HealthProblem& problem : problems) reasons.push_back(problem.reason);
    out["error"] = fmt::format("{}", fmt::join(reasons, "; "));
    out["code"] = problems.front().code;
  }
  return text_of(out);
}

std::string success_json() { return R"({"ok":true})"; }

std::string refusal_json(std::string_view message, std::string_view code) {
  return text_of({{"ok", false}, {"error", message}, {"code", code}});
}

}  // namespace plm
