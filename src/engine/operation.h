// One change of one document on its way from the Router to an applier. Applied
// twice it gives the same (I5): diffs of the oplog, whole documents, deletions by
// key.
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
  Namespace ns;  // of the source, at the stream's position
  Twin twin;
  bool collated = false;  // which _ids are equal is the server's affair
  bool capped = false;    // the order of insertions is part of the data
  bool under_working_name = false;

  // One order for all documents, not one for each key.
  [[nodiscard]] bool strictly_ordered() const { return collated || capped; }
};
[[nodiscard]] std::shared_ptr<const CollectionRef> make_ref(const CollectionSpec& spec, const Twin& twin);

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
  bool newest = false;  // reread: stands for an insertion

  // Says all there is to know of the document: earlier operations of the same
  // key are superfluous.
  [[nodiscard]] bool is_absolute() const { return kind != OperationKind::update; }
  // The document goes to the end of its collection's natural order, also when the
  // target has it already. An insertion that is repeated, or that meets a document
  // which the copy read later, so moves it, as those behind it will be moved: when
  // all are repeated their order is the source's again (I5).
  [[nodiscard]] bool moves_to_end() const {
    return collection->capped && (kind == OperationKind::insert || (kind == OperationKind::reread && newest));
  }
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
