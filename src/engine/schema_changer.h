// Carries out a change of the source's collections on the target and in the
// catalog, while the stream waits at its event:
//
//   draining  workers of the collections come to rest; for a structural change,
//             everything sent is acknowledged
//   intent    structural: the position right before the event is saved, so that
//             nothing older is replayed after the change
//   effect    the change is made on the target, then in the catalog
//   result    a new collection is saved: before anything is written to its twin,
//             or before its twin is created
//
// A crash at any point meets the event again; every effect can be repeated.
// Passive; the Router's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "engine/catalog.h"
#include "engine/catalog_change.h"
#include "engine/copy_scheduler.h"
#include "engine/index_scheduler.h"
#include "engine/job_saves.h"
#include "engine/parking.h"
#include "engine/schema_change.h"
#include "engine/sender.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

class SchemaChanger {
 public:
  struct Parts {  // all outlive the changer
    Source& source;
    Target& target;
    Clock& clock;
    Catalog& catalog;
    Sender& sender;
    CopyScheduler& copying;
    IndexScheduler& indexing;
    JobSaves& saves;
    Parking& parking;
  };
  explicit SchemaChanger(Parts parts) : parts_(parts) {}

  void begin(SchemaChange change, ClusterTime time);
  [[nodiscard]] bool busy() const { return pending_.has_value(); }
  // It is busy with nothing but the name of a twin.
  [[nodiscard]] bool is_moving() const { return pending_ && pending_->change.kind == SchemaChange::Kind::move; }
  // True: something moved. The change is over when busy() is false. Errors: those
  // of the servers; the retryable ones may be followed by another advance().
  Result<bool> advance();

 private:
  enum class Stage { draining, intent, effect, result };
  struct Pending {
    SchemaChange change;
    ClusterTime time;
    Stage stage = Stage::draining;
    std::uint64_t intent_save = 0;  // 0: not begun
    std::uint64_t result_save = 0;
    SteadyTime last_abort{};  // of index builds in the way
    ChangeOutcome outcome;
  };

  [[nodiscard]] std::vector<Collection*> involved();
  [[nodiscard]] bool refused_by_builds() const;
  [[nodiscard]] Result<bool> drained();
  [[nodiscard]] bool intent_saved();
  [[nodiscard]] bool result_saved();
  Status abort_builds();

  Status carry_out();
  Status create();
  Status look_up();
  Result<CollectionSpec> describe(const SchemaChange& change);
  Status drop(const Uuid& uuid);
  Status rename();
  Status modify();
  Status modify_twin(const Twin& twin, bson::View modification);
  Status drop_replaced_view();
  Status drop_indexes();
  Status change_views();
  void take_into_catalog();

  Parts parts_;
  std::optional<Pending> pending_;
};

}  // namespace plm
