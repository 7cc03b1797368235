// How plm_floor follows a source: one raw change stream; each event goes to the
// applier of its _id's hash; an applier takes all that waits, leaves out what a
// later event makes superfluous, and writes the rest in the cheapest way: delete
// and insert in bulk, applyOps for replacements and diffs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "floor_client.h"

namespace bench {

constexpr std::size_t kApplyOps = 1000;       // changes that an applier takes at once
constexpr std::size_t kApplyBytes = 8 << 20;  // and their bytes, roughly
constexpr auto kNudgeEvery = std::chrono::milliseconds(3);
constexpr std::size_t kBatchesInFlight = 8;  // replies of the stream that are not yet applied

// One reply of the stream; its changes point into it.
struct Batch {
  DocumentPtr reply;
  Time end = 0;                       // everything up to this time is in it or before it
  std::atomic<std::size_t> left = 0;  // changes not yet acknowledged
};

enum class Op : char { insert = 'i', replace = 'u', diff = 'd', erase = 'x', none = 0 };

struct Change {
  Op op = Op::none;
  std::size_t key = 0;  // hash of collection and _id
  std::string_view ns;  // points into `names_`
  View id, body;        // {_id: …}; the document or the diff
  std::shared_ptr<Batch> batch;
};

// Follows the source from `position` on until `stop` is set and all that was read is written.
class Follow {
 public:
  // position: startAtOperationTime or resumeAfter, moved on by run().
  Follow(const Options& options, Document& position, std::atomic<Time>& replicated)
      : options_(options),
        position_(position),
        replicated_(replicated),
        queues_(static_cast<std::size_t>(options.appliers)) {}

  void run(const std::function<bool()>& stop) {
    std::vector<std::jthread> threads;
    for (auto& queue : queues_) {
      threads.emplace_back([this, &queue] { guarded([&] { apply_all(queue); }); });
    }
    threads.emplace_back([this] { guarded([&] { nudge(); }); });
    guarded([&] { read(stop); });
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    for (auto& queue : queues_) queue.ready.notify_one();
    threads.clear();  // joins
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  struct Queue {
    std::deque<Change> changes;
    std::condition_variable ready;
  };

  template <typename Work>
  void guarded(Work work) {
    try {
      work();
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
      room_.notify_all();
      for (auto& queue : queues_) queue.ready.notify_all();
    }
  }

  void read(const std::function<bool()>& stop) {
    Client source(options_.source);
    auto* stage = BCON_NEW("allChangesForCluster", BCON_BOOL(true), "showExpandedEvents", BCON_BOOL(true),
                           "showRawUpdateDescription", BCON_BOOL(true));
    bson_concat(stage, &position_.bson);
    auto reply =
        source.run("admin", BCON_NEW("aggregate", BCON_INT32(1), "pipeline", "[", "{", "$changeStream",
                                     BCON_DOCUMENT(stage), "}", "]", "cursor", "{", "batchSize", BCON_INT32(0), "}"));
    bson_destroy(stage);
    const auto id = number(reply->bson, "cursor.id");
    for (const char* events = "cursor.firstBatch";; events = "cursor.nextBatch") {
      take(std::move(reply), events);
      {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return in_flight_.size() < kBatchesInFlight || failed_; });
        if (failed_) return;
      }
      if (stop()) return;
      reply = source.run(
          "admin", BCON_NEW("getMore", BCON_INT64(id), "collection", "$cmd.aggregate", "maxTimeMS", BCON_INT32(200)));
    }
  }

  // A source without majority writes commits, and so shows in the stream, only when its journal is flushed: every
  // 100 ms. A majority write flushes it at once.
  void nudge() {
    Client source(options_.source);
    while (!closed_ && !failed_) {
      const auto hello = source.run("admin", BCON_NEW("hello", BCON_INT32(1)));
      if (timestamp(hello->bson, "lastWrite.opTime.ts") > timestamp(hello->bson, "lastWrite.majorityOpTime.ts")) {
        source.run("admin", BCON_NEW("appendOplogNote", BCON_INT32(1), "data", "{", "msg", "plm_floor", "}",
                                     "writeConcern", "{", "w", "majority", "}"));
      }
      std::this_thread::sleep_for(kNudgeEvery);
    }
  }

