// One event of the change stream, decoded. Views point into the reply that the
// event came in; EventBatch keeps it alive.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "bson/document.h"
#include "model/cluster_time.h"
#include "model/namespace.h"
#include "model/uuid.h"

namespace plm {

enum class EventKind {
  insert,
  update,
  replace,
  erase,
  create,
  create_indexes,
  drop_indexes,
  modify,
  rename,
  drop,
  drop_database,
  ignored,  // a kind that carries nothing to replicate; it still moves the position
};

[[nodiscard]] constexpr bool is_document_event(EventKind kind) {
  return kind == EventKind::insert || kind == EventKind::update || kind == EventKind::replace ||
         kind == EventKind::erase;
}

struct ChangeEvent {
  EventKind kind = EventKind::ignored;
  bool in_transaction = false;  // others of the same cluster time may follow
  ClusterTime time;
  Uuid uuid;  // nil for views and whole databases
  std::string_view database;
  std::string_view collection;  // empty for drop_database
  bson::Value document_id;      // _id, for events of documents
  bson::View full_document;     // insert, replace
  // update: either the diff that secondaries apply ({$v: 2, diff: {...}}), or the
  // public description (updatedFields, removedFields, truncatedArrays)
  bson::View raw_update;
  bson::View public_update;
  bson::View description;  // operationDescription of DDL events
  bson::View resume_token;
  std::uint32_t size_bytes = 0;  // of the event in the reply
  [[nodiscard]] Namespace ns() const { return {std::string(database), std::string(collection)}; }
};

// One reply of the stream, as the source gives it.
struct StreamReply {
  std::shared_ptr<const bson::Document> bytes;  // keeps `events` alive
  bson::View events;                            // an array of raw events, may be empty
  Position end;                                 // behind all of them (postBatchResumeToken)
  ClusterTime source_time;                      // operationTime of the reply
};

struct EventBatch {
  std::shared_ptr<const bson::Document> bytes;
  std::vector<ChangeEvent> events;
  Position end;
  ClusterTime source_time;
  std::size_t size_bytes = 0;
};

}  // namespace plm
