// The clone of plm_floor: threads read ranges of _id and send each reply's array
// of documents back as it came, as one insert; indexes after the data.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "floor_client.h"

namespace bench {

constexpr std::int64_t kRangeWork = 64 << 20;        // bytes of a range, counting each document's overhead:
constexpr std::int64_t kDocumentWork = 500;          // writing 1 KB costs about three times what 50 bytes do
constexpr std::int64_t kReadBytes = 2 << 20;         // of one reply while copying
constexpr std::uint32_t kIndexFirstBytes = 1 << 20;  // smaller collections get their indexes before the data

struct Collection {
  std::string db, name;
  DocumentPtr options, indexes;
  std::int64_t documents = 0;
  std::int64_t read_documents = 10'000;  // per reply
  int index_count = 0;                   // without _id's
  std::atomic<int> ranges_left = 1;
};

struct Range {
  Collection* of;
  DocumentPtr min, max;  // {_id: …}; null is open
};

// work(source, target, i) for each i below count, on so many threads; throws the first error.
template <typename Work>
void parallel(const Options& options, std::size_t count, Work work) {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < std::min<std::size_t>(count, static_cast<std::size_t>(options.threads)); ++t) {
      threads.emplace_back([&] {
        try {
          Client source(options.source), target(options.target);
          for (std::size_t i; (i = next++) < count;) work(source, target, i);
        } catch (...) {
          next = count;
          const std::scoped_lock lock(mutex);
          if (!failure) failure = std::current_exception();
        }
      });
    }
  }
  if (failure) std::rethrow_exception(failure);
}

class Clone {
 public:
  explicit Clone(const Options& options) : options_(options) {}

