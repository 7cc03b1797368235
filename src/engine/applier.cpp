#include "engine/applier.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"

namespace plm {

namespace {

// An insert command holds at most 16 MB; smaller ones are as fast.
constexpr std::size_t kInsertBytes = 8'000'000;
constexpr std::size_t kInsertDocuments = 50'000;
constexpr std::size_t kRereadDocuments = 200;

// Failures that say nothing about the document: the whole batch is tried again,
// or the job cannot go on.
bool concerns_more_than_the_document(const Error& error) {
  return retryable(error) || error.code == ErrorCode::not_found || error.server_code == server_code::unauthorized ||
         error.server_code == server_code::namespace_not_found ||
         error.server_code == server_code::collection_uuid_mismatch;
}

}  // namespace

void Applier::add_parked(const ParkedDocument& parked) {
  bson::OwnedValue id = parked.id;
  const DocumentKey key{parked.collection, id.value(), bson::hash(id.value())};
  parked_.emplace(key, Parked{std::move(id)});
}

Result<Step> Applier::step() {
  if (!backoff_.ready(parts_.clock.steady_now())) return Step::waiting;
  if (done_ == taken_.size()) {
    taken_ = queue_.take();
    done_ = 0;
    if (taken_.empty()) return Step::waiting;
  }
  const std::size_t size = std::min(batch_operations_, taken_.size() - done_);
  const std::span<Operation> batch = std::span(taken_).subspan(done_, size);
  if (auto applied = apply(batch); !applied) {
    if (!retryable(applied.error())) return fail(std::move(applied.error()));
    backoff_.failed(parts_.clock.steady_now());
    parts_.progress.retrying("applying changes: " + applied.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
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

Status Applier::apply(std::span<Operation> batch) {
  reread_what_is_parked(batch);
  CoalescedBatch work = coalesce(batch);
  std::vector<Reread> first;
  std::vector<Reread> again;
  // Where operations of a key are not superseded, older ones are still to come:
  // there the source's present state goes last.
  for (const Operation* operation : work.rereads) {
    (operation->collection->strictly_ordered ? again : first).push_back({operation, {}});
  }
  if (auto status = reread(std::move(first)); !status) return status;
  if (auto status = insert(std::move(work.inserts), again); !status) return status;
  if (auto status = apply_in_order(work.ordered, again); !status) return status;
  return reread(std::move(again));
}

void Applier::reread_what_is_parked(std::span<Operation> batch) {
  if (parked_.empty()) return;
  for (Operation& operation : batch) {
    if (parked_.contains(key_of(operation))) operation.kind = OperationKind::reread;
  }
}

// ---- Inserts -------------------------------------------------------------------

Status Applier::insert(std::vector<const Operation*> inserts, std::vector<Reread>& again) {
  // One command for a collection; the order between documents does not matter.
  const auto collection_of = [](const Operation* operation) -> const Uuid& {
    return operation->collection->source_uuid;
  };
  std::ranges::stable_sort(inserts, {}, collection_of);
  std::size_t begin = 0;
  while (begin < inserts.size()) {
    std::size_t end = begin;
    std::size_t bytes = 0;
    while (end < inserts.size() && end - begin < kInsertDocuments &&
           collection_of(inserts[end]) == collection_of(inserts[begin]) &&
           (end == begin || bytes + inserts[end]->body.size() <= kInsertBytes)) {
      bytes += inserts[end++]->body.size();
    }
    const Twin& twin = inserts[begin]->collection->twin;
    if (auto status = insert_into(twin, std::span(inserts).subspan(begin, end - begin), again); !status) return status;
    begin = end;
  }
  return {};
}

Status Applier::insert_into(const Twin& twin, std::span<const Operation* const> inserts, std::vector<Reread>& again) {
  std::size_t bytes = 64;
  for (const Operation* operation : inserts) bytes += operation->body.size() + 8;
  bson::Builder holder(bytes);
  {
    auto documents = holder.array("documents");
    for (const Operation* operation : inserts) documents.append(operation->body);
  }
  auto failures = parts_.target.insert(twin, holder.view()["documents"].document());
  if (!failures) {
    const Error& error = failures.error();
    return fail(retryable(error) ? error.within("insert into " + twin.ns.text()) : fatal_or(error, *inserts.front()));
  }
  for (OperationFailure& failure : *failures) {
    const Operation& operation = *inserts[failure.index];
    if (concerns_more_than_the_document(failure.error)) return fail(fatal_or(failure.error, operation));
    again.push_back({&operation, std::move(failure.error)});
  }
  return {};
}

// ---- The rest, in order -----------------------------------------------------------

Status Applier::apply_in_order(const std::vector<const Operation*>& ordered, std::vector<Reread>& again) {
  std::vector<TargetOperation> operations;
  std::vector<const Operation*> origins;
  operations.reserve(ordered.size());
  origins.reserve(ordered.size());
  for (const Operation* operation : ordered) {
    TargetOperation out;
    out.twin = &operation->collection->twin;
    out.id = operation->id;
    out.body = operation->body;
    if (operation->kind == OperationKind::erase) out.kind = TargetOperation::Kind::erase;
    if (operation->kind == OperationKind::update) out.kind = TargetOperation::Kind::diff;
    operations.push_back(out);
    origins.push_back(operation);
  }
  if (operations.empty()) return {};
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(std::move(failures.error()));
  for (OperationFailure& failure : *failures) {
    const Operation& operation = *origins[failure.index];
    if (failure.kind == OperationFailure::Kind::rejected && concerns_more_than_the_document(failure.error)) {
      return fail(fatal_or(failure.error, operation));
    }
    again.push_back({&operation, std::move(failure.error)});
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
  std::size_t begin = 0;
  while (begin < wanted.size()) {
    const CollectionRef& collection = *wanted[begin].operation->collection;
    // A collation decides what equals what: one document at a time.
    const std::size_t most = collection.strictly_ordered ? 1 : kRereadDocuments;
    std::size_t end = begin + 1;
    while (end < wanted.size() && end - begin < most &&
           wanted[end].operation->collection->source_uuid == collection.source_uuid) {
      ++end;
    }
    if (auto status = reread_from(std::span(wanted).subspan(begin, end - begin)); !status) return status;
    begin = end;
  }
  return {};
}

Status Applier::reread_from(std::span<const Reread> rereads) {
  const CollectionRef& collection = *rereads.front().operation->collection;
  SourceRead read{collection.source_database, collection.source_uuid, {}};
  std::vector<bson::OwnedValue> ids;
  for (const Reread& entry : rereads) {
    read.after = std::max(read.after, entry.operation->time);
    ids.emplace_back(entry.operation->id);
  }
  auto found = parts_.source.read_documents(read, ids);
  if (!found) {
    // Gone ahead of the stream: its drop will come.
    if (found.error().code == ErrorCode::not_found) return {};
    return fail(found.error().within("read again from " + collection.twin.ns.text()));
  }
  // Until the stream has passed this time the target is ahead of it (M1, M9).
  parts_.progress.read_ahead.reach(found->read_time);
  parts_.progress.source_time.reach(found->read_time);

  std::vector<TargetOperation> operations;
  for (const Reread& entry : rereads) {
    TargetOperation out{TargetOperation::Kind::erase, &collection.twin, entry.operation->id, {}};
    const auto same = std::ranges::find_if(found->documents, [&](const bson::Document& document) {
      return collection.strictly_ordered || bson::compare(document["_id"], entry.operation->id) == 0;
    });
    if (same != found->documents.end()) {
      out.kind = TargetOperation::Kind::upsert;
      out.id = (*same)["_id"];
      out.body = same->view();
    }
    operations.push_back(out);
  }
  auto failures = parts_.target.apply(operations);
  if (!failures) return fail(std::move(failures.error()));
  std::vector<bool> failed(rereads.size());
  for (const OperationFailure& failure : *failures) {
    failed[failure.index] = true;
    if (auto status = settle(rereads[failure.index], failure.error); !status) return status;
  }
  for (std::size_t i = 0; i < rereads.size(); ++i) {
    if (failed[i]) continue;
    if (auto status = release_if_parked(*rereads[i].operation); !status) return status;
  }
  return {};
}

Status Applier::settle(const Reread& reread, const Error& rejected) {
  const Operation& operation = *reread.operation;
  if (concerns_more_than_the_document(rejected)) return fail(fatal_or(rejected, operation));
  if (parked_.contains(key_of(operation))) return {};
  const ParkedDocument entry{operation.collection->source_uuid, operation.collection->twin.ns,
                             bson::OwnedValue(operation.id), rejected.message};
  const StoreChange change = park(entry);
  if (auto saved = parts_.store.save({&change, 1}); !saved)
    return fail(saved.error().within("saving a parked document"));
  log::warn("a document cannot be written to the target; it is parked",
            {{"namespace", entry.ns.text()}, {"code", rejected.server_code}, {"reason", rejected.message}});
  add_parked(entry);
  parts_.progress.park(entry.text());
  return {};
}

Status Applier::release_if_parked(const Operation& operation) {
  const auto entry = parked_.find(key_of(operation));
  if (entry == parked_.end()) return {};
  const Uuid& collection = operation.collection->source_uuid;
  const Namespace& ns = operation.collection->twin.ns;
  const StoreChange change = unpark(collection, entry->second.id.value());
  if (auto saved = parts_.store.save({&change, 1}); !saved)
    return fail(saved.error().within("releasing a parked document"));
  log::info("a parked document was written", {{"namespace", ns.text()}});
  parts_.progress.unpark(ParkedDocument{collection, ns, entry->second.id, {}}.name());
  parked_.erase(entry);
  return {};
}

Error Applier::fatal_or(const Error& error, const Operation& operation) const {
  if (retryable(error)) return error;
  const std::string ns = operation.collection->twin.ns.text();
  if (error.code == ErrorCode::not_found || error.server_code == server_code::namespace_not_found ||
      error.server_code == server_code::collection_uuid_mismatch) {
    return error.within("somebody else removed or replaced " + ns + " on the target");
  }
  return error.within("writing to " + ns);
}

}  // namespace plm
