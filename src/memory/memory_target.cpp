#include "memory/memory_target.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "memory/memory_reader.h"
#include "memory/memory_source.h"
#include "memory/snapshot.h"
#include "memory/update_description.h"

namespace plm {

namespace {

// Other than the source's, so that the batches of both end at different places.
constexpr std::int64_t kDocumentsPerBatch = 5;

OperationFailure rejected(std::size_t index, Error error) {
  return {index, OperationFailure::Kind::rejected, std::move(error)};
}

}  // namespace

Result<MemoryCollection*> MemoryTarget::find(const Twin& twin) {
  MemoryCollection* collection = deployment_.find(twin.ns);
  if (collection == nullptr && twin.uuid.is_nil()) {
    return fail(server_error(server_code::namespace_not_found, "ns does not exist: " + twin.ns.text()));
  }
  if (collection == nullptr || (!twin.uuid.is_nil() && collection->uuid != twin.uuid)) {
    return fail(server_error(server_code::collection_uuid_mismatch,
                             "Collection UUID does not match that specified: " + twin.ns.text()));
  }
  return collection;
}

Status MemoryTarget::note_strict_parts(Status changed) {
  for (std::string& part : strict_parts(deployment_)) strict_parts_seen_.insert(std::move(part));
  return changed;
}

Status MemoryTarget::take_over(Epoch epoch) {
  return faults_.call([&]() -> Status {
    epoch_ = epoch;
    if (late_ == nullptr) return {};
    if (late_->refuses(epoch)) return check_epoch();
    late_->take_over(epoch);
    return {};
  });
}

Status MemoryTarget::check_epoch() const {
  if (late_ == nullptr || !late_->refuses(epoch_)) return {};
  return fail(ErrorCode::superseded, "another process has taken over the target");
}

template <typename Now, typename Later>
auto MemoryTarget::write(Now&& now, Later&& later) -> decltype(now()) {
  if (late_ != nullptr) late_->shut_out(epoch_);
  if (late_ != nullptr && faults_.held_back()) {
    late_->hold(epoch_, later());
    return fail(ErrorCode::network, "connection lost");
  }
  return faults_.call([&]() -> decltype(now()) {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    return now();
  });
}

namespace {

// An operation that outlives its call.
struct KeptOperation {
  TargetOperation::Kind kind;
  Twin twin;
  bson::OwnedValue id;
  bson::Document body;
};

}  // namespace

Result<ServerInfo> MemoryTarget::info() {
  return faults_.call([&]() -> Result<ServerInfo> { return server_info(deployment_); });
}

Status MemoryTarget::check_privileges() {
  return faults_.call([]() -> Status { return {}; });
}

Result<ApplyMode> MemoryTarget::probe_apply_mode() {
  return faults_.call([&]() -> Result<ApplyMode> { return apply_mode_; });
}

Result<std::vector<std::string>> MemoryTarget::list_databases() {
  return faults_.call([&]() -> Result<std::vector<std::string>> { return database_names(deployment_); });
}

Result<std::vector<CollectionSpec>> MemoryTarget::list_collections(const std::vector<std::string>& databases) {
  std::vector<CollectionSpec> out;
  for (const std::string& database : databases) {
    auto listed =
        faults_.call([&]() -> Result<std::vector<CollectionSpec>> { return collection_specs(deployment_, database); });
    if (!listed) return listed;
    std::ranges::move(*listed, std::back_inserter(out));
  }
  return out;
}

Result<std::int64_t> MemoryTarget::count_documents(const Namespace& ns) {
  return faults_.call([&]() -> Result<std::int64_t> {
    const MemoryCollection* collection = deployment_.find(ns);
    return collection == nullptr ? 0 : std::ssize(collection->documents);
  });
}

Result<std::size_t> MemoryTarget::natural_order(const Namespace& ns) {
  return faults_.call([&]() -> Result<std::size_t> { return natural_order_of(deployment_.find(ns)); });
}

Result<Uuid> MemoryTarget::create(const Namespace& ns, bson::View options) {
  return faults_.call([&]() -> Result<Uuid> {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    auto uuid = deployment_.create(ns.for_users(), options);
    (void)note_strict_parts({});
    return uuid;
  });
}

Status MemoryTarget::drop(const Twin& twin) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    if (deployment_.find(twin.uuid) == nullptr) return {};
    if (auto collection = find(twin); !collection) return fail(std::move(collection.error()));
    return deployment_.drop(twin.ns);
  });
}

