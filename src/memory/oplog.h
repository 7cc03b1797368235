// The oplog of a MemoryDeployment, as a change stream over it shows it: cluster
// time, raw change events, resume tokens. One thread.
//
// The shapes of the events were read off mongod 6.0.5 with
// {allChangesForCluster, showExpandedEvents, showSystemEvents,
// showRawUpdateDescription}:
//   [to | txnNumber, lsid], _id: {_data}, operationType, clusterTime,
//   [collectionUUID], wallTime, [fullDocument], ns: {db, [coll]},
//   [documentKey: {_id}], [rawUpdateDescription: {$v: 2, diff}], [operationDescription]
// - create: the options and idIndex; none of the latter for views, version 1, and clustered
//   collections. Views (create, modify, drop) have no collectionUUID.
// - rename: `to` in front, operationDescription: {to, dropTarget: UUID of what is
//   dropped}; there is no drop event for that one.
// - createIndexes: one event for all indexes of a command. dropIndexes: one event
//   for each index, also for "*".
// - modify: the fields of the collMod, without those of an index that it left as
//   it was (so it may be empty); numbers may have become 64-bit. The real event
//   also has stateBeforeChange, which is left out here.
// - A time-series collection has the events of its buckets; those of its view (create
//   behind, drop in front of theirs) mean nothing. That of its modify is left out here.
// - drop: nothing more. dropDatabase: ns has only db; before it come the drops of
//   the collections, none of the views.
// - The events of a transaction have one clusterTime, txnNumber and lsid. A
//   collection may be created in one.
// - An insertion into a full capped collection is followed by the deletions of
//   what it pushed out.
// - A rename to another database is create of a temporary collection there, its
//   createIndexes, its inserts, rename, drop. convertToCapped is create of a temporary capped
//   collection, *no* inserts, rename with dropTarget.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "bson/document.h"
#include "model/cluster_time.h"
#include "model/namespace.h"
#include "model/uuid.h"

namespace plm {

// A place in the oplog. The events of one cluster time are numbered from 1; 0 is
// in front of them all, where the token of an idle stream stands.
struct OplogPlace {
  ClusterTime time;
  std::uint32_t number = 0;
  auto operator<=>(const OplogPlace&) const = default;

  // {_data: "82", seconds, increment, number}, in hex.
  [[nodiscard]] bson::Document token() const;
  // Errors: server, 9 (not a token of ours).
  static Result<OplogPlace> parse(bson::View token);
};

struct OplogEvent {
  OplogPlace place;
  bson::Document event;
};

class MemoryOplog {
 public:
  // What one document event says. `full_document` is for insert and replace,
  // `diff` for update.
  struct DocumentEvent {
    std::string_view type;
    Namespace ns;
    Uuid uuid;
    bson::Value id;
    bson::View full_document = {};
    bson::View diff = {};
  };
  struct DdlEvent {
    std::string_view type;
    Namespace ns;    // no collection: a whole database
    Uuid uuid = {};  // nil: none
    std::optional<bson::View> description = {};
    const Namespace* to = nullptr;
  };

  // Without events only the time goes on: nobody reads a target's oplog.
  explicit MemoryOplog(bool keeps_events) : keeps_events_(keeps_events) {}

  void add_write(const DocumentEvent& event);
  void add_ddl(const DdlEvent& event);
  // An entry that no event shows.
  ClusterTime add_note() { return tick(); }

  // Between the two, all events get one cluster time.
  void begin_transaction();
  void end_transaction();

  // Forgets what is older.
  void truncate(ClusterTime oldest);

  [[nodiscard]] ClusterTime oldest() const { return oldest_; }
  [[nodiscard]] ClusterTime newest() const { return newest_; }
  // Where a stream stands that has read everything.
  [[nodiscard]] OplogPlace end() const;
  // The first event behind a place; null when there is none.
  [[nodiscard]] const OplogEvent* after(const OplogPlace& place) const;

 private:
  ClusterTime tick();
  OplogPlace next_place();
  void begin_event(bson::Builder& out, const OplogPlace& place, std::string_view type, const Uuid& uuid);

  bool keeps_events_;
  std::deque<OplogEvent> events_;
  ClusterTime oldest_;
  ClusterTime newest_{1'700'000'000, 1};
  bool in_transaction_ = false;
  std::uint32_t transaction_events_ = 0;
  std::int64_t transactions_ = 0;
};

// The event with the public updateDescription in the place of
// rawUpdateDescription; other events as they are.
[[nodiscard]] bson::Document with_public_description(const bson::Document& event);

}  // namespace plm