  void run() {
    Client source(options_.source);
    const auto reply = source.run("admin", BCON_NEW("listDatabases", BCON_INT32(1), "nameOnly", BCON_BOOL(true)));
    std::vector<std::string> names;
    each(view_at(find(reply->bson, "databases")), [&](View d) { names.push_back(text(d.bson(), "name")); });
    parallel(options_, names.size(), [&](Client& from, Client& to, std::size_t i) { list(from, to, names[i]); });

    // Collections whose indexes take longest come first, so that the builds do not pile up at the end.
    std::stable_sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
      return std::pair(a.of->documents * a.of->index_count, a.of) >
             std::pair(b.of->documents * b.of->index_count, b.of);
    });
    parallel(options_, ranges_.size(), [&](Client& from, Client& to, std::size_t i) { copy(from, to, ranges_[i]); });
  }

 private:
  void list(Client& source, Client& target, const std::string& db) {
    const auto stats = source.run(db, BCON_NEW("dbStats", BCON_INT32(1)));
    const bool large =
        number(stats->bson, "dataSize") + number(stats->bson, "objects") * kDocumentWork > 2 * kRangeWork;
    std::vector<std::unique_ptr<Collection>> found;
    source.read(db, BCON_NEW("listCollections", BCON_INT32(1), "filter", "{", "type", "collection", "}"), 1000,
                [&](View batch, bool) {
                  each(batch, [&](View entry) {
                    auto c = std::make_unique<Collection>();
                    c->db = db;
                    c->name = text(entry.bson(), "name");
                    c->options = view_at(find(entry.bson(), "options")).copy();
                    if (selected(options_, db, c->name) && !c->name.starts_with("system."))
                      found.push_back(std::move(c));
                  });
                });
    for (auto& c : found) {
      list_indexes(source, *c);
      auto ranges = large ? split(source, *c) : std::vector<Range>();
      if (ranges.empty()) ranges.push_back({c.get(), nullptr, nullptr});
      c->ranges_left = static_cast<int>(ranges.size());
      if (ranges.size() > 1 || !c->options->empty()) create(target, *c);
      const std::scoped_lock lock(mutex_);
      for (auto& r : ranges) ranges_.push_back(std::move(r));
      collections_.push_back(std::move(c));
    }
  }

  static void list_indexes(Client& source, Collection& c) {
    c.indexes = std::make_unique<Document>();
    source.read(c.db, BCON_NEW("listIndexes", BCON_UTF8(c.name.c_str())), 1000, [&](View batch, bool) {
      each(batch, [&](View spec) {
        const auto bson = spec.bson();
        if (text(bson, "name") == "_id_") return;
        bson_append_document(&c.indexes->bson, std::to_string(c.index_count++).c_str(), -1, &bson);
      });
    });
  }

  // Ranges of about kRangeWork, bounded by sampled _ids; none when the collection is small.
  static std::vector<Range> split(Client& source, Collection& c) {
    const std::string ns = c.db + "." + c.name;
    const auto stats = source.run(c.db, BCON_NEW("dataSize", BCON_UTF8(ns.c_str()), "estimate", BCON_BOOL(true)));
    const auto bytes = number(stats->bson, "size");
    c.documents = number(stats->bson, "numObjects");
    const auto count = (bytes + c.documents * kDocumentWork) / kRangeWork + 1, samples_per_range = std::int64_t{16};
    std::vector<Range> out;
    if (count < 3) return out;
    c.read_documents = std::clamp<std::int64_t>(kReadBytes / (bytes / c.documents), 1, 100'000);
    std::int64_t seen = 0;
    DocumentPtr last;
    auto* pipeline = BCON_NEW("0", "{", "$sample", "{", "size", BCON_INT64(count * samples_per_range), "}", "}",  //
                              "1", "{", "$project", "{", "_id", BCON_INT32(1), "}", "}",                          //
                              "2", "{", "$sort", "{", "_id", BCON_INT32(1), "}", "}");
    source.read(c.db,
                BCON_NEW("aggregate", BCON_UTF8(c.name.c_str()), "pipeline", BCON_ARRAY(pipeline), "cursor", "{", "}"),
                100'000, [&](View batch, bool) {
                  each(batch, [&](View id) {
                    const auto bson = id.bson();
                    if (++seen % samples_per_range != 0 || (last && bson_equal(&last->bson, &bson))) return;
                    out.push_back({&c, std::move(last), id.copy()});
                    last = id.copy();
                  });
                });
    bson_destroy(pipeline);
    out.push_back({&c, std::move(last), nullptr});
    return out;
  }

  void copy(Client& source, Client& target, const Range& range) {
    auto& c = *range.of;
    auto* command = BCON_NEW("find", BCON_UTF8(c.name.c_str()), "hint", "{", "_id", BCON_INT32(1), "}", "batchSize",
                             BCON_INT64(c.read_documents));
    if (range.min) BSON_APPEND_DOCUMENT(command, "min", &range.min->bson);
    if (range.max) BSON_APPEND_DOCUMENT(command, "max", &range.max->bson);
    bool first = true, indexed = false;
    source.read(c.db, command, c.read_documents, [&](View batch, bool last) {
      const bool small = first && last && batch.size <= kIndexFirstBytes;
      if (small && !range.min && !range.max) {
        finish(target, c, batch.size <= 5);
        indexed = true;
      }
      if (batch.size > 5) insert(target, c, batch);
      first = false;
    });
    if (--c.ranges_left == 0 && !indexed) finish(target, c, false);
  }

  static void insert(Client& target, const Collection& c, View batch) {
    auto* command = BCON_NEW("insert", BCON_UTF8(c.name.c_str()), "ordered", BCON_BOOL(false),
                             "bypassDocumentValidation", BCON_BOOL(true), "writeConcern", "{", "w", "majority", "}");
    const auto documents = batch.bson();
    BSON_APPEND_ARRAY(command, "documents", &documents);
    target.run(c.db, command);
  }

  static void create(Client& target, const Collection& c) {
    auto* command = BCON_NEW("create", BCON_UTF8(c.name.c_str()));
    bson_concat(command, &c.options->bson);
    target.run(c.db, command);
  }

  // Builds all indexes of a collection, which insert or createIndexes itself creates where it is simple.
  static void finish(Client& target, const Collection& c, bool empty) {
    if (c.index_count > 0) {
      target.run(c.db, BCON_NEW("createIndexes", BCON_UTF8(c.name.c_str()), "indexes", BCON_ARRAY(&c.indexes->bson)));
    } else if (empty && c.options->empty()) {
      create(target, c);
    }
  }

  const Options& options_;
  std::mutex mutex_;  // guards what follows while listing
  std::vector<std::unique_ptr<Collection>> collections_;
  std::vector<Range> ranges_;
};

}  // namespace bench