Status MemoryTarget::drop_view(const Namespace& ns) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return checked;
    const MemoryCollection* found = deployment_.find(ns);
    return found != nullptr && found->is_view() && !found->is_view_of_buckets() ? deployment_.drop(ns) : Status();
  });
}

Status MemoryTarget::rename(const Twin& from, const Namespace& to) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    if (auto collection = find(from); !collection) return fail(std::move(collection.error()));
    return deployment_.rename(from.ns, to);
  });
}

Status MemoryTarget::modify(const Twin& twin, bson::View change) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    if (auto collection = find(twin); !collection) return fail(std::move(collection.error()));
    return note_strict_parts(deployment_.modify(twin.ns, change));
  });
}

Status MemoryTarget::create_index(const Twin& twin, const IndexSpec& index) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    if (auto collection = find(twin); !collection) return fail(std::move(collection.error()));
    return note_strict_parts(deployment_.create_indexes(twin.ns, {index}));
  });
}

std::vector<IndexResult> MemoryTarget::create_indexes(const Twin& twin, const std::vector<IndexSpec>& indexes,
                                                      const Cancelled& cancelled) {
  std::vector<IndexResult> out;
  out.reserve(indexes.size());
  for (const IndexSpec& index : indexes) {
    if (cancelled && cancelled()) {
      out.push_back({index.name(), fail(ErrorCode::cancelled, "the build was not waited for")});
    } else {
      out.push_back({index.name(), create_index(twin, index)});
    }
  }
  return out;
}

Status MemoryTarget::drop_index(const Twin& twin, const std::string& name) {
  return faults_.call([&]() -> Status {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    if (deployment_.find(twin.ns) == nullptr) return {};
    if (auto collection = find(twin); !collection) return fail(std::move(collection.error()));
    const Status dropped = deployment_.drop_index(twin.ns, name);
    return dropped || dropped.error().server_code == server_code::index_not_found ? Status() : dropped;
  });
}

Result<std::vector<IndexSpec>> MemoryTarget::list_indexes(const Twin& twin) {
  return faults_.call([&]() -> Result<std::vector<IndexSpec>> {
    const MemoryCollection* collection = deployment_.find(twin.uuid);
    if (collection == nullptr) {
      return fail(server_error(server_code::namespace_not_found, "no collection " + twin.uuid.text()));
    }
    return collection->indexes;
  });
}

Result<std::unique_ptr<RangeReader>> MemoryTarget::read_range(const Twin& twin, const KeyBounds& bounds,
                                                              std::int64_t batch_bytes) {
  if (late_ != nullptr) late_->shut_out(epoch_);
  return faults_.call([&]() -> Result<std::unique_ptr<RangeReader>> {
    if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
    const MemoryCollection* collection = deployment_.find(twin.uuid);
    if (collection == nullptr) {
      return fail(server_error(server_code::namespace_not_found, "no collection " + twin.uuid.text()));
    }
    return std::make_unique<MemoryReader>(
        deployment_, faults_,
        MemoryReader::Place{collection->ns, twin.uuid, bounds, false, kDocumentsPerBatch, batch_bytes}, [] {});
  });
}

Result<std::vector<OperationFailure>> MemoryTarget::insert_now(const Twin& twin, bson::View documents) {
  const auto collection = find(twin);
  if (!collection) return fail(collection.error());
  std::vector<bson::View> all;
  for (const bson::Element& element : documents) all.push_back(element.value.document());
  const std::size_t done = faults_.writes_done(all.size());
  std::vector<OperationFailure> failures;
  for (std::size_t index = 0; index < done; ++index) {
    if (Status put = deployment_.put(**collection, all[index]); !put) failures.push_back(rejected(index, put.error()));
  }
  if (done < all.size()) return fail(faults_.interrupted());
  return failures;
}

// Nothing but the name shuts it out; where fences are missing, not even that.
Result<std::vector<OperationFailure>> MemoryTarget::insert_by_name(const Twin& twin, bson::View documents) {
  if (late_ != nullptr && faults_.held_back()) {
    const bool by_uuid = late_->fences() == LateWrites::Fences::are_missing;
    late_->hold(std::nullopt,
                [server = without_process(), named = Twin(twin), by_uuid, kept = bson::Document(documents)]() mutable {
                  const MemoryCollection* now = server.deployment_.find(named.uuid);
                  if (by_uuid && now != nullptr) named.ns = now->ns;
                  (void)server.insert_now(named, kept.view());
                });
    return fail(ErrorCode::network, "connection lost");
  }
  auto inserted = faults_.call([&]() -> Result<std::vector<OperationFailure>> { return insert_now(twin, documents); });
  if (inserted || inserted.error().server_code != server_code::collection_uuid_mismatch) return inserted;
  if (auto checked = check_epoch(); !checked) return fail(std::move(checked.error()));
  return inserted;
}

