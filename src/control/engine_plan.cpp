#include "control/engine_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace plm {

namespace {

constexpr int kMostWriters = 8;
// For a copier and an applier: each may hold replies and commands of the largest size, 16 MB, and the rest is for what
// is read ahead and kept.
constexpr std::size_t kMemoryOfWriters = 128U << 20U;

std::string listed(const std::vector<std::string>& namespaces, std::string_view none) {
  return namespaces.empty() ? std::string(none) : fmt::format("{}", fmt::join(namespaces, ","));
}

}  // namespace

PipelineSettings plan_engine(const JobOptions& options, const Filter& filter, ApplyMode mode, std::size_t memory_bytes,
                             int target_processors) {
  PipelineSettings out;
  out.filter = filter;
  out.mode = mode;
  out.memory_bytes = memory_bytes;
  const Tuning& tuning = options.tuning;
  // Measured: more writers than the target has processors cost it a seventh more for the same work, copiers as well
  // as appliers, at twice as many.
  const int fitting = static_cast<int>(std::clamp<std::size_t>(memory_bytes / kMemoryOfWriters, 1, kMostWriters));
  const int writers = std::min(std::clamp(target_processors, 2, kMostWriters), fitting);
  const int copiers = std::max(tuning.clone_read_workers, tuning.clone_insert_workers);
  out.copiers = static_cast<std::size_t>(copiers > 0 ? copiers : writers);
  out.parallel_collections = static_cast<std::size_t>(tuning.clone_parallel_collections);
  if (tuning.clone_segment_bytes > 0) out.range_bytes = tuning.clone_segment_bytes;
  out.batch_bytes = tuning.clone_read_batch_bytes;
  out.appliers = static_cast<std::size_t>(tuning.apply_workers > 0 ? tuning.apply_workers : writers);
  if (tuning.apply_batch_operations > 0)
    out.apply_batch_operations = static_cast<std::size_t>(tuning.apply_batch_operations);
  return out;
}

void tell_plan(const SavedJob& job, const PipelineSettings& plan, const JobOptions& options) {
  const auto& collections = job.catalog.collections();
  const auto copied = std::ranges::count_if(collections, [](const auto& entry) { return entry.second.data_copied(); });
  log::info("replication begins", {{"collections", collections.size()},
                                   {"copied", copied},
                                   {"views", job.catalog.views().size()},
                                   {"position", job.position.position.time.text()},
                                   {"include", listed(options.include_namespaces, "all")},
                                   {"exclude", listed(options.exclude_namespaces, "none")},
                                   {"mode", plan.mode == ApplyMode::exact ? "exact" : "portable"},
                                   {"copiers", plan.copiers},
                                   {"appliers", plan.appliers},
                                   {"rangeBytes", plan.range_bytes},
                                   {"memoryBytes", plan.memory_bytes}});
}

}  // namespace plm
