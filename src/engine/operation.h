// One change of one document on its way from the Router to an applier.
#pragma once

#include <cstdint>
#include <memory>

#include "model/change_event.h"
#include "model/collection.h"

namespace plm {

// What an operation needs to know of its collection. Immutable: a rename makes
// a new one after everything sent under the old one has been acknowledged.
struct CollectionRef {
  Uuid source_uuid;
  std::string source_database;
  Twin twin;
  bool strictly_ordered = false;
};

enum class OperationKind {
  insert,
  replace,
  update,
  erase,
  reread,  // bring the target to what the source holds for this _id (not before `time`)
};

// Views point into `bytes`.
struct Operation {
  std::shared_ptr<const bson::Document> bytes;
  std::shared_ptr<const CollectionRef> collection;
  OperationKind kind = OperationKind::insert;
  bson::Value id;
  bson::View body;  // insert, replace: the document; update: the $v:2 diff
  ClusterTime time;
  std::size_t key_hash = 0;
  std::uint64_t sequence = 0;
  std::uint32_t size_bytes = 0;

  // Says all there is to know of the document: earlier operations of the same
  // key are superfluous.
  [[nodiscard]] bool is_absolute() const { return kind != OperationKind::update; }
};

// What to do for a document's event, whose views point into `bytes`.
[[nodiscard]] Operation operation_of(const ChangeEvent& event, const std::shared_ptr<const bson::Document>& bytes,
                                     const std::shared_ptr<const CollectionRef>& collection);
// A copy that owns its bytes alone, so that it does not keep a whole reply alive.
[[nodiscard]] Operation detached(const Operation& operation);
// A reread of one document; owns its bytes.
[[nodiscard]] Operation make_reread(std::shared_ptr<const CollectionRef> collection, const bson::Value& id,
                                    std::size_t key_hash, ClusterTime time);

}  // namespace plm
