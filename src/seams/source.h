// The seam to the source replica set. src/mongo implements it with libmongoc,
// src/memory in memory. All calls block until the server has answered or a time
// limit of the implementation has passed; none of them retries by itself, the
// roles of the engine do. Every method may be called from several threads at
// once; the streams and readers they return belong to one thread each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/change_event.h"
#include "model/cluster_time.h"
#include "model/collection.h"
#include "model/range.h"

namespace plm {

struct ServerInfo {
  std::string version;   // "6.0.5"
  std::string set_name;  // empty: not a replica set
  // Identity of the replica set. With a slash in it: its name and members, which
  // may change; without one it is for ever.
  std::string set_id;
  bool tells_times = true;  // replies carry operation times
};

struct OplogWindow {
  ClusterTime oldest;  // of the first entry; zero: none
  ClusterTime newest;  // of the last majority-committed or applied write
  // What the oplog holds, and what it may hold before its first entries go; zero: not known.
  std::int64_t size_bytes = 0;
  std::int64_t max_bytes = 0;
};

struct CollectionStats {
  std::int64_t documents = 0;
  std::int64_t size_bytes = 0;  // of the data, uncompressed

  CollectionStats& operator+=(const CollectionStats& more) {
    documents += more.documents;
    size_bytes += more.size_bytes;
    return *this;
  }
};

// A read that decides data: by UUID, majority, not before a cluster time (I1).
struct SourceRead {
  std::string database;
  Uuid uuid;
  ClusterTime after;
  // read_documents: what was there at this very time, if the source still knows;
  // otherwise what is there now. The read time tells which. Zero: now.
  ClusterTime as_of{};
};

struct DocumentBatch {
  std::shared_ptr<const bson::Document> bytes;  // keeps `documents` alive
  bson::View documents;                         // an array of documents
  std::int64_t count = 0;
  std::int64_t size_bytes = 0;  // of the documents alone
  bson::Value last_id;          // _id of the last one; none when empty
  bool exhausted = false;       // nothing follows
  ClusterTime read_time;        // operationTime of the reply
};

// Reads one range, of a source or a target, front to back in _id order (capped: natural order).
class RangeReader {
 public:
  virtual ~RangeReader() = default;
  virtual Result<DocumentBatch> next() = 0;
};

// Reads the change stream.
class ChangeStream {
 public:
  virtual ~ChangeStream() = default;
  // Waits at most 500 ms for events; a reply without any moves Position, too.
  virtual Result<StreamReply> next() = 0;
};

struct ReadDocuments {
  std::vector<bson::Document> documents;  // those of the asked that exist
  bool complete = true;                   // false: some more may exist; at least one is here
  ClusterTime read_time;
};

class Source {
 public:
  virtual ~Source() = default;

  // Version, replica set. Also proves that the server answers.
  virtual Result<ServerInfo> info() = 0;
  // Errors: unauthorized, naming each missing privilege.
  virtual Status check_privileges() = 0;
  // Writes a no-op to the oplog, acknowledged by a majority; its cluster time.
  virtual Result<ClusterTime> append_note(const std::string& text) = 0;
  virtual Result<OplogWindow> oplog_window() = 0;

  // Names of all databases. This and the list of collections are not older than
  // what had been acknowledged by a majority before.
  virtual Result<std::vector<std::string>> list_databases() = 0;
  // Everything in these databases with complete options and indexes, without
  // temporary collections and a server's own "system." ones. Of a time-series
  // collection, its buckets. Those of one database follow each other.
  virtual Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases) = 0;
  // One collection by identity; not_found when it is gone.
  virtual Result<CollectionSpec> describe(const std::string& database, const Uuid& uuid) = 0;

  // What the server holds and plm does not replicate at all, such as users: a line
  // each, for people.
  virtual Result<std::vector<std::string>> not_carried() = 0;
  // Buckets without their time-series collection and the reverse, which
  // list_collections leaves out.
  virtual Result<std::vector<Namespace>> lost_parts(const std::string& database) = 0;

  virtual Result<CollectionStats> stats(const Namespace& ns) = 0;
  // At most `count` values of _id in the server's order, about evenly spread;
  // they are bounds for ranges and need not exist.
  virtual Result<std::vector<bson::OwnedValue>> sample_ids(const Namespace& ns, int count) = 0;
  virtual Result<std::int64_t> count_documents(const Namespace& ns) = 0;
  // A hash over the _ids in natural order: what two capped collections are compared by.
  virtual Result<std::size_t> natural_order(const Namespace& ns) = 0;

  struct RangeOptions {
    bool natural_order = false;        // capped collections
    std::int32_t batch_documents = 0;  // of a batch; 0: as many as make batch_bytes
    std::int64_t batch_bytes = 0;      // aimed at; 0: the implementation's choice
  };
  virtual Result<std::unique_ptr<RangeReader>> read_range(const SourceRead& read, const KeyBounds& bounds,
                                                          const RangeOptions& options) = 0;
  // The documents with these _ids, as far as about 16 MB hold them. Errors:
  // not_found when the collection is gone.
  virtual Result<ReadDocuments> read_documents(const SourceRead& read, const std::vector<bson::OwnedValue>& ids) = 0;

  struct StreamOptions {
    bool raw_updates = true;  // rawUpdateDescription instead of updateDescription
  };
  virtual Result<std::unique_ptr<ChangeStream>> open_stream(const Position& from, const StreamOptions& options) = 0;
};

}  // namespace plm
