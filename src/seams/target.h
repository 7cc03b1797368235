// The seam to the target replica set. src/mongo implements it with libmongoc,
// src/memory in memory. All writes are acknowledged by a majority before a call
// returns, carry the UUID of the collection they mean (so that no name is
// created or hit by accident, I6), and bypass validators (I7). Every method may
// be called from several threads at once.
//
// A call that fails with a network error has an unknown outcome. Of insert, apply
// and clear_range: what such a call has sent is shut out before any later one of
// them, from any thread, sends something; so it never takes effect behind what
// was written later (I6); for an insert that is fenced by name, the caller sees to
// that. All of them fail with `superseded` when another process has taken over.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/collection.h"
#include "model/range.h"
#include "seams/lease.h"
#include "seams/source.h"

namespace plm {

// One operation of an apply_ops call. `twin` and the views outlive the call.
struct TargetOperation {
  enum class Kind {
    insert,   // the whole document, replacing what is there; any order among neighbours of one collection
    upsert,   // the whole document, replacing what is there
    replace,  // the same, faster where a document is there
    diff,     // a $v:2 diff; never creates a document
    erase,    // fine when the document does not exist
  };
  Kind kind = Kind::upsert;
  const Twin* twin = nullptr;
  bson::Value id;
  bson::View body;  // insert, upsert, replace: the document; diff: {$v: 2, diff: {...}}
};

// What became of one operation that did not simply succeed.
struct OperationFailure {
  std::size_t index = 0;  // into the operations of the call
  enum class Kind {
    missing,   // a diff found no document
    rejected,  // the server cannot apply it; see `error`
  };
  Kind kind = Kind::missing;
  Error error;
};

struct IndexResult {
  std::string name;
  Status status;
};

// How a target applies changes; found by probing, never assumed.
enum class ApplyMode {
  exact,     // applyOps with the diffs that secondaries apply
  portable,  // insert, update, delete; a document that was updated is read again
};

// What keeps an insert whose outcome is unknown from taking effect behind later writes.
enum class InsertFence {
  number,  // it is shut out before anything else is sent
  name,    // cheaper: it is shut out when the twin gets another name, and not before
};

// Asked now and then by a call that may wait for long; true ends the call. May
// be empty.
using Cancelled = std::function<bool()>;

class Target {
 public:
  virtual ~Target() = default;

  // This process has taken the lease: nothing that was sent under an older epoch
  // takes effect any more, and what is written from here on is of this epoch.
  // Before any write; no other call is under way. It may be repeated.
  virtual Status take_over(Epoch epoch) = 0;

  virtual Result<ServerInfo> info() = 0;
  // Errors: unauthorized, naming each missing privilege.
  virtual Status check_privileges() = 0;
  // Tries out on a scratch collection of the state database what the server
  // allows. The scratch collection is removed.
  virtual Result<ApplyMode> probe_apply_mode() = 0;

  // Processor cores of the primary's machine; 0 when the server does not say.
  virtual Result<int> processors() = 0;

  virtual Result<std::vector<std::string>> list_databases() = 0;
  // As a source's, with the lost halves of time-series: a collection of their name
  // could not be used.
  virtual Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases) = 0;
  virtual Result<std::int64_t> count_documents(const Namespace& ns) = 0;
  // A hash over the _ids in natural order: what two capped collections are compared by.
  virtual Result<std::size_t> natural_order(const Namespace& ns) = 0;

  // Creates a collection or a view (nil UUID). The name of buckets means their
  // time-series collection, whose view is created, modified and dropped with them.
  // Errors: namespace_exists.
  virtual Result<Uuid> create(const Namespace& ns, bson::View options) = 0;
  // Not an error when nothing of this name and UUID exists.
  virtual Status drop(const Twin& twin) = 0;
  // Drops a view, by name. Not an error when no view has it; a collection that
  // has it stays.
  virtual Status drop_view(const Namespace& ns) = 0;
  virtual Status rename(const Twin& from, const Namespace& to) = 0;
  // `change` holds the fields of the collMod command behind its name. A nil UUID means a view.
  virtual Status modify(const Twin& twin, bson::View change) = 0;
  // One result for each index; an index that exists with the same spec is a
  // success. When one fails the others are still built. A call that is cancelled
  // ends within seconds with `cancelled` for what is not finished; the server goes
  // on building, and the same call waits for that build.
  virtual std::vector<IndexResult> create_indexes(const Twin& twin, const std::vector<IndexSpec>& indexes,
                                                  const Cancelled& cancelled = {}) = 0;
  // Not an error when it does not exist. Ends a build that is running.
  virtual Status drop_index(const Twin& twin, const std::string& name) = 0;
  // Ends every index build that runs on the collection, whoever began it. Not an
  // error when there is none.
  virtual Status abort_builds(const Twin& twin) = 0;
  virtual Result<std::vector<IndexSpec>> list_indexes(const Twin& twin) = 0;

  // The documents of a range in the order of _id, by UUID and majority: all that is
  // acknowledged is in it. As before a write, what calls of unknown outcome have sent
  // is shut out first, so nothing of the past changes what was read. Errors:
  // not_found when the twin does not exist; superseded.
  virtual Result<std::unique_ptr<RangeReader>> read_range(const Twin& twin, const KeyBounds& bounds,
                                                          std::int64_t batch_bytes) = 0;

  // Inserts an array of documents; one whose _id exists replaces what is there.
  // `documents` is a BSON array of at most 16 MB. The failures are those of
  // single documents, by position in the array.
  virtual Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents,
                                                       InsertFence fence = InsertFence::number) = 0;
  // Applies operations in order. Those that fail do not stop the others.
  virtual Result<std::vector<OperationFailure>> apply(std::span<const TargetOperation> operations) = 0;
  // Removes every document of the range (before it is copied again).
  virtual Status clear_range(const Twin& twin, const KeyBounds& bounds) = 0;
};

}  // namespace plm
