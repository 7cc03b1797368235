#include "memory/memory_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include "memory/memory_reader.h"

namespace plm {

namespace {

// A full reply: so few that tests see several.
constexpr std::size_t kDocumentsPerReply = 3;

constexpr int kMaxTimeExpired = 50;
constexpr int kCursorNotFound = server_code::cursor_not_found;

class MemoryStream final : public ChangeStream {
 public:
  MemoryStream(MemorySource& source, MemoryDeployment& deployment, FaultPlan& faults, OplogPlace from, bool raw_updates,
               std::int32_t batch_events)
      : source_(source),
        deployment_(deployment),
        faults_(faults),
        place_(from),
        raw_updates_(raw_updates),
        batch_events_(batch_events) {}

  Result<StreamReply> next() override {
    if (dead_) return fail(server_error(kCursorNotFound, "cursor not found"));
    source_.interfere();
    auto reply = faults_.call([&]() -> Result<StreamReply> {
      if (faults_.stream_dies()) return fail(faults_.interrupted());
      return read();
    });
    dead_ = !reply;
    return reply;
  }

 private:
  Result<StreamReply> read() {
    const MemoryOplog& oplog = deployment_.oplog();
    if (place_.time < oplog.oldest()) {
      return fail(server_error(server_code::change_stream_history_lost, "the oplog does not reach back that far"));
    }
    bson::Builder events;
    const int most = faults_.random().between(1, batch_events_);
    int count = 0;
    for (; count < most; ++count) {
      const OplogEvent* event = oplog.after(place_);
      if (event == nullptr) break;
      events.append(std::to_string(count), raw_updates_ ? event->event : with_public_description(event->event));
      place_ = event->place;
    }
    if (oplog.after(place_) == nullptr) place_ = std::max(place_, oplog.end());
    StreamReply reply;
    reply.bytes = std::make_shared<const bson::Document>(events.take());
    reply.events = reply.bytes->view();
    reply.end = {place_.time, place_.token()};
    reply.source_time = deployment_.now();
    return reply;
  }

