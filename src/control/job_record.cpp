#include "control/job_record.h"

#include <algorithm>

#include "engine/saved_job.h"

namespace plm {

namespace {

constexpr std::string_view kJobId = "job";

void append_strings(bson::Builder& out, std::string_view key, const std::vector<std::string>& strings) {
  auto array = out.array(key);
  for (const std::string& text : strings) array.append(text);
}

std::vector<std::string> strings_from(const bson::Value& value) {
  std::vector<std::string> out;
  for (const bson::Element& element : value.as_document()) out.emplace_back(element.value.as_string());
  return out;
}

// A BSON date reaches further than a WallTime (292 million years against 292): what does not fit was not written by
// plm and counts like any other value that is no time.
WallTime wall_time_from(const bson::Value& value) {
  constexpr auto kEarliest = std::chrono::duration_cast<Millis>(WallTime::min().time_since_epoch());
  constexpr auto kLatest = std::chrono::duration_cast<Millis>(WallTime::max().time_since_epoch());
  if (value.type() != BSON_TYPE_DATE_TIME) return {};
  const Millis time(value.int64());
  return time >= kEarliest && time <= kLatest ? WallTime(time) : WallTime();
}

void append_options(bson::Builder& out, const JobOptions& options) {
  auto scope = out.document("options");
  append_strings(*scope, "includeNamespaces", options.include_namespaces);
  append_strings(*scope, "excludeNamespaces", options.exclude_namespaces);
  scope->append("replaceTarget", options.replace_target).append("pauseOnInitialSync", options.pause_on_initial_sync);
  const Tuning& tuning = options.tuning;
  scope->append("cloneNumParallelCollections", tuning.clone_parallel_collections)
      .append("cloneNumReadWorkers", tuning.clone_read_workers)
      .append("cloneNumInsertWorkers", tuning.clone_insert_workers)
      .append("cloneSegmentSize", tuning.clone_segment_bytes)
      .append("cloneReadBatchSize", tuning.clone_read_batch_bytes)
      .append("replNumWorkers", tuning.apply_workers)
      .append("replBulkOpsSize", tuning.apply_batch_operations);
}

JobOptions options_from(bson::View view) {
  JobOptions out;
  out.include_namespaces = strings_from(view["includeNamespaces"]);
  out.exclude_namespaces = strings_from(view["excludeNamespaces"]);
  out.replace_target = view["replaceTarget"].as_bool();
  out.pause_on_initial_sync = view["pauseOnInitialSync"].as_bool();
  const auto number = [&](std::string_view key) { return static_cast<int>(view[key].as_int64()); };
  out.tuning = {number("cloneNumParallelCollections"),
                number("cloneNumReadWorkers"),
                number("cloneNumInsertWorkers"),
                view["cloneSegmentSize"].as_int64(),
                view["cloneReadBatchSize"].as_int64(),
                number("replNumWorkers"),
                number("replBulkOpsSize")};
  return out;
}

void append_finalization(bson::Builder& out, const StatusReport::Finalization& finalization) {
  auto scope = out.document("finalization");
  scope->append("completed", finalization.completed).append_date("startedAt", finalization.started_at);
  if (finalization.completed_at) scope->append_date("completedAt", *finalization.completed_at);
  append_strings(*scope, "differences", finalization.differences);
  scope->append("waiveParked", finalization.waive_parked).append("waivedCount", finalization.waived_count);
  {
    auto waived = scope->array("waived");
    for (const WaivedDocument& document : finalization.waived) {
      auto entry = waived.document();
      entry->append("ns", document.ns).append("id", document.id.value()).append("reason", document.reason);
    }
  }
  auto indexes = scope->array("unsuccessfulIndexes");
  for (const UnsuccessfulIndex& index : finalization.unsuccessful_indexes) {
    auto entry = indexes.document();
    entry->append("ns", index.ns).append("name", index.name).append("keys", index.keys).append("reason", index.reason);
    entry->append("incomplete", index.kind == UnsuccessfulIndex::Kind::incomplete);
  }
}

StatusReport::Finalization finalization_from(bson::View view) {
  StatusReport::Finalization out;
  out.completed = view["completed"].as_bool();
  out.started_at = wall_time_from(view["startedAt"]);
  if (view["completedAt"]) out.completed_at = wall_time_from(view["completedAt"]);
  out.differences = strings_from(view["differences"]);
  out.waive_parked = view["waiveParked"].as_bool();
  out.waived_count = view["waivedCount"].as_int64();
  for (const bson::Element& element : view["waived"].as_document()) {
    const bson::View entry = element.value.as_document();
    out.waived.push_back({std::string(entry["ns"].as_string()), bson::OwnedValue(entry["id"]),
                          std::string(entry["reason"].as_string())});
  }
  for (const bson::Element& element : view["unsuccessfulIndexes"].as_document()) {
    const bson::View entry = element.value.as_document();
    out.unsuccessful_indexes.push_back(
        {std::string(entry["ns"].as_string()), std::string(entry["name"].as_string()),
         entry["incomplete"].as_bool() ? UnsuccessfulIndex::Kind::incomplete : UnsuccessfulIndex::Kind::failed,
         bson::Document(entry["keys"].as_document()), std::string(entry["reason"].as_string())});
  }
  return out;
}

}  // namespace

bson::Document to_document(const JobRecord& record) {
  bson::Builder out;
  out.append("_id", kJobId).append("v", kFormatVersion).append("state", name_of(record.state));
  append_options(out, record.options);
  {
    auto source = out.document("source");
    source->append("name", record.source.name).append("id", record.source.id);
  }
  out.append("error", record.error)
      .append("failedFinalizing", record.failed_finalizing)
      .append("recopy", name_of(record.recopy))
      .append("converting", record.converting);
  if (record.finalization) append_finalization(out, *record.finalization);
  append_strings(out, "warnings", record.warnings);
  return out.take();
}

Result<JobRecord> job_record_from(bson::View document) {
  const std::int64_t version = document["v"].as_int64();
  if (version > kFormatVersion) {
    return fail(ErrorCode::stored_format,
                "saved state: the job was written by a newer plm (format " + std::to_string(version) + ")");
  }
  const auto state = job_state_named(document["state"].as_string());
  if (version < 1 || !state) return fail(ErrorCode::stored_format, "saved state: no job in " + document.json(200));
  JobRecord out;
  out.state = *state;
  out.options = options_from(document["options"].as_document());
  const bson::View source = document["source"].as_document();
  out.source = {std::string(source["name"].as_string()), std::string(source["id"].as_string())};
  out.error = document["error"].as_string();
  out.failed_finalizing = document["failedFinalizing"].as_bool();
  // None in what was saved before there was such a thing.
  out.recopy = recopy_named(document["recopy"].as_string()).value_or(Recopy::none);
  out.converting = document["converting"].as_bool();
  if (const bson::Value finalization = document["finalization"])
    out.finalization = finalization_from(finalization.as_document());
  out.warnings = strings_from(document["warnings"]);
  return out;
}

Result<JobRecord> load_record(StateStore& store) {
  auto documents = store.load("state");
  if (!documents) return fail(std::move(documents.error()));
  const auto job = std::ranges::find_if(
      *documents, [](const bson::Document& document) { return document["_id"].as_string() == kJobId; });
  if (job == documents->end()) return JobRecord();
  return job_record_from(job->view());
}

bool depends_on_oplog(const JobRecord& record) {
  return record.state != JobState::idle && record.state != JobState::finalized && !record.converting &&
         record.recopy == Recopy::none;
}

StoreChange change_of(const JobRecord& record) {
  bson::Builder id;
  id.append("v", kJobId);
  return {"state", bson::OwnedValue(id.view()["v"]), to_document(record)};
}

}  // namespace plm
