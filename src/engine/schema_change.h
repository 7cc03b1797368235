// What a DDL event means for the target. Pure: from the event, the catalog and
// the filter to a plan; the Router carries it out.
//
// Identity is the UUID, a view's is its name. Where a collection comes from is
// what the catalog says, never the event's namespace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/catalog.h"
#include "model/change_event.h"
#include "model/filter.h"

namespace plm {

struct SchemaChange {
  enum class Kind {
    none,    // nothing to do for the target
    create,  // a collection that begins empty
    copy,    // a collection whose documents have to be copied: capped (filled without events), renamed into the filter
    drop,    // dropped, or renamed out of the filter
    rename,
    modify,  // collMod of a collection
    create_indexes,
    drop_indexes,
    create_view,
    modify_view,
    drop_view,
    drop_views,  // all of a database
    move,        // no event: a twin gets another name than the working name it has
  };
  Kind kind = Kind::none;
  Uuid collection;                 // nil for views
  Namespace ns;                    // of the result: the new name for a rename
  std::optional<Uuid> replaced;    // known collection that makes way
  bool replaces_view = false;      // the catalog has a view of that name, which no event has dropped
  bson::Document options;          // create, copy, create_view: options; modify, modify_view: the collMod's fields
  std::vector<IndexSpec> indexes;  // create_indexes, drop_indexes
  bool needs_listing = false;      // copy: options and indexes have to be asked of the source; a nil UUID, too
  std::string warning;             // for people; empty: none

  // Changes of identity or name: everything sent before is acknowledged before they
  // run.
  [[nodiscard]] bool is_structural() const {
    return kind == Kind::create || kind == Kind::copy || kind == Kind::drop || kind == Kind::rename ||
           kind == Kind::move || replaced.has_value();
  }
  // What a restart would not make out from the UUIDs on the target alone.
  [[nodiscard]] bool needs_intent() const { return is_structural() && kind != Kind::move; }
};

[[nodiscard]] std::string_view name_of(SchemaChange::Kind kind);  // "drop indexes", for the log

[[nodiscard]] SchemaChange plan_schema_change(const ChangeEvent& event, Catalog& catalog, const Filter& filter);

// A collection's options and indexes after a collMod. Fields that concern an
// index change the index only.
void apply_modification(bson::View modification, Collection& collection);

// The part of a collMod that the target gets while the job runs: nothing that
// would reject or remove documents, nothing about indexes (they are plain until
// finalize) or a capped collection's size. None when nothing is left.
[[nodiscard]] std::optional<bson::Document> modification_for_target(bson::View modification);

}  // namespace plm
