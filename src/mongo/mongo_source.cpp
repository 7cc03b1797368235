#include "mongo/mongo_source.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <type_traits>

#include "bson/order.h"
#include "mongo/catalog_reader.h"
#include "mongo/connection.h"
#include "mongo/cursor.h"
#include "mongo/majority_read.h"
#include "mongo/not_carried.h"
#include "mongo/oversized_events.h"
#include "mongo/privileges.h"
#include "mongo/range_reader.h"
#include "mongo/stored_catalog.h"

namespace plm {

using mongo::Connection;
using mongo::Pool;

struct MongoSource::Parts {
  std::shared_ptr<Pool> pool;
  mongo::CatalogReader catalog{pool};
};

namespace {

constexpr std::int32_t kMajorityWaitMs = 20'000;
// So many documents are sampled for each value that is kept: neighbours in a
// small random sample lie at very different distances.
constexpr int kOversampling = 20;
// Each sampled document may be a read from disk: so many at once stay within
// the time limit of a command.
constexpr std::int64_t kSampleStep = 5000;
// A $sample of less than 5 % of a collection of at least 100 documents is random
// reads; a larger one reads everything (documented for $sample).
constexpr std::int64_t kSmallestSampledPart = 25;
constexpr std::int64_t kMostSampled = 200'000;
constexpr std::size_t kIdsPerRead = 1000;
constexpr std::size_t kIdBytesPerRead = 4 << 20;
constexpr std::size_t kDocumentBytesPerRead = 8 << 20;

bson::Document note_command(const std::string& text) {
  bson::Builder command;
  command.append("appendOplogNote", 1);
  {
    auto data = command.document("data");
    data->append("plm", text);
  }
  {
    auto concern = command.document("writeConcern");
    concern->append("w", "majority").append("wtimeout", kMajorityWaitMs);
  }
  return command.take();
}

bson::Document oldest_entry_command() {
  bson::Builder command;
  command.append("find", "oplog.rs").append("limit", 1).append("singleBatch", true);
  {
    auto sort = command.document("sort");
    sort->append("$natural", 1);
  }
  {
    auto projection = command.document("projection");
    projection->append("ts", 1);
  }
  return command.take();
}

// What the oplog holds and what it may hold, out of the many numbers that the server keeps of it.
bson::Document oplog_size_command() {
  bson::Builder command;
  command.append("aggregate", "oplog.rs");
  {
    auto pipeline = command.array("pipeline");
    {
      auto stage = pipeline.document();
      auto stats = stage->document("$collStats");
      auto storage = stats->document("storageStats");
    }
    {
      auto stage = pipeline.document();
      auto project = stage->document("$project");
      project->append("size", "$storageStats.size").append("maxSize", "$storageStats.maxSize");
    }
  }
  {
    auto cursor = command.document("cursor");
  }
  return command.take();
}

ClusterTime time_of(const bson::Value& value) {
  return value.type() == BSON_TYPE_TIMESTAMP ? ClusterTime::from_packed(value.timestamp()) : ClusterTime();
}

bson::Document sample_command(const Namespace& ns, int size) {
  bson::Builder command;
  command.append("aggregate", ns.collection);
  {
    auto pipeline = command.array("pipeline");
    {
      auto stage = pipeline.document();
      auto sample = stage->document("$sample");
      sample->append("size", size);
    }
    {
      auto stage = pipeline.document();
      auto project = stage->document("$project");
      project->append("_id", 1);
    }
  }
  {
    auto cursor = command.document("cursor");
  }
  return command.take();
}

// Every n-th of the sorted sample, so that about `count` remain.
std::vector<bson::OwnedValue> thin_out(std::vector<bson::OwnedValue> sample, int count) {
  const auto wanted = static_cast<std::size_t>(count);
  if (sample.size() <= wanted) return sample;
  std::vector<bson::OwnedValue> out;
  out.reserve(wanted);
  for (std::size_t i = 1; i <= wanted; ++i) out.push_back(std::move(sample[i * sample.size() / (wanted + 1)]));
  return out;
}

bson::Document find_ids_command(const SourceRead& read, std::span<const bson::OwnedValue> ids) {
  bson::Builder command;
  read.uuid.append_to(command, "find");
  {
    auto filter = command.document("filter");
    auto id = filter->document("_id");
    auto wanted = id->array("$in");
    for (const bson::OwnedValue& value : ids) wanted.append(value.value());
  }
  // One more than are asked for, so that only a full reply leaves a cursor.
  command.append("batchSize", static_cast<std::int32_t>(kIdsPerRead) + 1);
  if (read.as_of.is_zero()) {
    mongo::append_majority_read(command, read.after);
  } else {
    mongo::append_read_as_of(command, read.as_of);
  }
  return command.take();
}

// How many of the first ids fit into one command.
std::size_t ids_that_fit(std::span<const bson::OwnedValue> ids) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < ids.size() && count < kIdsPerRead) {
    bytes += ids[count].size_bytes();
    if (count > 0 && bytes > kIdBytesPerRead) break;
    ++count;
  }
  return count;
}

