#include "mongo/oversized_events.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "base/log.h"
#include "mongo/change_stream.h"
#include "mongo/cursor.h"

namespace plm::mongo {
namespace {

// Entries below this cannot be about what the filter leaves out: each holds the
// key or the document at least once.
constexpr std::int32_t kSmallestEntryBytes = 1'000'000;
// Wider than the filter, which sees the change in another form.
constexpr std::size_t kSmallestLeftOutBytes = kLargestPlainEventBytes / 2;
constexpr std::size_t kMostKeyBytes = 64U << 20U;
constexpr std::uint32_t kLongestCommitSeconds = 60;

ClusterTime time_of(const bson::Value& value) {
  return value.type() == BSON_TYPE_TIMESTAMP ? ClusterTime::from_packed(value.timestamp()) : ClusterTime();
}

Error too_large(const std::string& message) { return {ErrorCode::server, server_code::object_too_large, {}, message}; }

Result<ClusterTime> write_note(Connection& connection) {
  bson::Builder command;
  command.append("appendOplogNote", 1);
  {
    auto data = command.document("data");
    data->append("plm", "behind a change that is too large for the change stream");
  }
  {
    auto concern = command.document("writeConcern");
    concern->append("w", "majority").append("wtimeout", 20'000);
  }
  auto reply = connection.run("admin", command.view());
  if (!reply) return fail(reply.error().within("writing a note to the oplog"));
  return reply->operation_time();
}

// Entries that are large, and those at the end of a transaction of several entries.
bson::Document find_large_entries(ClusterTime from, ClusterTime to) {
  bson::Builder command;
  command.append("find", "oplog.rs").append("batchSize", 1);
  {
    auto filter = command.document("filter");
    {
      auto time = filter->document("ts");
      time->append_timestamp("$gte", from.packed());
      time->append_timestamp("$lte", to.packed());
    }
    auto either = filter->array("$or");
    {
      auto last = either.document();
      auto count = last->document("o.count");
      count->append("$exists", true);
    }
    auto large = either.document();
    auto expression = large->document("$expr");
    auto larger = expression->array("$gte");
    {
      auto size = larger.document();
      size->append("$bsonSize", "$$ROOT");
    }
    larger.append(kSmallestEntryBytes);
  }
  return command.take();
}

// Reads entries of the oplog; stops taking them in when the keys become too many.
class Collector {
 public:
  explicit Collector(ClusterTime from) : from_(from) {}

  void add(bson::View entry) {
    const ClusterTime time = time_of(entry["ts"]);
    if (full_) return;
    if (key_bytes_ > kMostKeyBytes && open_.empty()) {
      full_ = true;
      out_.behind = time;
      return;
    }
    if (entry["op"].as_string() != "c") return take({change_of(entry)}, time);
    const bson::View command = entry["o"].as_document();
    std::vector<OversizedChange> changes;
    for (const bson::Element& operation : command["applyOps"].as_document()) {
      changes.push_back(change_of(operation.value.as_document()));
    }
    // All changes of a transaction have the time of its last entry.
    const std::string transaction =
        entry["lsid"].as_document().json(500) + std::to_string(entry["txnNumber"].as_int64());
    if (command["partialTxn"].as_bool()) return keep(transaction, std::move(changes));
    if (const auto open = open_.find(transaction); open != open_.end()) {
      take(std::move(open->second), time);
      open_.erase(open);
    }
    take(std::move(changes), time);
  }

  Result<OversizedChanges> finish(ClusterTime note) {
    if (!open_.empty()) return fail(too_large("a transaction without an end holds a change that is too large"));
    if (!full_) out_.behind = note;
    return std::move(out_);
  }

 private:
  // Without an _id: not too large.
  static OversizedChange change_of(bson::View operation) {
    const std::string_view kind = operation["op"].as_string();
    if (kind != "i" && kind != "u" && kind != "d") return {};
    const bson::View change = operation["o"].as_document();
    const bson::Value id = (kind == "u" ? operation["o2"].as_document() : change)["_id"];
    if (3 * id.payload().size() + change.size() < kSmallestLeftOutBytes) return {};
    return {{}, Namespace::parse(operation["ns"].as_string()), Uuid(operation["ui"]), bson::OwnedValue(id)};
  }

  void keep(const std::string& transaction, std::vector<OversizedChange> changes) {
    std::erase_if(changes, [](const OversizedChange& change) { return !change.id; });
    if (changes.empty()) return;
    std::ranges::move(changes, std::back_inserter(open_[transaction]));
  }

  void take(std::vector<OversizedChange> changes, ClusterTime time) {
    if (time < from_) return;
    for (OversizedChange& change : changes) {
      if (!change.id) continue;
      key_bytes_ += change.id.value().payload().size();
      change.time = time;
      out_.changes.push_back(std::move(change));
    }
  }

  ClusterTime from_;
  OversizedChanges out_;
  std::map<std::string, std::vector<OversizedChange>> open_;  // transactions whose end is still to come
  std::size_t key_bytes_ = 0;
  bool full_ = false;
};

// {operationType: "update"} that says nothing of the change, with the token of
// the event before: going on from there meets the change itself again.
void append_event(bson::Builder::ArrayScope& events, const OversizedChange& change, bson::View token) {
  auto event = events.document();
  event->append("_id", token).append("operationType", "update");
  event->append_timestamp("clusterTime", change.time.packed());
  change.uuid.append_to(*event, "collectionUUID");
  {
    auto ns = event->document("ns");
    ns->append("db", change.ns.database).append("coll", change.ns.collection);
  }
  {
    auto key = event->document("documentKey");
    key->append("_id", change.id.value());
  }
  {
    auto unknown = event->document("updateDescription");
    auto fields = unknown->document("updatedFields");
  }
  event->append("txnNumber", std::int64_t{0});  // its time may be that of others, too
}

}  // namespace

Result<OversizedChanges> find_oversized_changes(Pool& pool, ClusterTime from) {
  auto connection = pool.connect();
  if (!connection) return fail(connection.error());
  auto note = write_note(*connection);
  if (!note) return fail(note.error());
  // A transaction's entries are written at once, shortly before its end.
  const ClusterTime earlier{from.seconds - std::min(from.seconds, kLongestCommitSeconds), 0};
  Collector collector(from);
  auto read = read_all(*connection, "local", find_large_entries(earlier, *note).view(),
                       [&](bson::View entry) { collector.add(entry); });
  if (!read) return fail(read.error().within("looking for large changes in the oplog"));
  return collector.finish(*note);
}

StreamReply merge_left_out(const StreamReply& reply, const OversizedChanges& left_out, const Position& before,
                           std::size_t& told) {
  bson::Builder holder(reply.events.size() + 1024);
  StreamReply out;
  out.source_time = reply.source_time;
  out.end = before;
  bool beyond = reply.end.time >= left_out.behind;
  {
    auto events = holder.array("events");
    const auto tell_until = [&](ClusterTime time) {
      while (told < left_out.changes.size() && left_out.changes[told].time <= time) {
        append_event(events, left_out.changes[told++], out.end.resume_token.view());
      }
    };
    for (const bson::Element& element : reply.events) {
      const bson::View event = element.value.as_document();
      const ClusterTime time = time_of(event["clusterTime"]);
      if (time >= left_out.behind) {
        beyond = true;
        break;
      }
      // In front of those of the same time: no position lies between them and it.
      tell_until(time);
      events.append(event);
      out.end = {time, bson::Document(event["_id"].as_document())};
    }
    if (beyond) tell_until(left_out.behind);
  }
  if (beyond) out.end = {left_out.behind, {}};
  auto bytes = std::make_shared<const bson::Document>(holder.take());
  out.events = bytes->view()["events"].as_document();
  out.bytes = std::move(bytes);
  return out;
}

Result<std::unique_ptr<ChangeStream>> DetouringStream::open(std::shared_ptr<Pool> pool, const Position& from,
                                                            const Source::StreamOptions& options) {
  std::unique_ptr<DetouringStream> out(new DetouringStream(std::move(pool), from, options));
  if (auto opened = out->open_stream(); !opened) return fail(std::move(opened.error()));
  return out;
}

Status DetouringStream::open_stream() {
  auto opened = CursorChangeStream::open(pool_, position_, options_,
                                         detour_ ? StreamFilter::without_large_events : StreamFilter::none);
  if (!opened) return fail(std::move(opened.error()));
  stream_ = *std::move(opened);
  return {};
}

Result<StreamReply> DetouringStream::next() {
  if (ended_) return fail(ErrorCode::wrong_state, "the change stream has ended");
  if (!stream_) {
    if (auto opened = open_stream(); !opened) return fail(std::move(opened.error()));
  }
  auto reply = stream_->next();
  if (!reply) {
    stream_.reset();
    const bool oversized = reply.error().server_code == server_code::object_too_large;
    if (oversized && !detour_) return begin_detour(reply.error());
    ended_ = true;
    return reply;
  }
  if (detour_) return with_left_out(*reply);
  position_ = reply->end;
  return reply;
}

Result<StreamReply> DetouringStream::begin_detour(const Error& error) {
  auto left_out = find_oversized_changes(*pool_, position_.time);
  if (!left_out) return fail(std::move(left_out.error()));
  if (left_out->changes.empty()) return fail(error);
  log::warn("the change stream cannot deliver changes of documents with large _ids; they are read by themselves",
            {{"from", position_.time.text()},
             {"to", left_out->behind.text()},
             {"documents", left_out->changes.size()},
             {"namespace", left_out->changes.front().ns.text()}});
  detour_ = Detour{*std::move(left_out)};
  StreamReply nothing;
  nothing.bytes = std::make_shared<const bson::Document>();
  nothing.end = position_;
  return nothing;
}

StreamReply DetouringStream::with_left_out(const StreamReply& reply) {
  StreamReply out = merge_left_out(reply, detour_->left_out, position_, detour_->told);
  position_ = out.end;
  if (position_.time >= detour_->left_out.behind) {
    detour_.reset();
    stream_.reset();  // opened again without the filter
  }
  return out;
}

}  // namespace plm::mongo
