#include "engine/preparer.h"

#include <utility>

#include "engine/planner.h"
#include "engine/target_schema.h"
#include "engine/working_name.h"

namespace plm {

Result<Step> Preparer::step() {
  if (!job_) {
    job_ = parts_.jobs.take(signal());
    if (!job_) return Step::waiting;
  }
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  auto prepared = prepare(*job_);
  if (!prepared) {
    if (!worth_waiting(prepared.error())) return fail(std::move(prepared.error()));
    backoff_.failed(parts_.clock.steady_now());
    parts_.progress.retrying("preparing a copy: " + prepared.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
  job_.reset();
  parts_.router.post(*std::move(prepared));
  return Step::worked;
}

Result<Prepared> Preparer::prepare(PrepareJob& job) {
  Prepared out;
  out.collection = job.spec.uuid;
  // Not between attempts to create the twin: the Router has to learn whether it exists.
  if (job.stop->load() && (!job.create_twin || backoff_.failures() == 0)) {
    out.stopped = true;
    out.twin = job.twin;
    return out;
  }
  // By name: another collection of this name, or a view, has other statistics and
  // gives other bounds, and any are right. So are none.
  auto stats = parts_.source.stats(job.spec.ns);
  if (!stats && worth_waiting(stats.error())) return fail(std::move(stats.error()));
  if (stats) out.estimate = *stats;
  const bool small = weight_of(out.estimate) <= job.small_weight;
  if (job.create_twin) {
    // Another attempt may have created it: no second one under another name.
    if (!job.name) job.name = small || !may_have_working_name(job.spec) ? job.spec.ns : first_working_name(job.spec);
    auto twin = create_twin(parts_.target, job.spec, *job.name);
    if (!twin) return fail(twin.error().within("create " + job.spec.ns.text()));
    job.twin = *std::move(twin);
    job.create_twin = false;  // what follows may have to be repeated
  }
  out.twin = job.twin;
  if (stats && small && !job.indexes.empty()) {
    auto made = make_indexes(job);
    if (!made) return fail(std::move(made.error()));
    out.indexes = *std::move(made);
  }
  auto ranges = find_ranges(job, out.estimate);
  if (!ranges) return fail(std::move(ranges.error()));
  out.ranges = *std::move(ranges);
  return out;
}

Result<std::vector<KeyBounds>> Preparer::find_ranges(const PrepareJob& job, const CollectionStats& stats) {
  std::vector<bson::OwnedValue> bounds;
  if (const int wanted = bounds_wanted(job.spec, stats, job.range_bytes); wanted > 0) {
    auto sampled = parts_.source.sample_ids(job.spec.ns, wanted);
    if (!sampled && worth_waiting(sampled.error())) return fail(std::move(sampled.error()));
    if (sampled) bounds = *std::move(sampled);
  }
  return cut(std::move(bounds));
}

Result<std::vector<IndexResult>> Preparer::make_indexes(const PrepareJob& job) {
  std::vector<IndexResult> made =
      parts_.target.create_indexes(job.twin, job.indexes, [&job] { return job.stop->load(); });
  for (const IndexResult& index : made) {
    if (!index.status && worth_waiting(index.status.error())) {
      return fail(index.status.error().within("index " + index.name + " of " + job.spec.ns.text()));
    }
  }
  return made;
}

}  // namespace plm