  MemorySource& source_;
  MemoryDeployment& deployment_;
  FaultPlan& faults_;
  OplogPlace place_;
  bool raw_updates_;
  std::int32_t batch_events_;
  bool dead_ = false;
};

}  // namespace

std::vector<std::string> database_names(const MemoryDeployment& deployment) {
  std::set<std::string> names = {"admin", "config", "local"};
  for (const auto& [ns, collection] : deployment.collections()) names.insert(ns.database);
  return {names.begin(), names.end()};
}

std::vector<CollectionSpec> collection_specs(const MemoryDeployment& deployment, const std::string& database) {
  std::vector<CollectionSpec> out;
  for (const auto& [ns, collection] : deployment.collections()) {
    if (ns.database != database || is_servers_own(ns.collection)) continue;
    if (!collection->is_temporary() && !collection->is_view_of_buckets()) out.push_back(collection->spec());
  }
  return out;
}

std::size_t natural_order_of(const MemoryCollection* collection) {
  std::size_t out = 0;
  if (collection == nullptr) return out;
  for (const MemoryDocument& stored : collection->natural_order())
    out = bson::hash_behind(out, (*stored.document)["_id"]);
  return out;
}

ServerInfo server_info(const MemoryDeployment& deployment) {
  return {"6.0.5", deployment.options().set_name, std::to_string(deployment.options().seed)};
}

Result<ServerInfo> MemorySource::info() {
  return call([&]() -> Result<ServerInfo> { return server_info(deployment_); });
}

Status MemorySource::check_privileges() {
  return call([]() -> Status { return {}; });
}

Result<ClusterTime> MemorySource::append_note(const std::string& /*text*/) {
  return call([&]() -> Result<ClusterTime> { return deployment_.append_note(); });
}

Result<OplogWindow> MemorySource::oplog_window() {
  return call([&]() -> Result<OplogWindow> { return OplogWindow{deployment_.oplog().oldest(), deployment_.now()}; });
}

Result<std::vector<std::string>> MemorySource::list_databases() {
  return call([&]() -> Result<std::vector<std::string>> { return database_names(deployment_); });
}

Result<std::vector<CollectionSpec>> MemorySource::list_collections(const std::vector<std::string>& databases) {
  std::vector<CollectionSpec> out;
  for (const std::string& database : databases) {
    auto listed =
        call([&]() -> Result<std::vector<CollectionSpec>> { return collection_specs(deployment_, database); });
    if (!listed) return listed;
    std::ranges::move(*listed, std::back_inserter(out));
  }
  return out;
}

Result<CollectionSpec> MemorySource::describe(const std::string& database, const Uuid& uuid) {
  return call([&]() -> Result<CollectionSpec> {
    const MemoryCollection* collection = deployment_.find(uuid);
    if (collection == nullptr || collection->ns.database != database) {
      return fail(ErrorCode::not_found, "no collection " + uuid.text() + " in " + database);
    }
    return collection->spec();
  });
}

Result<CollectionStats> MemorySource::stats(const Namespace& ns) {
  return call([&]() -> Result<CollectionStats> {
    const MemoryCollection* collection = deployment_.find(ns);
    if (collection == nullptr) return CollectionStats{};
    return CollectionStats{std::ssize(collection->documents), collection->size_bytes};
  });
}

Result<std::vector<bson::OwnedValue>> MemorySource::sample_ids(const Namespace& ns, int count) {
  return call([&]() -> Result<std::vector<bson::OwnedValue>> {
    const MemoryCollection* collection = deployment_.find(ns);
    std::vector<bson::OwnedValue> out;
    if (collection == nullptr || count <= 0) return out;
    const std::size_t size = collection->documents.size();
    const std::size_t wanted = std::min(static_cast<std::size_t>(count), size);
    std::size_t at = 0;
    for (const auto& [id, stored] : collection->documents) {
      // The k-th one lies k/(wanted + 1) of the way.
      if (out.size() < wanted && at * (wanted + 1) >= (out.size() + 1) * size) out.push_back(id);
      ++at;
    }
    return out;
  });
}

Result<std::int64_t> MemorySource::count_documents(const Namespace& ns) {
  return call([&]() -> Result<std::int64_t> {
    const MemoryCollection* collection = deployment_.find(ns);
    return collection == nullptr ? 0 : std::ssize(collection->documents);
  });
}

Result<std::size_t> MemorySource::natural_order(const Namespace& ns) {
  return call([&]() -> Result<std::size_t> { return natural_order_of(deployment_.find(ns)); });
}

Result<MemoryCollection*> MemorySource::find(const SourceRead& read) {
  if (read.after > deployment_.now())
    return fail(server_error(kMaxTimeExpired, "waiting for afterClusterTime timed out"));
  MemoryCollection* collection = deployment_.find(read.uuid);
  if (collection == nullptr || collection->ns.database != read.database) {
    return fail(
        server_error(server_code::namespace_not_found, "no collection " + read.uuid.text() + " in " + read.database));
  }
  return collection;
}

Result<std::unique_ptr<RangeReader>> MemorySource::read_range(const SourceRead& read, const KeyBounds& bounds,
                                                              const RangeOptions& options) {
  return call([&]() -> Result<std::unique_ptr<RangeReader>> {
    const auto collection = find(read);
    if (!collection) return fail(collection.error());
    const auto batch = options.batch_documents > 0 ? options.batch_documents : options_.batch_documents;
    return std::make_unique<MemoryReader>(
        deployment_, faults_,
        MemoryReader::Place{(*collection)->ns, read.uuid, bounds, options.natural_order, batch, options.batch_bytes},
        [this] { interfere(); });
  });
}

Result<ReadDocuments> MemorySource::read_documents(const SourceRead& read, const std::vector<bson::OwnedValue>& ids) {
  return call([&]() -> Result<ReadDocuments> {
    ReadDocuments out;
    if (ids.empty()) return out;
    const auto collection = find(read);
    if (!collection) return fail(collection.error());
    for (const bson::OwnedValue& id : ids) {
      const DocumentPtr document = (*collection)->find(id.value());
      if (document == nullptr) continue;
      if (out.documents.size() == kDocumentsPerReply) {
        out.complete = false;
        break;
      }
      out.documents.push_back(*document);
    }
    out.read_time = deployment_.now();
    return out;
  });
}

Result<std::unique_ptr<ChangeStream>> MemorySource::open_stream(const Position& from, const StreamOptions& options) {
  return call([&]() -> Result<std::unique_ptr<ChangeStream>> {
    const auto place = from.has_token() ? OplogPlace::parse(from.resume_token.view()) : OplogPlace{from.time, 0};
    if (!place) return fail(place.error());
    if (place->time < deployment_.oplog().oldest()) {
      return fail(server_error(server_code::change_stream_history_lost, "the oplog does not reach back that far"));
    }
    return std::make_unique<MemoryStream>(*this, deployment_, faults_, *place, options.raw_updates,
                                          options_.batch_events);
  });
}

}  // namespace plm
