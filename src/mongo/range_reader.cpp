#include "mongo/range_reader.h"

#include <algorithm>

#include "base/planted_bug.h"
#include "mongo/document_array.h"
#include "mongo/majority_read.h"
#include "mongo/silent_copies.h"

namespace plm::mongo {
namespace {

constexpr std::int64_t kAimedBatchBytes = 3 << 20;
constexpr std::int32_t kFirstBatchDocuments = 500;
// A full capped collection loses its oldest documents all the time: the cursor
// had better get away from them.
constexpr std::int32_t kFirstNaturalBatchDocuments = 5000;
constexpr std::int32_t kMaxBatchDocuments = 20'000;  // what one insert command takes

// A scan that has a lower bound and no upper one ends *before* MaxKey; the one
// document that can have it as its _id is read by itself.
bool leaves_out_max_key(const KeyBounds& bounds, const Source::RangeOptions& options) {
  return bounds.min && !bounds.max && !options.natural_order;
}

bson::Document find_max_key_command(const SourceRead& read) {
  bson::Builder command;
  read.uuid.append_to(command, "find");
  {
    auto filter = command.document("filter");
    filter->append("_id", bson::Value(BSON_TYPE_MAXKEY, nullptr, 0));
  }
  command.append("singleBatch", true);
  append_majority_read(command, read.after);
  return command.take();
}

bson::Document find_command(const SourceRead& read, const KeyBounds& bounds, const Source::RangeOptions& options) {
  bson::Builder command;
  read.uuid.append_to(command, "find");
  {
    auto hint = command.document("hint");
    hint->append(options.natural_order ? "$natural" : "_id", 1);
  }
  if (bounds.min && !options.natural_order) {
    auto min = command.document("min");
    min->append("_id", bounds.min.value());
  }
  if (bounds.max && !options.natural_order) {
    auto max = command.document("max");
    max->append("_id", bounds.max.value());
  }
  if (bounds.min && planted_bug("dropped-range-edge")) command.append("skip", 1);
  const std::int32_t first = options.natural_order ? kFirstNaturalBatchDocuments : kFirstBatchDocuments;
  command.append("batchSize", options.batch_documents > 0 ? options.batch_documents : first);
  command.append("noCursorTimeout", true);
  append_majority_read(command, read.after);
  return command.take();
}

}  // namespace

Result<std::unique_ptr<RangeReader>> CursorRangeReader::open(Pool& pool, const SourceRead& read,
                                                             const KeyBounds& bounds,
                                                             const Source::RangeOptions& options) {
  auto connection = pool.connect();
  if (!connection) return fail(connection.error());
  if (auto pinned = connection->pin(); !pinned) return fail(pinned.error());
  SourceRead from = read;
  if (options.natural_order) {
    auto behind = behind_silent_copies(*connection, read.database);
    if (!behind) return fail(behind.error());
    from.after = std::max(from.after, *behind);
  }
  auto reply = connection->run(read.database, find_command(from, bounds, options).view());
  if (!reply) return fail(reply.error());
  const bson::Document last = leaves_out_max_key(bounds, options) ? find_max_key_command(read) : bson::Document();
  return std::unique_ptr<RangeReader>(
      new CursorRangeReader(std::move(*connection), std::move(*reply), options, last, read.database));
}

CursorRangeReader::CursorRangeReader(Connection connection, Reply first, const Source::RangeOptions& options,
                                     bson::Document last_command, std::string database)
    : connection_(std::move(connection)),
      first_(std::move(first)),
      options_(options),
      last_command_(std::move(last_command)),
      database_(std::move(database)) {
  const bson::View cursor = first_["cursor"].as_document();
  cursor_id_ = cursor["id"].as_int64();
  cursor_ns_ = Namespace::parse(cursor["ns"].as_string());
}

CursorRangeReader::~CursorRangeReader() {
  if (cursor_id_ == 0) return;
  bson::Builder command;
  command.append("killCursors", cursor_ns_.collection);
  {
    auto cursors = command.array("cursors");
    cursors.append(cursor_id_);
  }
  (void)connection_.attempt(cursor_ns_.database, command.view());  // the server would forget it in 30 minutes anyway
}

Result<DocumentBatch> CursorRangeReader::next() {
  if (!first_taken_) {
    first_taken_ = true;
    return batch_from(std::move(first_), "firstBatch");
  }
  if (cursor_id_ == 0) return read_last();
  bson::Builder command;
  command.append("getMore", cursor_id_).append("collection", cursor_ns_.collection);
  command.append("batchSize", next_batch_documents());
  auto reply = connection_.run(cursor_ns_.database, command.view());
  if (!reply) {
    cursor_id_ = 0;  // dead, or out of reach
    return fail(reply.error());
  }
  cursor_id_ = (*reply)["cursor"].as_document()["id"].as_int64();
  return batch_from(std::move(*reply), "nextBatch");
}

Result<DocumentBatch> CursorRangeReader::read_last() {
  if (last_command_.empty()) {
    DocumentBatch nothing;
    nothing.exhausted = true;
    return nothing;
  }
  auto reply = connection_.run(database_, last_command_.view());
  if (!reply) return fail(reply.error());
  last_command_ = {};
  return batch_from(std::move(*reply), "firstBatch");
}

DocumentBatch CursorRangeReader::batch_from(Reply reply, const char* field) {
  DocumentBatch out;
  out.read_time = reply.operation_time();
  out.documents = reply["cursor"].as_document()[field].as_document();
  const ArraySummary summary = summarize(out.documents);
  out.count = summary.count;
  out.size_bytes = summary.size_bytes;
  if (summary.count > 0) out.last_id = summary.last["_id"];
  out.exhausted = cursor_id_ == 0 && last_command_.empty();
  out.bytes = Reply::keep(std::move(reply));
  documents_ += summary.count;
  size_bytes_ += summary.size_bytes;
  return out;
}

std::int32_t CursorRangeReader::next_batch_documents() const {
  if (options_.batch_documents > 0) return options_.batch_documents;
  if (documents_ == 0) return kFirstBatchDocuments;
  const std::int64_t mean = std::max<std::int64_t>(1, size_bytes_ / documents_);
  const std::int64_t aimed = options_.batch_bytes > 0 ? options_.batch_bytes : kAimedBatchBytes;
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(aimed / mean, 1, kMaxBatchDocuments));
}

}  // namespace plm::mongo
