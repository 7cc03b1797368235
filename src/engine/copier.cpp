#include "engine/copier.h"

#include <algorithm>

#include "base/log.h"

namespace plm {

Result<Step> Copier::step() {
  if (!job_) {
    job_ = parts_.jobs.take(signal());
    if (!job_) return Step::waiting;
    copied_ = {};
    read_time_ = {};
    close();
  }
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  auto done = work_on(*job_);
  if (!done) {
    if (!worth_waiting(done.error())) return fail(std::move(done.error()));
    close();
    backoff_.failed(parts_.clock.steady_now());
    parts_.progress.retrying("copying: " + done.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
  if (*done) {
    close();
    job_.reset();
  }
  return Step::worked;
}

void Copier::close() {
  reader_.reset();
  target_reader_.reset();
  merge_ = {};
}

void Copier::report(const CopyJob& job, RangeEnded::How how) {
  RangeEnded out;
  out.range = job.range;
  out.how = how;
  out.to_clear = job.clear_first;
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
  // Nothing follows MaxKey, and servers refuse it as a bound (51175).
  if (!job.natural_order && job.resume_at && job.resume_at.value().type() == BSON_TYPE_MAXKEY) {
    report(job, RangeEnded::How::copied);
    return true;
  }
  auto copied = job.merge ? merge_batch(job) : copy_batch(job);
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

namespace {

KeyBounds rest_of(const CopyJob& job) {
  KeyBounds out = job.bounds;
  // Inclusive: the last document comes once more and replaces itself.
  if (job.resume_at) out.min = job.resume_at;
  return out;
}

bson::OwnedValue id_at(bson::View documents, std::size_t index) {
  auto element = documents.begin();
  for (std::size_t i = 0; i < index; ++i) ++element;
  return bson::OwnedValue(element->value.as_document()["_id"]);
}

}  // namespace

Status Copier::open_reader(CopyJob& job) {
  const SourceRead read{job.collection->ns.database, job.collection->source_uuid, job.after};
  auto reader = parts_.source.read_range(read, rest_of(job), {job.natural_order, 0, batch_bytes_});
  if (!reader) return fail(std::move(reader.error()));
  reader_ = *std::move(reader);
  return {};
}

// Rare: the Router has them tried again and, at worst, parked.
void Copier::report_rejected(const CopyJob& job, std::vector<bson::OwnedValue> ids) {
  if (!ids.empty()) parts_.router.post(Rejected{job.range, std::move(ids)});
}

Result<DocumentBatch> Copier::read_source() {
  auto batch = reader_->next();
  if (!batch) return batch;
  read_time_ = std::max(read_time_, batch->read_time);
  parts_.progress.source_time.reach(batch->read_time);
  return batch;
}

void Copier::count(const CollectionStats& documents) {
  copied_ += documents;
  parts_.progress.copied_documents += documents.documents;
  parts_.progress.copied_bytes += documents.size_bytes;
}

Result<bool> Copier::copy_batch(CopyJob& job) {
  if (!reader_) {
    if (auto opened = open_reader(job); !opened) return fail(std::move(opened.error()));
  }
  auto batch = read_source();
  if (!batch) return fail(std::move(batch.error()));
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
    std::vector<bson::OwnedValue> rejected;
    for (const OperationFailure& failure : *inserted) rejected.push_back(id_at(batch->documents, failure.index));
    report_rejected(job, std::move(rejected));
    job.resume_at = bson::OwnedValue(batch->last_id);
    count({batch->count, batch->size_bytes});
  }
  if (!batch->exhausted) return false;
  report(job, RangeEnded::How::copied);
  return true;
}

// ---- What merges -----------------------------------------------------------------

namespace {

// Of the target; not_found would mean that the source's collection is gone.
Error on_target(const Error& error, const CopyJob& job) {
  if (error.code != ErrorCode::not_found) return error.within("compare " + job.collection->ns.text());
  return {
      ErrorCode::wrong_state, 0, {}, "somebody else removed " + job.collection->twin.ns.text() + " from the target"};
}

}  // namespace

Status Copier::open_merge(CopyJob& job) {
  if (auto opened = open_reader(job); !opened) return opened;
  auto reader = parts_.target.read_range(job.collection->twin, rest_of(job), batch_bytes_);
  if (!reader) return fail(on_target(reader.error(), job));
  target_reader_ = *std::move(reader);
  return {};
}

Status Copier::read_for_merge(const CopyJob& job) {
  if (merge_.source_needs_batch()) {
    auto batch = read_source();
    if (!batch) return fail(std::move(batch.error()));
    merge_.add_source(*std::move(batch));
  }
  if (merge_.target_needs_batch()) {
    auto batch = target_reader_->next();
    if (!batch) return fail(on_target(batch.error(), job));
    merge_.add_target(*std::move(batch));
  }
  return {};
}

Result<bool> Copier::merge_batch(CopyJob& job) {
  if (!target_reader_) {
    if (auto opened = open_merge(job); !opened) return fail(std::move(opened.error()));
  }
  if (auto read = read_for_merge(job); !read) return fail(std::move(read.error()));
  const RangeMerge::Differences found = merge_.next();
  if (auto inserted = insert_missing(job, found.missing); !inserted) return fail(std::move(inserted.error()));
  if (auto applied = apply_differences(job, found); !applied) return fail(std::move(applied.error()));
  if (found.last_id) job.resume_at = found.last_id;
  count(found.compared);
  if (!merge_.done()) return false;
  report(job, RangeEnded::How::copied);
  return true;
}

// By number, also under a working name: they are to be shut out before the target
// is read again.
Status Copier::insert_missing(const CopyJob& job, const std::vector<bson::View>& missing) {
  if (missing.empty()) return {};
  bson::Builder holder;
  {
    auto documents = holder.array("documents");
    for (const bson::View& document : missing) documents.append(document);
  }
  auto failures = parts_.target.insert(job.collection->twin, holder.view()["documents"].document());
  if (!failures) return fail(on_target(failures.error(), job));
  std::vector<bson::OwnedValue> rejected;
  for (const OperationFailure& failure : *failures) rejected.emplace_back(missing[failure.index]["_id"]);
  report_rejected(job, std::move(rejected));
  return {};
}

Status Copier::apply_differences(const CopyJob& job, const RangeMerge::Differences& found) {
  const Twin* twin = &job.collection->twin;
  std::vector<TargetOperation> operations;
  for (const bson::View& document : found.different) {
    operations.push_back({TargetOperation::Kind::replace, twin, document["_id"], document});
  }
  for (const bson::Value& id : found.surplus) operations.push_back({TargetOperation::Kind::erase, twin, id, {}});
  if (operations.empty()) return {};
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(on_target(failures.error(), job));
  std::vector<bson::OwnedValue> rejected;
  for (const OperationFailure& failure : *failures) rejected.emplace_back(operations[failure.index].id);
  report_rejected(job, std::move(rejected));
  return {};
}

}  // namespace plm
