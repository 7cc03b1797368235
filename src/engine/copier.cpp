#include "engine/copier.h"

#include <algorithm>

#include "base/log.h"

namespace plm {

Result<Step> Copier::step() {
  if (!job_) {
    job_ = parts_.jobs.take();
    if (!job_) return Step::waiting;
    copied_ = {};
    read_time_ = {};
    reader_.reset();
  }
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  auto done = work_on(*job_);
  if (!done) {
    if (!worth_waiting(done.error())) return fail(std::move(done.error()));
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

void Copier::report(const CopyJob& job, RangeEnded::How how) {
  RangeEnded out;
  out.range = job.range;
  out.how = how;
  out.resume_at = job.resume_at;
  out.copied = copied_;
  out.read_time = read_time_;
  parts_.router.post(std::move(out));
}

Result<bool> Copier::work_on(CopyJob& job) {
  if (job.stop->load()) {
    report(job, RangeEnded::How::stopped);
    return true;
  }
  if (job.clear_first) {
    if (auto cleared = parts_.target.clear_range(job.collection->twin, job.bounds); !cleared) {
      return fail(cleared.error().within("clear a range of " + job.collection->ns.text()));
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
  if (job.natural_order && worth_waiting(copied.error()) && copied_.documents > 0) {
    report(job, RangeEnded::How::broken);
    return true;
  }
  return fail(copied.error().within("copy " + job.collection->ns.text()));
}

Status Copier::open_reader(CopyJob& job) {
  KeyBounds bounds = job.bounds;
  // Inclusive: the last document comes once more and replaces itself.
  if (job.resume_at) bounds.min = job.resume_at;
  const SourceRead read{job.collection->ns.database, job.collection->source_uuid, job.after};
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

// Rare: the Router has them tried again and, at worst, parked.
void Copier::report_rejected(const CopyJob& job, bson::View documents, const std::vector<OperationFailure>& failures) {
  Rejected out{job.range, {}};
  for (const OperationFailure& failure : failures) out.ids.push_back(id_at(documents, failure.index));
  parts_.router.post(std::move(out));
}

Result<bool> Copier::copy_batch(CopyJob& job) {
  if (!reader_) {
    if (auto opened = open_reader(job); !opened) return fail(std::move(opened.error()));
  }
  auto batch = reader_->next();
  if (!batch) return fail(std::move(batch.error()));
  read_time_ = std::max(read_time_, batch->read_time);
  parts_.progress.source_time.reach(batch->read_time);
  if (batch->count > 0) {
    const Twin& twin = job.collection->twin;
    const bool by_name = job.collection->under_working_name;
    auto inserted = parts_.target.insert(twin, batch->documents, by_name ? InsertFence::name : InsertFence::number);
    if (!inserted && by_name && inserted.error().code == ErrorCode::network) {
      parts_.progress.retrying("copying: " + inserted.error().message);
      report(job, RangeEnded::How::unsure);
      return true;
    }
    if (!inserted) return fail(std::move(inserted.error()));
    if (!inserted->empty()) report_rejected(job, batch->documents, *inserted);
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