Result<ReadDocuments> find_documents(mongo::Connection& connection, const SourceRead& read,
                                     const std::vector<bson::OwnedValue>& ids) {
  ReadDocuments out;
  std::size_t bytes = 0;
  for (std::span<const bson::OwnedValue> rest = ids; !rest.empty();) {
    if (bytes > kDocumentBytesPerRead) {
      out.complete = false;
      break;
    }
    const std::size_t now = ids_that_fit(rest);
    auto reply = connection.run(read.database, find_ids_command(read, rest.first(now)).view());
    if (!reply) return fail(reply.error());
    const bson::View cursor = (*reply)["cursor"].as_document();
    for (const bson::Element& element : cursor["firstBatch"].as_document()) {
      out.documents.emplace_back(element.value.as_document());
      bytes += out.documents.back().size_bytes();
    }
    out.read_time = read.as_of.is_zero() ? std::max(out.read_time, reply->operation_time()) : read.as_of;
    if (const std::int64_t id = cursor["id"].as_int64(); id != 0) {  // the reply is full
      out.complete = false;
      bson::Builder kill;
      kill.append("killCursors", Namespace::parse(cursor["ns"].as_string()).collection);
      kill.array("cursors").append(id);
      (void)connection.run(read.database, kill.view());  // it ends by itself otherwise
      break;
    }
    rest = rest.subspan(now);
  }
  return out;
}

Result<ReadDocuments> find_documents_as_of(Pool& pool, const SourceRead& read,
                                           const std::vector<bson::OwnedValue>& ids) {
  auto connection = pool.connect();
  if (!connection) return fail(connection.error());
  if (auto pinned = connection->pin(); !pinned) return fail(pinned.error());
  auto found = find_documents(*connection, read, ids);
  if (found || read.as_of.is_zero() || !mongo::does_not_know_the_past(found.error())) return found;
  return find_documents(*connection, {read.database, read.uuid, read.after}, ids);
}

// A collection that `ask` does not find is gone only if it is not stored either:
// events of a new one may come a moment before it is shown (stored_catalog.h).
template <typename Ask>
std::invoke_result_t<Ask> unless_not_shown_yet(Pool& pool, const Uuid& uuid, const Ask& ask) {
  const auto end = std::chrono::steady_clock::now() + mongo::kShownWithin;
  for (;;) {
    auto answer = ask();
    if (answer || answer.error().code != ErrorCode::not_found) return answer;
    auto connection = pool.connect();
    if (!connection) return fail(connection.error());
    auto stored = mongo::is_stored(*connection, uuid);
    if (!stored && retryable(stored.error())) return fail(std::move(stored.error()));
    if (stored && !*stored) return answer;
    const bool patient = std::chrono::steady_clock::now() < end;
    if (!patient && !stored) return answer;
    if (!patient) {
      return fail(Error{ErrorCode::server,
                        server_code::snapshot_unavailable,
                        {},
                        "collection " + uuid.text() + " is stored, but cannot be read yet"});
    }
    std::this_thread::sleep_for(stored ? mongo::kBetweenLooks : mongo::kShownWithin);
  }
}

}  // namespace