  // Hands the changes of a reply to the appliers and remembers the position behind them.
  void take(DocumentPtr reply, const char* events) {
    const auto token = find(reply->bson, "cursor.postBatchResumeToken");
    bson_reinit(&position_.bson);
    bson_append_iter(&position_.bson, "resumeAfter", -1, &token);
    auto batch = std::make_shared<Batch>();
    batch->reply = std::move(reply);
    // A token's _data is hex: "82", the seconds, the increment, …
    batch->end = std::stoull(text(batch->reply->bson, "cursor.postBatchResumeToken._data").substr(2, 16), nullptr, 16);

    std::vector<std::vector<Change>> sorted(queues_.size());
    each(view_at(find(batch->reply->bson, events)), [&](View event) {
      auto change = decode(event);
      if (change.op == Op::none) return;
      change.batch = batch;
      ++batch->left;
      sorted[change.key % queues_.size()].push_back(std::move(change));
    });
    const std::scoped_lock lock(mutex_);
    in_flight_.push_back(batch);
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      auto& queue = queues_[i];
      std::move(sorted[i].begin(), sorted[i].end(), std::back_inserter(queue.changes));
      if (!queue.changes.empty()) queue.ready.notify_one();
    }
    advance();
  }

  Change decode(View event) {
    Change out;
    const auto bson = event.bson();
    std::string_view type, db, collection;
    View full, diff;
    bson_iter_t at;
    bson_iter_init(&at, &bson);
    while (bson_iter_next(&at)) {
      const std::string_view key = bson_iter_key(&at);
      if (key == "operationType") {
        type = bson_iter_utf8(&at, nullptr);
      } else if (key == "fullDocument") {
        full = view_at(at);
      } else if (key == "rawUpdateDescription") {
        diff = view_at(at);
      } else if (key == "documentKey") {
        out.id = view_at(at);
      } else if (key == "ns") {
        const auto ns = view_at(at).bson();
        bson_iter_t part;
        bson_iter_init(&part, &ns);
        while (bson_iter_next(&part)) {
          (std::strcmp(bson_iter_key(&part), "db") == 0 ? db : collection) = bson_iter_utf8(&part, nullptr);
        }
      }
    }
    if (!out.id || !selected(options_, db, collection)) return out;
    out.op = type == "insert" ? Op::insert : type == "replace" ? Op::replace : type == "update" ? Op::diff : Op::erase;
    out.body = out.op == Op::diff ? diff : full;
    out.ns = *names_.emplace(std::string(db) + '.' + std::string(collection)).first;
    out.key = std::hash<std::string_view>{}({reinterpret_cast<const char*>(out.id.data), out.id.size}) ^
              (std::hash<std::string_view>{}(out.ns) << 1);
    return out;
  }

  // Called with mutex_ held: moves the position over the batches that are written.
  void advance() {
    while (!in_flight_.empty() && in_flight_.front()->left == 0) {
      replicated_ = in_flight_.front()->end;
      in_flight_.pop_front();
    }
    room_.notify_all();
  }

  void apply_all(Queue& queue) {
    Client target(options_.target);
    std::vector<Change> taken;
    for (;;) {
      taken.clear();
      {
        std::unique_lock lock(mutex_);
        queue.ready.wait(lock, [&] { return !queue.changes.empty() || closed_ || failed_; });
        if (queue.changes.empty() || failed_) return;
        for (std::size_t bytes = 0; !queue.changes.empty() && taken.size() < kApplyOps && bytes < kApplyBytes;) {
          bytes += queue.changes.front().body.size;
          taken.push_back(std::move(queue.changes.front()));
          queue.changes.pop_front();
        }
      }
      reduce(taken);
      write(target, taken);
      const std::scoped_lock lock(mutex_);
      for (auto& change : taken) --change.batch->left;
      advance();
    }
  }

  // Leaves out what a later insert, replacement or deletion of the same document makes superfluous.
  // A document whose first change is an insert was not there before, any other one was.
  static void reduce(std::vector<Change>& changes) {
    struct Fate {
      bool settled = false, existed = false;
    };
    std::unordered_map<std::size_t, Fate> fates;
    for (auto c = changes.rbegin(); c != changes.rend(); ++c) {
      auto& fate = fates[c->key];
      fate.existed = c->op != Op::insert;
      if (fate.settled) c->op = Op::none;
      fate.settled = fate.settled || c->op != Op::diff;
    }
    for (auto& c : changes) {
      const bool existed = fates[c.key].existed;
      if (c.op == Op::insert || c.op == Op::replace) c.op = existed ? Op::replace : Op::insert;
      if (c.op == Op::erase && !existed) c.op = Op::none;
    }
  }

  // A BSON array in the making.
  struct Array {
    Document document;
    std::uint32_t count = 0;
    void append(const bson_t& value) {
      char buffer[16];
      const char* key;
      const auto length = bson_uint32_to_string(count++, &key, buffer, sizeof buffer);
      bson_append_document(&document.bson, key, static_cast<int>(length), &value);
    }
  };

  struct Command {
    std::string db;
    bson_t* bson;
  };

  // After reduce() a deletion is its document's only change, and an insert its first one.
  static void write(Client& target, const std::vector<Change>& changes) {
    std::map<std::string_view, std::pair<Array, Array>> bulk;  // by collection: inserts, _ids to delete
    Array ops;
    for (const auto& c : changes) {
      switch (c.op) {
        case Op::none:
          break;
        case Op::insert:
          bulk[c.ns].first.append(c.body.bson());
          break;
        case Op::erase:
          append_id(bulk[c.ns].second, c.id);
          break;
        case Op::replace:
        case Op::diff:
          append_op(ops, c);
          break;
      }
    }
    std::vector<Command> commands;
    for (auto& [ns, both] : bulk) {
      const std::string db(ns.substr(0, ns.find('.'))), name(ns.substr(ns.find('.') + 1));
      auto& [inserts, deletes] = both;
      if (deletes.count > 0) {
        auto* ids = BCON_NEW("_id", "{", "$in", BCON_ARRAY(&deletes.document.bson), "}");
        commands.push_back({db, BCON_NEW("delete", BCON_UTF8(name.c_str()), "deletes", "[", "{", "q",
                                         BCON_DOCUMENT(ids), "limit", BCON_INT32(0), "}", "]")});
        bson_destroy(ids);
      }
      if (inserts.count > 0) {
        commands.push_back(
            {db, BCON_NEW("insert", BCON_UTF8(name.c_str()), "documents", BCON_ARRAY(&inserts.document.bson), "ordered",
                          BCON_BOOL(false), "bypassDocumentValidation", BCON_BOOL(true))});
      }
    }
    if (ops.count > 0) {
      commands.push_back(
          {"admin", BCON_NEW("applyOps", BCON_ARRAY(&ops.document.bson), "allowAtomic", BCON_BOOL(false),
                             "alwaysUpsert", BCON_BOOL(false), "bypassDocumentValidation", BCON_BOOL(true))});
    }
    // When a majority has the last command's writes, it has the others' too.
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const auto& [db, command] = commands[i];
      const bool last = i + 1 == commands.size();
      if (last) {
        BCON_APPEND(command, "writeConcern", "{", "w", "majority", "}");
      } else {
        BCON_APPEND(command, "writeConcern", "{", "w", BCON_INT32(1), "}");
      }
      target.run(db, command);
    }
  }

  static void append_id(Array& ids, View key) {
    char buffer[16];
    const char* index;
    const auto length = bson_uint32_to_string(ids.count++, &index, buffer, sizeof buffer);
    const auto id = find(key.bson(), "_id");
    bson_append_iter(&ids.document.bson, index, static_cast<int>(length), &id);
  }

  static void append_op(Array& ops, const Change& c) {
    Document op;
    BSON_APPEND_UTF8(&op.bson, "op", "u");
    bson_append_utf8(&op.bson, "ns", 2, c.ns.data(), static_cast<int>(c.ns.size()));
    const auto body = c.body.bson(), id = c.id.bson();
    BSON_APPEND_DOCUMENT(&op.bson, "o", &body);
    BSON_APPEND_DOCUMENT(&op.bson, "o2", &id);
    ops.append(op.bson);
  }

  const Options& options_;
  Document& position_;
  std::atomic<Time>& replicated_;
  std::unordered_set<std::string> names_;  // reader's thread; its strings stay where they are
  std::mutex mutex_;                       // guards what follows
  std::condition_variable room_;
  std::vector<Queue> queues_;
  std::deque<std::shared_ptr<Batch>> in_flight_;
  std::exception_ptr failure_;
  std::atomic<bool> closed_ = false, failed_ = false;  // written with mutex_ held
};

}  // namespace bench