Result<std::vector<OperationFailure>> MemoryTarget::insert(const Twin& twin, bson::View documents, InsertFence fence) {
  if (fence == InsertFence::name) return insert_by_name(twin, documents);
  return write([&] { return insert_now(twin, documents); },
               [&] {
                 return [server = without_process(), twin, kept = bson::Document(documents)]() mutable {
                   (void)server.insert_now(twin, kept.view());
                 };
               });
}

Result<std::vector<OperationFailure>> MemoryTarget::apply(std::span<const TargetOperation> operations) {
  const auto now = [&]() -> Result<std::vector<OperationFailure>> {
    const std::size_t done = faults_.writes_done(operations.size());
    std::vector<OperationFailure> failures;
    for (std::size_t index = 0; index < done; ++index) {
      if (auto failure = apply_one(index, operations[index])) failures.push_back(*std::move(failure));
    }
    if (done < operations.size()) return fail(faults_.interrupted());
    return failures;
  };
  return write(now, [&] {
    std::vector<KeptOperation> kept;
    for (const TargetOperation& operation : operations) {
      kept.push_back({operation.kind, *operation.twin, bson::OwnedValue(operation.id), bson::Document(operation.body)});
    }
    return [server = without_process(), kept = std::move(kept)]() mutable {
      for (const KeptOperation& each : kept) {
        (void)server.apply_one(0, {each.kind, &each.twin, each.id.value(), each.body.view()});
      }
    };
  });
}

std::optional<OperationFailure> MemoryTarget::apply_one(std::size_t index, const TargetOperation& operation) {
  MemoryCollection* collection = deployment_.find(operation.twin->uuid);
  if (collection == nullptr) {
    return rejected(
        index, server_error(server_code::namespace_not_found, "missing collection " + operation.twin->uuid.text()));
  }
  switch (operation.kind) {
    case TargetOperation::Kind::insert:
    case TargetOperation::Kind::upsert:
    case TargetOperation::Kind::replace: {
      Status put = deployment_.put(*collection, operation.body);
      return put ? std::nullopt : std::optional(rejected(index, std::move(put.error())));
    }
    case TargetOperation::Kind::diff: {
      Status updated = update(*collection, operation);
      if (updated) return std::nullopt;
      if (updated.error().code != ErrorCode::not_found) return rejected(index, std::move(updated.error()));
      return OperationFailure{index, OperationFailure::Kind::missing,
                              server_error(server_code::no_such_key, "no such document")};
    }
    case TargetOperation::Kind::erase:
      deployment_.remove(*collection, operation.id);
      return std::nullopt;
  }
  CHECK(!"unknown kind of operation");
  return std::nullopt;
}

Status MemoryTarget::update(MemoryCollection& collection, const TargetOperation& operation) {
  if (operation.body["$v"]) return deployment_.change(collection, operation.id, operation.body["diff"].as_document());
  const DocumentPtr old = collection.find(operation.id);
  if (old == nullptr) return fail(ErrorCode::not_found, "no such document");
  const auto updated = apply_set_and_unset(old->view(), operation.body);
  if (!updated) return fail(updated.error());
  return deployment_.put(collection, updated->view());
}

Status MemoryTarget::clear_now(const Twin& twin, const KeyBounds& bounds) {
  const auto collection = find(twin);
  if (!collection) return fail(collection.error());
  const MemoryDocuments& documents = (*collection)->documents;
  const auto first = bounds.min ? documents.lower_bound(bounds.min.value()) : documents.begin();
  const auto end = bounds.max ? documents.lower_bound(bounds.max.value()) : documents.end();
  std::vector<bson::OwnedValue> ids;
  for (auto at = first; at != end; ++at) ids.push_back(at->first);
  const std::size_t done = faults_.writes_done(ids.size());
  for (std::size_t i = 0; i < done; ++i) deployment_.remove(**collection, ids[i].value());
  if (done < ids.size()) return fail(faults_.interrupted());
  return {};
}

Status MemoryTarget::clear_range(const Twin& twin, const KeyBounds& bounds) {
  return write(
      [&] { return clear_now(twin, bounds); },
      [&] { return [server = without_process(), twin, bounds]() mutable { (void)server.clear_now(twin, bounds); }; });
}

}  // namespace plm
