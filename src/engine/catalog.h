// What the job knows of the source's collections at the stream's position, and
// how far each of them is. Owned by the Router's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/keep.h"
#include "engine/operation.h"
#include "model/collection.h"
#include "model/range.h"
#include "seams/source.h"

namespace plm {

// pending ──assigned──► copying ──"range copied"──► confirming ──acks──► copied
//    ▲                     │                            (kept events are sent)
//    └──── discarded ──────┘
enum class RangeState {
  pending,     // its events are dropped: the copy will read them
  copying,     // its events are kept
  confirming,  // its events are sent; those kept are not yet acknowledged
  copied,
};

struct Range {
  KeyBounds bounds;
  RangeState state = RangeState::pending;
  bool touched = false;  // the target may hold documents of an unfinished copy

  // While copying:
  ClusterTime start;  // position at which the Router started it
  std::unique_ptr<Keep> keep;
  bool to_clear = false;               // its copy has not come to that yet
  CollectionStats copied;              // by this copy
  bson::OwnedValue resume_at;          // where a stopped copy goes on (inclusive)
  std::uint64_t confirmed_behind = 0;  // confirming: number of the last kept operation sent
};

enum class IndexState {
  waiting,  // for the data, or for a builder
  building,
  built,     // in its plain form
  failed,    // tried; tried again at finalize
  deferred,  // its plain form collides with another index: made at finalize
};

struct IndexTask {
  IndexSpec spec;  // as on the source
  IndexState state = IndexState::waiting;
  std::string reason;  // why it failed
};

// A collection's way before its documents can be written.
enum class TwinState {
  wanted,     // is to be created on the target
  preparing,  // a worker creates it
  unsaved,    // created; its UUID is not yet saved
  ready,
};

struct Collection {
  CollectionSpec spec;  // name and options at the stream's position; indexes are in `indexes`
  TwinState twin_state = TwinState::wanted;
  std::shared_ptr<const CollectionRef> ref;  // from twin_state unsaved on
  bool planned = false;                      // ranges were made
  std::vector<Range> ranges;                 // ascending, without gaps
  std::vector<IndexTask> indexes;
  bool building = false;  // an index builder has this collection
  // The twin held documents when the job was copied again: ranges are compared
  // with it, never cleared (range_merge.h).
  bool merges = false;
  CollectionStats estimate;
  CollectionStats copied;
  std::optional<SteadyTime> copy_began;  // by this process
  std::size_t ranges_unfinished = 0;     // neither confirming nor copied
  std::size_t ranges_unconfirmed = 0;    // not copied

  [[nodiscard]] const Uuid& uuid() const { return spec.uuid; }
  [[nodiscard]] bool data_copied() const { return planned && ranges_unfinished == 0; }
  [[nodiscard]] bool confirmed() const { return planned && ranges_unconfirmed == 0; }
  // Its twin, if there is one, has no working name any more.
  [[nodiscard]] bool has_its_name() const { return !ref || !ref->under_working_name; }
  // The range that holds this _id. `planned` must hold.
  [[nodiscard]] Range& range_of(const bson::Value& id);
  [[nodiscard]] IndexTask* find_index(const std::string& name);
  [[nodiscard]] std::size_t count_indexes(IndexState state) const;
  // "db.coll NAME: reason" of those that failed, for people, added until there are ten.
  void name_failed_indexes(std::vector<std::string>& out) const;
};

class Catalog {
 public:
  // Identity of what changed since the last save, for the state store.
  struct Changes {
    std::set<Uuid> collections;
    std::set<std::pair<Uuid, std::size_t>> ranges;
    std::map<Uuid, std::size_t> removed;  // with the number of ranges that were saved
    std::set<Namespace> views;
    std::set<Namespace> removed_views;
  };

  [[nodiscard]] Collection* find(const Uuid& uuid);
  Collection& add(Collection collection);
  void remove(const Uuid& uuid);
  // What was copied, removed collections included: it never goes back.
  [[nodiscard]] CollectionStats copied() const;
  // The part of it that is of removed collections.
  [[nodiscard]] const CollectionStats& copied_and_removed() const { return copied_and_removed_; }
  void restore_copied_and_removed(const CollectionStats& saved) { copied_and_removed_ = saved; }

  [[nodiscard]] CollectionSpec* find_view(const Namespace& ns);
  void put_view(CollectionSpec view);
  void remove_view(const Namespace& ns);

  [[nodiscard]] std::unordered_map<Uuid, Collection, UuidHash>& collections() { return collections_; }
  [[nodiscard]] const std::unordered_map<Uuid, Collection, UuidHash>& collections() const { return collections_; }
  [[nodiscard]] const std::map<Namespace, CollectionSpec>& views() const { return views_; }

  void touch(const Collection& collection) { changes_.collections.insert(collection.uuid()); }
  void touch(const Collection& collection, const Range& range);
  void touch_all(const Collection& collection);
  [[nodiscard]] bool has_changes() const;
  [[nodiscard]] Changes take_changes() { return std::exchange(changes_, {}); }

 private:
  std::unordered_map<Uuid, Collection, UuidHash> collections_;
  std::map<Namespace, CollectionSpec> views_;
  Changes changes_;
  CollectionStats copied_and_removed_;
};

}  // namespace plm