MongoSource::MongoSource(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
MongoSource::~MongoSource() = default;

Result<std::unique_ptr<MongoSource>> MongoSource::connect(const std::string& uri) {
  auto pool = Pool::open(uri);
  if (!pool) return fail(pool.error().within("source"));
  return std::unique_ptr<MongoSource>(new MongoSource(std::make_unique<Parts>(Parts{std::move(*pool)})));
}

Result<ServerInfo> MongoSource::info() { return parts_->catalog.info(); }

Status MongoSource::check_privileges() { return mongo::check_privileges(*parts_->pool, mongo::source_needs()); }

Result<ClusterTime> MongoSource::append_note(const std::string& text) {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  auto reply = connection->run("admin", note_command(text).view());
  if (!reply) return fail(reply.error().within("writing a note to the oplog"));
  return reply->operation_time();
}

Result<OplogWindow> MongoSource::oplog_window() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  auto oldest = connection->run("local", oldest_entry_command().view());
  if (!oldest) return fail(oldest.error().within("reading the oldest oplog entry"));
  bson::Builder command;
  command.append("hello", 1);
  auto hello = connection->run("admin", command.view());
  if (!hello) return fail(hello.error());
  OplogWindow out;
  out.oldest = time_of((*oldest)["cursor"].as_document()["firstBatch"].as_document()["0"].as_document()["ts"]);
  out.newest = time_of((*hello)["lastWrite"].as_document()["majorityOpTime"].as_document()["ts"]);
  // A user without the right to see it (collStats in local) does without.
  if (auto size = connection->run("local", oplog_size_command().view())) {
    const bson::View found = (*size)["cursor"].as_document()["firstBatch"].as_document()["0"].as_document();
    out.size_bytes = found["size"].as_int64();
    out.max_bytes = found["maxSize"].as_int64();
  }
  return out;
}

Result<std::vector<std::string>> MongoSource::list_databases() { return parts_->catalog.list_stored_databases(); }

Result<std::vector<CollectionSpec>> MongoSource::list_collections(const std::vector<std::string>& databases) {
  return parts_->catalog.list_stored_collections(databases);
}

Result<CollectionSpec> MongoSource::describe(const std::string& database, const Uuid& uuid) {
  return unless_not_shown_yet(*parts_->pool, uuid, [&] { return parts_->catalog.describe(database, uuid); });
}

Result<std::vector<std::string>> MongoSource::not_carried() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  return mongo::not_carried(*connection);
}

Result<std::vector<Namespace>> MongoSource::lost_parts(const std::string& database) {
  return parts_->catalog.lost_parts(database);
}

Result<CollectionStats> MongoSource::stats(const Namespace& ns) { return parts_->catalog.stats(ns); }

Result<std::vector<bson::OwnedValue>> MongoSource::sample_ids(const Namespace& ns, int count) {
  if (count <= 0) return std::vector<bson::OwnedValue>();
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  auto stats = parts_->catalog.stats(ns);
  if (!stats) return fail(stats.error());
  // A larger part of the collection would be sampled by reading and sorting all of it.
  const std::int64_t most = std::min(stats->documents / kSmallestSampledPart, kMostSampled);
  std::vector<bson::OwnedValue> sample;
  for (std::int64_t left = std::min<std::int64_t>(std::int64_t{count} * kOversampling, most); left > 0;
       left -= kSampleStep) {
    const auto step = static_cast<int>(std::min(left, kSampleStep));
    auto read = mongo::read_all(*connection, ns.database, sample_command(ns, step).view(),
                                [&](bson::View document) { sample.emplace_back(document["_id"]); });
    if (!read) return fail(read.error().within("sampling " + ns.text()));
  }
  std::ranges::sort(sample, [](const bson::OwnedValue& left, const bson::OwnedValue& right) {
    return bson::compare(left.value(), right.value()) < 0;
  });
  return thin_out(std::move(sample), count);
}

Result<std::int64_t> MongoSource::count_documents(const Namespace& ns) { return parts_->catalog.count_documents(ns); }

Result<std::size_t> MongoSource::natural_order(const Namespace& ns) { return parts_->catalog.natural_order(ns); }

Result<std::unique_ptr<RangeReader>> MongoSource::read_range(const SourceRead& read, const KeyBounds& bounds,
                                                             const RangeOptions& options) {
  return unless_not_shown_yet(*parts_->pool, read.uuid,
                              [&] { return mongo::CursorRangeReader::open(*parts_->pool, read, bounds, options); });
}

Result<ReadDocuments> MongoSource::read_documents(const SourceRead& read, const std::vector<bson::OwnedValue>& ids) {
  return unless_not_shown_yet(*parts_->pool, read.uuid, [&] { return find_documents_as_of(*parts_->pool, read, ids); });
}

Result<std::unique_ptr<ChangeStream>> MongoSource::open_stream(const Position& from, const StreamOptions& options) {
  return mongo::DetouringStream::open(parts_->pool, from, options);
}

}  // namespace plm
