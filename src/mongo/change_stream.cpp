#include "mongo/change_stream.h"

#include <algorithm>
#include <charconv>

#include "mongo/document_array.h"
#include "mongo/oversized_events.h"

namespace plm::mongo {
namespace {

constexpr std::int32_t kAwaitMs = 500;
// Of a reply: reading and handling overlap, and those that wait for each other fit into little memory.
constexpr std::int64_t kMostEvents = 5000;
constexpr std::int64_t kReplyBytes = 4 << 20;

void append_stream_options(bson::Builder& stage, const Position& from, const Source::StreamOptions& options) {
  stage.append("allChangesForCluster", true).append("showExpandedEvents", true).append("showSystemEvents", true);
  if (options.raw_updates) stage.append("showRawUpdateDescription", true);
  if (from.has_token()) {
    stage.append("resumeAfter", from.resume_token);
  } else {
    stage.append_timestamp("startAtOperationTime", from.time.packed());
  }
}

void append_size_of(bson::Builder::ArrayScope& out, const char* field) {
  auto size = out.document();
  auto of = size->document("$bsonSize");
  auto or_empty = of->array("$ifNull");
  or_empty.append(field);
  auto nothing = or_empty.document();
}

// {$match: {$expr: {$lte: [{$add: [...]}, limit]}}}; the key counts three times:
// by itself, and as the hexadecimal digits of the resume token.
void append_size_filter(bson::Builder::ArrayScope& pipeline) {
  auto stage = pipeline.document();
  auto match = stage->document("$match");
  auto expression = match->document("$expr");
  auto smaller = expression->array("$lte");
  {
    auto sum = smaller.document();
    auto parts = sum->array("$add");
    for (int i = 0; i < 3; ++i) append_size_of(parts, "$documentKey");
    for (const char* field : {"$fullDocument", "$rawUpdateDescription", "$updateDescription"}) {
      append_size_of(parts, field);
    }
  }
  smaller.append(kLargestPlainEventBytes);
}

bson::Document aggregate_command(const Position& from, const Source::StreamOptions& options, StreamFilter filter) {
  bson::Builder command;
  command.append("aggregate", 1);
  {
    auto pipeline = command.array("pipeline");
    {
      auto stage = pipeline.document();
      auto stream = stage->document("$changeStream");
      append_stream_options(*stream, from, options);
    }
    if (filter == StreamFilter::without_large_events) append_size_filter(pipeline);
  }
  {
    auto cursor = command.document("cursor");
    cursor->append("batchSize", 0);  // only next() waits for events
  }
  return command.take();
}

bool read_hex(std::string_view digits, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  return error == std::errc() && end == digits.data() + digits.size();
}

// As many as a reply may hold of events as large as those.
std::int64_t events_like(const ArraySummary& events) {
  return std::clamp<std::int64_t>(kReplyBytes * events.count / events.size_bytes, 1, kMostEvents);
}

}  // namespace

ClusterTime token_time(bson::View token) {
  const std::string_view data = token["_data"].as_string();
  ClusterTime out;
  if (data.size() < 18 || !data.starts_with("82")) return {};
  if (!read_hex(data.substr(2, 8), out.seconds) || !read_hex(data.substr(10, 8), out.increment)) return {};
  return out;
}

Result<std::unique_ptr<ChangeStream>> CursorChangeStream::open(const std::shared_ptr<Pool>& pool, const Position& from,
                                                               const Source::StreamOptions& options,
                                                               StreamFilter filter) {
  auto connection = pool->connect();
  if (!connection) return fail(connection.error());
  if (auto pinned = connection->pin(); !pinned) return fail(pinned.error());
  auto reply = connection->run("admin", aggregate_command(from, options, filter).view());
  if (!reply) return fail(reply.error().within("opening the change stream"));
  const std::int64_t id = (*reply)["cursor"].as_document()["id"].as_int64();
  if (id == 0) return fail(ErrorCode::server, "the change stream has no cursor");
  return std::unique_ptr<ChangeStream>(new CursorChangeStream(pool, std::move(*connection), id));
}

CursorChangeStream::CursorChangeStream(const std::shared_ptr<Pool>& pool, Connection connection, std::int64_t cursor_id)
    : connection_(std::move(connection)), cursor_id_(cursor_id), most_events_(kMostEvents), nudger_(pool) {}

CursorChangeStream::~CursorChangeStream() {
  if (cursor_id_ == 0) return;
  bson::Builder command;
  command.append("killCursors", "$cmd.aggregate");
  {
    auto cursors = command.array("cursors");
    cursors.append(cursor_id_);
  }
  (void)connection_.attempt("admin", command.view());  // the server would forget it in 10 minutes anyway
}

Result<StreamReply> CursorChangeStream::next() {
  if (cursor_id_ == 0) return fail(ErrorCode::wrong_state, "the change stream has ended");
  bson::Builder command;
  command.append("getMore", cursor_id_).append("collection", "$cmd.aggregate");
  command.append("batchSize", most_events_).append("maxTimeMS", kAwaitMs);
  auto reply = connection_.run("admin", command.view());
  if (!reply) {
    cursor_id_ = 0;  // dead, or out of reach
    return fail(reply.error());
  }
  const bson::View cursor = (*reply)["cursor"].as_document();
  cursor_id_ = cursor["id"].as_int64();
  StreamReply out;
  out.events = cursor["nextBatch"].as_document();
  out.source_time = reply->operation_time();
  const bson::View token = cursor["postBatchResumeToken"].as_document();
  out.end.resume_token = bson::Document(token);
  out.end.time = token_time(token);
  const ArraySummary found = summarize(out.events);
  if (found.count > 0) most_events_ = events_like(found);
  nudger_.note_reply(found.count);
  out.bytes = Reply::keep(std::move(*reply));
  return out;
}

}  // namespace plm::mongo
