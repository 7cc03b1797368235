#include "engine/copier.h"

#include <algorithm>

#include "base/log.h"
#include "engine/planner.h"

namespace plm {

bson::Document creation_options(const CollectionSpec& spec) {
  bson::Builder out;
  for (const bson::Element& option : spec.options.view()) {
    if (option.key == "uuid" || option.key == "temp") continue;
    // Refused at 2147483647 here, unlike for indexes (H5); becomes real at finalize.
    if (option.key == "expireAfterSeconds") continue;
    out.append(option.key, option.value);
  }
  return out.take();
}

Result<Step> Copier::step() {
  if (!job_) {
    job_ = parts_.jobs.take();
    if (!job_) return Step::waiting;
    copied_ = {};
    read_time_ = {};
    rejected_.clear();
    reader_.reset();
  }
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  auto done = std::visit([this](auto& job) { return work_on(job); }, *job_);
  if (!done) {
    if (!retryable(done.error())) return fail(std::move(done.error()));
    reader_.reset();
    backoff_.failed(parts_.clock.steady_now());
    parts_.progress.retrying("copying: " + done.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
  if (*done) {
    reader_.reset();
    job_.reset();
  }
  return Step::worked;
}

// ---- Preparing ---------------------------------------------------------------

Result<bool> Copier::work_on(PrepareJob& job) {
  Prepared out;
  out.collection = job.spec.uuid;
  if (job.create_twin) {
    auto twin = create_twin(parts_.target, job.spec);
    if (!twin) return fail(twin.error().within("create " + job.spec.ns.text()));
    job.twin = *twin;
    job.create_twin = false;  // what follows may have to be repeated
  }
  out.twin = job.twin;
  // By name: another collection of this name gives other bounds, and any bounds are right.
  auto stats = parts_.source.stats(job.spec.ns);
  if (!stats && stats.error().code != ErrorCode::not_found) return fail(std::move(stats.error()));
  if (stats) out.estimate = *stats;
  std::vector<bson::OwnedValue> bounds;
  if (const int wanted = bounds_wanted(job.spec, out.estimate, job.range_bytes); wanted > 0) {
    auto sampled = parts_.source.sample_ids(job.spec.ns, wanted);
    if (sampled) {
      bounds = *std::move(sampled);
    } else if (sampled.error().code != ErrorCode::not_found) {
      return fail(std::move(sampled.error()));
    }
  }
  out.ranges = cut(std::move(bounds));
  parts_.router.post(std::move(out));
  return true;
}

Result<Uuid> create_twin(Target& target, const CollectionSpec& spec) {
  const bson::Document options = creation_options(spec);
  auto created = target.create(spec.ns, options.view());
  if (created || created.error().server_code != server_code::namespace_exists) return created;
  // Ours of an attempt whose outcome was unknown, or one that came in the way.
  // Only an empty one may go (H13).
  auto present = target.list_collections(spec.ns.database);
  if (!present) return fail(std::move(present.error()));
  const auto same_name = std::ranges::find(*present, spec.ns, &CollectionSpec::ns);
  if (same_name == present->end()) {
    return fail(ErrorCode::network, spec.ns.text() + " appeared and disappeared on the target");
  }
  auto count = target.count_documents(spec.ns);
  if (!count) return fail(std::move(count.error()));
  if (*count > 0 || same_name->is_view()) {
    return fail(ErrorCode::wrong_state, spec.ns.text() + " exists on the target and is not this job's");
  }
  if (auto dropped = target.drop({spec.ns, same_name->uuid}); !dropped) return fail(std::move(dropped.error()));
  return target.create(spec.ns, options.view());
}

// ---- Copying -----------------------------------------------------------------

void Copier::report(const CopyJob& job, RangeEnded::How how) {
  RangeEnded out;
  out.range = job.range;
  out.how = how;
  out.resume_at = job.resume_at;
  out.copied = copied_;
  out.read_time = read_time_;
  out.rejected = rejected_;
  parts_.router.post(std::move(out));
}

Result<bool> Copier::work_on(CopyJob& job) {
  if (job.stop->load()) {
    report(job, RangeEnded::How::stopped);
    return true;
  }
  if (job.clear_first) {
    if (auto cleared = parts_.target.clear_range(job.collection->twin, job.bounds); !cleared) {
      return fail(cleared.error().within("clear a range of " + job.collection->twin.ns.text()));
    }
    job.clear_first = false;
    return false;
  }
  auto copied = copy_batch(job);
  if (copied) return copied;
  if (copied.error().code == ErrorCode::not_found) {
    report(job, RangeEnded::How::gone);
    return true;
  }
  // Natural order knows no way to go on from a document.
  if (job.natural_order && retryable(copied.error()) && copied_.documents > 0) {
    report(job, RangeEnded::How::broken);
    return true;
  }
  return fail(copied.error().within("copy " + job.collection->twin.ns.text()));
}

Status Copier::open_reader(CopyJob& job) {
  KeyBounds bounds = job.bounds;
  // Inclusive: the last document comes once more and replaces itself.
  if (job.resume_at) bounds.min = job.resume_at;
  const SourceRead read{job.collection->source_database, job.collection->source_uuid, job.after};
  auto reader = parts_.source.read_range(read, bounds, {job.natural_order, 0, batch_bytes_});
  if (!reader) return fail(std::move(reader.error()));
  reader_ = *std::move(reader);
  return {};
}

namespace {

bson::OwnedValue id_at(bson::View documents, std::size_t index) {
  auto element = documents.begin();
  for (std::size_t i = 0; i < index; ++i) ++element;
  return bson::OwnedValue(element->value.as_document()["_id"]);
}

}  // namespace

Result<bool> Copier::copy_batch(CopyJob& job) {
  if (!reader_) {
    if (auto opened = open_reader(job); !opened) return fail(std::move(opened.error()));
  }
  auto batch = reader_->next();
  if (!batch) return fail(std::move(batch.error()));
  read_time_ = std::max(read_time_, batch->read_time);
  parts_.progress.source_time.reach(batch->read_time);
  if (batch->count > 0) {
    auto inserted = parts_.target.insert(job.collection->twin, batch->documents);
    if (!inserted) return fail(std::move(inserted.error()));
    // Rare: the Router has them tried again and, at worst, parked.
    for (const OperationFailure& failure : *inserted) rejected_.push_back(id_at(batch->documents, failure.index));
    job.resume_at = bson::OwnedValue(batch->last_id);
    copied_.documents += batch->count;
    copied_.size_bytes += batch->size_bytes;
    parts_.progress.copied_documents += batch->count;
    parts_.progress.copied_bytes += batch->size_bytes;
  }
  if (!batch->exhausted) return false;
  report(job, RangeEnded::How::copied);
  return true;
}

}  // namespace plm
