// A small model of a replica set: collections and views, their documents, and an
// oplog. A source's is changed by the workload of a test through the operations
// below and read through MemorySource; a target's is changed through
// MemoryTarget. Everything is committed by a majority at once. One thread.
//
// Modelled as the server does it: identity by UUID, server error codes, capped
// collections; of indexes that they refuse duplicates (unique ones, on paths
// without arrays) and documents with arrays in two of their fields (171). Of collations only this:
// those of strength 1 and 2 take strings for the same _id that differ in the
// case of ASCII letters. Not modelled: time-series collections, validators.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bson/document.h"
#include "bson/order.h"
#include "memory/oplog.h"
#include "memory/random.h"
#include "model/collection.h"
#include "model/namespace.h"
#include "model/uuid.h"

namespace plm {

using DocumentPtr = std::shared_ptr<const bson::Document>;

// The order of _id in one collection.
struct IdLess {
  using is_transparent = void;
  bool folds_case = false;

  bool operator()(const bson::Value& left, const bson::Value& right) const;
  bool operator()(const bson::OwnedValue& left, const bson::Value& right) const { return (*this)(left.value(), right); }
  bool operator()(const bson::Value& left, const bson::OwnedValue& right) const { return (*this)(left, right.value()); }
  bool operator()(const bson::OwnedValue& left, const bson::OwnedValue& right) const {
    return (*this)(left.value(), right.value());
  }
};

struct MemoryDocument {
  DocumentPtr document;
  std::uint64_t position = 0;  // natural order: grows with each insertion
};
using MemoryDocuments = std::map<bson::OwnedValue, MemoryDocument, IdLess>;

// A collection or a view.
struct MemoryCollection {
  Namespace ns;
  Uuid uuid;                                  // nil: a view
  bson::Document options;                     // as listCollections gives them
  std::vector<IndexSpec> indexes;             // without _id_
  std::vector<IndexSpec> unfinished_indexes;  // only listed; a test puts them here
  MemoryDocuments documents;
  std::int64_t size_bytes = 0;  // of the documents

  [[nodiscard]] bool is_view() const { return uuid.is_nil(); }
  [[nodiscard]] bool is_view_of_buckets() const { return options["viewOn"].as_string().starts_with(kBucketsPrefix); }
  [[nodiscard]] bool is_temporary() const { return options["temp"].as_bool(); }
  [[nodiscard]] CollectionSpec spec() const;
  // Null when there is none.
  [[nodiscard]] DocumentPtr find(const bson::Value& id) const;
  // The documents in natural order, those behind `position` alone.
  [[nodiscard]] std::vector<MemoryDocument> natural_order(std::uint64_t behind_position = 0) const;
};

class MemoryDeployment {
 public:
  struct Options {
    std::string set_name = "rs0";
    std::uint64_t seed = 1;    // of the UUIDs; also the identity of the set
    bool keeps_events = true;  // false: nobody reads changes
  };
  explicit MemoryDeployment(Options options)
      : options_(std::move(options)), random_(options_.seed), oplog_(options_.keeps_events) {}

  // What clients of the server do. Errors: server, with its codes, such as 11000
  // for a duplicate key; what fails has changed nothing.

  // Creates the collection when it does not exist.
  Status insert(const Namespace& ns, bson::View document);
  // `diff` is what stands in the field `diff` of an update's oplog entry. Error: not_found.
  Status update(const Namespace& ns, const bson::Value& id, bson::View diff);
  // The document with the same _id. Error: not_found.
  Status replace(const Namespace& ns, bson::View document);
  // Error: not_found.
  Status erase(const Namespace& ns, const bson::Value& id);

  // All that is changed during its life is one transaction.
  class Transaction {
   public:
    explicit Transaction(MemoryOplog& oplog) : oplog_(oplog) { oplog_.begin_transaction(); }
    ~Transaction() { oplog_.end_transaction(); }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    Transaction(Transaction&&) = delete;
    Transaction& operator=(Transaction&&) = delete;

   private:
    MemoryOplog& oplog_;
  };
  [[nodiscard]] Transaction transaction() { return Transaction(oplog_); }

  // A view when the options have viewOn; its UUID is nil. A time-series collection
  // when they have timeseries: its buckets, whose UUID it is, and a view of them.
  Result<Uuid> create(const Namespace& ns, bson::View options);
  // Of a time-series collection buckets and view go together.
  Status drop(const Namespace& ns);
  Status rename(const Namespace& from, const Namespace& to, bool drop_target = false);
  // One event for those that did not exist. The first that fails stops it.
  Status create_indexes(const Namespace& ns, const std::vector<IndexSpec>& indexes);
  // "*" drops them all.
  Status drop_index(const Namespace& ns, const std::string& name);
  // `change` holds the fields of the collMod command behind its name.
  Status modify(const Namespace& ns, bson::View change);
  Status drop_database(const std::string& database);
  Status convert_to_capped(const Namespace& ns, std::int64_t size_bytes);
  // A no-op in the oplog.
  ClusterTime append_note() { return oplog_.add_note(); }
  // The oplog rolls over: streams cannot start before `oldest` any more.
  void truncate_oplog(ClusterTime oldest) { oplog_.truncate(oldest); }

  // What the seams stand on. Pointers are valid until the collection is dropped.
  [[nodiscard]] MemoryCollection* find(const Namespace& ns);
  [[nodiscard]] MemoryCollection* find(const Uuid& uuid);
  // Inserts, or replaces what has the same _id. Error: 11000, of another index.
  Status put(MemoryCollection& collection, bson::View document);
  // As update() above, by collection.
  Status change(MemoryCollection& collection, const bson::Value& id, bson::View diff);
  // Whether it existed.
  bool remove(MemoryCollection& collection, const bson::Value& id);

  [[nodiscard]] const std::map<Namespace, std::unique_ptr<MemoryCollection>>& collections() const {
    return collections_;
  }
  [[nodiscard]] const MemoryOplog& oplog() const { return oplog_; }
  [[nodiscard]] ClusterTime now() const { return oplog_.newest(); }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  Uuid new_uuid();
  MemoryCollection& add_collection(const Namespace& ns, bson::View options);
  void remove_collection(const Namespace& ns);
  Result<Uuid> create_time_series(const Namespace& ns, bson::View options);
  Status rename_across(MemoryCollection& from, const Namespace& to, bool drop_target);
  void store(MemoryCollection& collection, const bson::Value& id, DocumentPtr document);
  void evict(MemoryCollection& collection);
  Status check_indexes(const MemoryCollection& collection, bson::View document) const;
  // Whether it changed anything.
  Result<bool> modify_index(MemoryCollection& collection, bson::View change);

  Options options_;
  Random random_;
  MemoryOplog oplog_;
  std::map<Namespace, std::unique_ptr<MemoryCollection>> collections_;
  std::map<Uuid, MemoryCollection*> by_uuid_;
  std::uint64_t last_position_ = 0;
};

}  // namespace plm
