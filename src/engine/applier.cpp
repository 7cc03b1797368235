#include "engine/applier.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"

namespace plm {

namespace {

constexpr std::size_t kRereadDocuments = 200;
constexpr std::size_t kFoundBytes = 4'000'000;  // read from several collections before they are written
constexpr int kCacheTries = 6;                  // with the waits between them, some three seconds

// Failures that say nothing about the document: the whole batch is tried again,
// or the job cannot go on.
bool concerns_more_than_the_document(const Error& error) {
  return retryable(error) || error.code == ErrorCode::not_found || error.server_code == server_code::unauthorized ||
         error.server_code == server_code::namespace_not_found ||
         error.server_code == server_code::collection_uuid_mismatch;
}

TargetOperation on_target(const Operation& operation) {
  TargetOperation out;
  out.twin = &operation.collection->twin;
  out.id = operation.id;
  out.body = operation.body;
  if (operation.kind == OperationKind::replace) out.kind = TargetOperation::Kind::replace;
  if (operation.kind == OperationKind::erase) out.kind = TargetOperation::Kind::erase;
  if (operation.kind == OperationKind::update) out.kind = TargetOperation::Kind::diff;
  return out;
}

TargetOperation removal(const Operation& operation) {
  return {TargetOperation::Kind::erase, &operation.collection->twin, operation.id, {}};
}

// A collation decides what equals what: one document at a time.
std::size_t most_rereads(const CollectionRef& collection) { return collection.collated ? 1 : kRereadDocuments; }

// The document that is asked for; a collation's one is the only one.
template <typename Wanted>
const bson::Document* document_of(const Wanted& wanted, const std::vector<bson::Document>& documents) {
  const auto found = std::ranges::find_if(documents, [&](const bson::Document& document) {
    return wanted.operation->collection->collated || bson::compare(document["_id"], wanted.operation->id) == 0;
  });
  return found == documents.end() ? nullptr : &*found;
}

std::size_t bytes_of(const auto& found) {
  std::size_t out = 0;
  for (const auto& entry : found) {
    for (const bson::Document& document : entry.documents) out += document.size_bytes();
  }
  return out;
}

}  // namespace

Result<Step> Applier::step() {
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  if (done_ == taken_.size()) {
    taken_ = queue_.take();
    done_ = 0;
    if (taken_.empty()) return Step::waiting;
  }
  const std::size_t size = std::min(one_by_one_ > 0 ? 1 : batch_size_.most(), taken_.size() - done_);
  const std::span<Operation> batch = std::span(taken_).subspan(done_, size);
  const SteadyTime began = parts_.clock.steady_now();
  Status applied = apply(batch);
  if (!applied && applied.error().server_code == server_code::transaction_too_large_for_cache) {
    applied = too_large_for_cache(batch, applied.error());
  }
  if (!applied) {
    if (!worth_waiting(applied.error())) return fail(std::move(applied.error()));
    backoff_.failed(parts_.clock.steady_now());
    batch_size_.failed();
    parts_.progress.retrying("applying changes: " + applied.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
  cache_refusals_ = 0;
  if (one_by_one_ > 0) --one_by_one_;
  batch_size_.wrote(size, std::chrono::duration_cast<Millis>(parts_.clock.steady_now() - began));
  done_ += size;
  parts_.progress.events_applied += static_cast<std::int64_t>(size);
  queue_.acknowledge(batch.back().sequence);
  if (done_ == taken_.size()) {
    taken_.clear();
    done_ = 0;
  }
  router_->raise();
  return Step::worked;
}

// The cache may be full of others' changes; or the keys of one document alone
// are too large for it. So after some tries each operation is tried alone, and
// what is refused alone as often is parked.
Status Applier::too_large_for_cache(std::span<Operation> batch, const Error& error) {
  if (++cache_refusals_ < kCacheTries) return fail(error);
  cache_refusals_ = 0;
  if (batch.size() == 1) return parts_.parking.park(batch.front(), error);
  one_by_one_ = batch.size();
  backoff_.succeeded();
  return fail(error);
}

Status Applier::apply(std::span<Operation> batch) {
  reread_what_is_parked(batch);
  const CoalescedBatch work = coalesce(batch);
  std::vector<Reread> first;
  std::vector<Reread> again;
  // Where operations of a key are not superseded, older ones are still to come:
  // there the source's present state goes last.
  for (const Operation* operation : work.rereads) {
    (operation->collection->strictly_ordered() ? again : first).push_back({operation, {}});
  }
  if (auto status = reread(std::move(first)); !status) return status;
  if (auto status = write(work, again); !status) return status;
  if (auto status = remove(work.removed); !status) return status;
  if (auto status = apply_capped(work.capped, again); !status) return status;
  return reread(std::move(again));
}

void Applier::reread_what_is_parked(std::span<Operation> batch) {
  if (parts_.parking.empty()) return;
  for (Operation& operation : batch) {
    if (!parts_.parking.holds(operation)) continue;
    if (operation.kind == OperationKind::insert) operation.newest = true;
    operation.kind = OperationKind::reread;
  }
}

// In one call, which waits for the target's majority once.
Status Applier::write(const CoalescedBatch& work, std::vector<Reread>& again) {
  std::vector<const Operation*> all = work.inserts;
  std::ranges::stable_sort(all, {}, [](const Operation* insert) { return insert->collection->source_uuid; });
  all.insert(all.end(), work.ordered.begin(), work.ordered.end());
  if (all.empty()) return {};
  std::vector<TargetOperation> operations;
  operations.reserve(all.size());
  for (const Operation* operation : all) {
    operations.push_back(on_target(*operation));
    if (operations.size() <= work.inserts.size()) operations.back().kind = TargetOperation::Kind::insert;
  }
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(std::move(failures.error()));
  for (OperationFailure& failure : *failures) {
    const Operation& operation = *all[failure.index];
    if (failure.kind == OperationFailure::Kind::rejected && concerns_more_than_the_document(failure.error)) {
      return fail(fatal_or(failure.error, operation));
    }
    again.push_back({&operation, std::move(failure.error)});
  }
  return {};
}

// ---- Capped collections ------------------------------------------------------------

Status Applier::remove(std::span<const Operation* const> removed) {
  std::vector<TargetOperation> operations;
  operations.reserve(removed.size());
  for (const Operation* operation : removed) operations.push_back(removal(*operation));
  if (operations.empty()) return {};
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(std::move(failures.error()));
  if (failures->empty()) return {};
  const OperationFailure& failure = failures->front();
  return fail(fatal_or(failure.error, *removed[failure.index]));
}

// The keys of all insertions are removed already.
Status Applier::apply_capped(std::span<const Operation* const> operations, std::vector<Reread>& again) {
  const auto is_reread = [](const Operation* operation) { return operation->kind == OperationKind::reread; };
  while (!operations.empty()) {
    const bool reread = is_reread(operations.front());
    const auto end = std::ranges::find_if(operations, [&](const Operation* next) { return is_reread(next) != reread; });
    std::size_t done = static_cast<std::size_t>(end - operations.begin());
    if (reread) {
      if (auto status = reread_in_order(operations.first(done)); !status) return status;
    } else {
      auto applied = apply_capped_run(operations.first(done), again);
      if (!applied) return fail(std::move(applied.error()));
      done = *applied;
    }
    operations = operations.subspan(done);
  }
  return {};
}

// How many of the operations are settled: all, or those up to an insertion that
// the target refused. Then what was inserted behind it is removed again, to go
// on behind what the source holds for the refused one.
Result<std::size_t> Applier::apply_capped_run(std::span<const Operation* const> run, std::vector<Reread>& again) {
  std::vector<TargetOperation> operations;
  operations.reserve(run.size());
  for (const Operation* operation : run) operations.push_back(on_target(*operation));
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(std::move(failures.error()));
  std::ranges::sort(*failures, {}, &OperationFailure::index);
  for (OperationFailure& failure : *failures) {
    const Operation& operation = *run[failure.index];
    const bool rejected = failure.kind == OperationFailure::Kind::rejected;
    if (rejected && concerns_more_than_the_document(failure.error)) return fail(fatal_or(failure.error, operation));
    if (!rejected || !operation.moves_to_end()) {
      again.push_back({&operation, std::move(failure.error)});
      continue;
    }
    const std::size_t settled = failure.index + 1;
    std::vector<const Operation*> behind;
    std::ranges::copy_if(run.subspan(settled), std::back_inserter(behind), &Operation::moves_to_end);
    if (auto removed = remove(behind); !removed) return fail(std::move(removed.error()));
    const Reread refused{&operation, std::move(failure.error)};
    std::vector<Found> found;
    if (auto read = read_all_again({&refused, 1}, found); !read) return fail(std::move(read.error()));
    if (auto written = write_as_found(found); !written) return fail(std::move(written.error()));
    return settled;
  }
  return run.size();
}

// Each goes behind the one before it.
Status Applier::reread_in_order(std::span<const Operation* const> rereads) {
  std::vector<Reread> wanted;
  for (const Operation* operation : rereads) wanted.push_back({operation, {}});
  std::span<const Reread> rest = wanted;
  std::size_t most = kRereadDocuments;
  while (!rest.empty()) {
    const CollectionRef& collection = *rest.front().operation->collection;
    const auto others = std::ranges::find_if(
        rest, [&](const Reread& entry) { return entry.operation->collection->source_uuid != collection.source_uuid; });
    const auto same = static_cast<std::size_t>(others - rest.begin());
    const auto asked = rest.first(std::min({same, most, most_rereads(collection)}));
    std::size_t settled = asked.size();
    auto found = read_again(asked);
    if (found) {
      // A full reply need not hold the first that was asked for: then that one alone.
      const auto open = std::ranges::find_if(asked, [&](const Reread& entry) {
        return !found->complete && document_of(entry, found->documents) == nullptr;
      });
      settled = static_cast<std::size_t>(open - asked.begin());
      most = settled == 0 ? 1 : kRereadDocuments;
      const auto answered = asked.first(settled);
      const Found all{{answered.begin(), answered.end()}, std::move(found->documents)};
      if (auto status = write_as_found({&all, 1}); !status) return status;
    } else if (found.error().code != ErrorCode::not_found) {
      return fail(std::move(found.error()));
    }
    rest = rest.subspan(settled);
  }
  return {};
}

// ---- Reading from the source again --------------------------------------------------

Status Applier::reread(std::vector<Reread> rereads) {
  // One document of each key is enough, the last: it stands for the newest time.
  DocumentKeySet seen;
  std::vector<Reread> wanted;
  for (auto entry = rereads.rbegin(); entry != rereads.rend(); ++entry) {
    if (seen.insert(key_of(*entry->operation)).second) wanted.push_back(std::move(*entry));
  }
  std::ranges::stable_sort(wanted, {}, [](const Reread& entry) { return entry.operation->collection->source_uuid; });
  std::vector<Found> found;
  std::size_t found_bytes = 0;
  std::size_t begin = 0;
  while (begin < wanted.size()) {
    const CollectionRef& collection = *wanted[begin].operation->collection;
    const std::size_t most = most_rereads(collection);
    std::size_t end = begin + 1;
    while (end < wanted.size() && end - begin < most &&
           wanted[end].operation->collection->source_uuid == collection.source_uuid) {
      ++end;
    }
    const std::size_t before = found.size();
    if (auto status = read_all_again(std::span(wanted).subspan(begin, end - begin), found); !status) return status;
    begin = end;
    found_bytes += bytes_of(std::span(found).subspan(before));
    if (found_bytes < kFoundBytes) continue;
    if (auto status = write_as_found(found); !status) return status;
    found.clear();
    found_bytes = 0;
  }
  return write_as_found(found);
}

// Of one collection. Errors: not_found when it is gone ahead of the stream.
Result<ReadDocuments> Applier::read_again(std::span<const Reread> rereads) {
  const CollectionRef& collection = *rereads.front().operation->collection;
  // All events that are still applied lie before the end, once there is one.
  SourceRead read{collection.ns.database, collection.source_uuid, {}, parts_.progress.end.get()};
  std::vector<bson::OwnedValue> ids;
  for (const Reread& entry : rereads) {
    read.after = std::max(read.after, entry.operation->time);
    ids.emplace_back(entry.operation->id);
  }
  auto found = parts_.source.read_documents(read, ids);
  if (!found) return fail(found.error().within("read again from " + collection.ns.text()));
  // Until the stream has passed this time the target is ahead of it.
  parts_.progress.read_ahead.reach(found->read_time);
  parts_.progress.source_time.reach(found->read_time);
  return found;
}

Status Applier::read_all_again(std::span<const Reread> rereads, std::vector<Found>& found) {
  std::vector<Reread> left(rereads.begin(), rereads.end());
  while (!left.empty()) {
    auto read = read_again(left);
    if (!read) {
      // Gone ahead of the stream: its drop will come.
      if (read.error().code == ErrorCode::not_found) return {};
      return fail(std::move(read.error()));
    }
    // Those that were not found do not exist, unless the reply was full.
    Found answered;
    std::vector<Reread> unanswered;
    for (Reread& entry : left) {
      const bool there = document_of(entry, read->documents) != nullptr;
      (there || read->complete ? answered.rereads : unanswered).push_back(std::move(entry));
    }
    answered.documents = std::move(read->documents);
    found.push_back(std::move(answered));
    left = std::move(unanswered);
  }
  return {};
}

Status Applier::write_as_found(std::span<const Found> found) {
  std::vector<TargetOperation> operations;
  std::vector<const Operation*> origins;
  for (const auto& [rereads, documents] : found) {
    for (const Reread& entry : rereads) {
      const Twin& twin = entry.operation->collection->twin;
      const bson::Document* document = document_of(entry, documents);
      if (document == nullptr) {
        operations.push_back({TargetOperation::Kind::erase, &twin, entry.operation->id, {}});
      } else {
        operations.push_back({TargetOperation::Kind::upsert, &twin, (*document)["_id"], document->view()});
      }
      origins.push_back(entry.operation);
    }
  }
  if (operations.empty()) return {};
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(std::move(failures.error()));
  std::vector<bool> failed(operations.size());
  for (const OperationFailure& failure : *failures) {
    failed[failure.index] = true;
    const Operation& operation = *origins[failure.index];
    if (concerns_more_than_the_document(failure.error)) return fail(fatal_or(failure.error, operation));
    if (auto parked = parts_.parking.park(operation, failure.error); !parked) return parked;
  }
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (failed[i]) continue;
    if (auto released = parts_.parking.release(*origins[i]); !released) return released;
  }
  return {};
}

Error Applier::fatal_or(const Error& error, const Operation& operation) const {
  if (retryable(error)) return error;
  const std::string ns = operation.collection->ns.text();
  if (error.code == ErrorCode::not_found || error.server_code == server_code::namespace_not_found ||
      error.server_code == server_code::collection_uuid_mismatch) {
    return error.within("somebody else removed or replaced " + ns + " on the target");
  }
  return error.within("writing to " + ns);
}

}  // namespace plm
