// The saved form of a job: documents in the state store, and back. Everything
// has a format version; a newer one is refused, a torn one is an error that
// names it.
//
//   state/"job"       what the user asked for, the job's state; written by the Controller
//   state/"position"  the stream's safe position and counters; written by the Router's saves,
//                     always after the collections, ranges and parked documents of the same instant
//   collections/UUID  name, options, twin, indexes      (views: "view:db.name")
//   ranges/{u,n}      bounds and state
//   parked/{u,k}      operations that could not be applied
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/catalog.h"
#include "seams/state_store.h"

namespace plm {

inline constexpr std::int32_t kFormatVersion = 1;

struct SavedPosition {
  Position position;
  ClusterTime complete;
  // Until the stream has passed this, the target may hold documents newer than
  // the position: "completed" and finalize wait for it.
  ClusterTime dirty_until;
  std::int64_t events_read = 0;
  std::int64_t events_applied = 0;
  CollectionStats copied_and_removed;  // of the catalog
  bool clone_completed = false;
  bool sync_completed = false;
  ClusterTime clone_completed_at;  // the source's time at which the clone was complete
  // DDL up to these times is already in the listing that the job began with.
  ClusterTime listed_at;
  std::map<std::string, ClusterTime> listed_later;  // databases that were listed again
  // Collections that the DDL event behind the position is about to drop: a twin
  // of theirs that is gone was dropped by us.
  std::vector<Uuid> dropping;
};

struct ParkedDocument {
  Uuid collection;
  Namespace ns;
  bson::OwnedValue id;
  std::string reason;

  // "db.coll _ID: reason", for people, the _id as JSON; name() is the part before it.
  [[nodiscard]] std::string name() const { return ns.text() + " " + bson::to_json(id.value()); }
  [[nodiscard]] std::string text() const { return name() + ": " + reason; }
};

[[nodiscard]] bson::Document to_document(const Collection& collection);
[[nodiscard]] bson::Document to_document(const CollectionSpec& view);
[[nodiscard]] bson::Document to_document(const Uuid& uuid, std::size_t index, const Range& range);
[[nodiscard]] bson::Document to_document(const SavedPosition& position);
[[nodiscard]] bson::Document to_document(const ParkedDocument& parked);

// Errors of all: stored_format.
[[nodiscard]] Result<Collection> collection_from(bson::View document);
[[nodiscard]] Result<CollectionSpec> view_from(bson::View document);
struct SavedRange {
  Uuid collection;
  std::size_t index = 0;
  Range range;
};
[[nodiscard]] Result<SavedRange> range_from(bson::View document);
[[nodiscard]] Result<SavedPosition> position_from(bson::View document);
[[nodiscard]] Result<ParkedDocument> parked_from(bson::View document);

// The saves that bring the store to the catalog's present state; `position` last.
[[nodiscard]] std::vector<StoreChange> changes_to_save(const Catalog& catalog, const Catalog::Changes& changes,
                                                       const std::optional<SavedPosition>& position);
[[nodiscard]] StoreChange park(const ParkedDocument& parked);
[[nodiscard]] StoreChange unpark(const Uuid& collection, const bson::Value& id);

struct SavedJob {
  Catalog catalog;
  SavedPosition position;
  std::vector<ParkedDocument> parked;
};
// None when no position was ever saved: the job had not come to its first range.
[[nodiscard]] Result<std::optional<SavedJob>> load_job(StateStore& store);

}  // namespace plm
