// Applies the operations of its keys to the target, in batches: takes all that
// waits, writes, acknowledges. There is no timer: at low load a batch is one
// operation and the latency one round trip; batches grow with the load.
//
// A batch is: rereads (documents read from the source), inserts in bulk, the
// rest in order. Operations that fail are answered by reading the document from
// the source and writing it whole; what cannot be written even so is parked:
// durably, before the operation counts as acknowledged (I3). While a key is
// parked, every operation for it is answered by reading again.
//
// Of a capped collection the order of insertions counts, too. Whatever begins a
// document anew first removes it; what cannot be inserted is settled before the
// next insertion goes on.
#pragma once

#include <vector>

#include "base/backoff.h"
#include "engine/applier_queue.h"
#include "engine/batch_size.h"
#include "engine/coalesce.h"
#include "engine/parking.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

class Applier final : public Role {
 public:
  struct Parts {  // all outlive the applier
    Source& source;
    Target& target;
    Parking& parking;
    Clock& clock;
    Progress& progress;
  };
  // `batch_operations`: at once; 0: as many as are written in about two seconds.
  Applier(Parts parts, std::uint64_t seed, std::size_t batch_operations)
      : parts_(parts), queue_(signal()), backoff_(seed), batch_size_(batch_operations) {}

  // The Router's end.
  [[nodiscard]] ApplierQueue& queue() { return queue_; }
  // Before the first step; raised after each acknowledgement.
  void connect(Signal& router) { router_ = &router; }

  Result<Step> step() override;

 private:
  // A document that is to be made equal to the source's.
  struct Reread {
    const Operation* operation = nullptr;
    Error reason;  // why: code 8 and so on; empty message when it was asked for
  };
  // What the source holds of some, all of one collection.
  struct Found {
    std::vector<Reread> rereads;
    std::vector<bson::Document> documents;
  };

  // The error when it is to be tried again; success when it was parked.
  Status too_large_for_cache(std::span<Operation> batch, const Error& error);
  Status apply(std::span<Operation> batch);
  void reread_what_is_parked(std::span<Operation> batch);
  Status write(const CoalescedBatch& work, std::vector<Reread>& again);
  Status remove(std::span<const Operation* const> removed);
  Status apply_capped(std::span<const Operation* const> operations, std::vector<Reread>& again);
  Result<std::size_t> apply_capped_run(std::span<const Operation* const> run, std::vector<Reread>& again);
  Status reread_in_order(std::span<const Operation* const> rereads);
  Status reread(std::vector<Reread> rereads);
  Result<ReadDocuments> read_again(std::span<const Reread> rereads);
  Status read_all_again(std::span<const Reread> rereads, std::vector<Found>& found);
  Status write_as_found(std::span<const Found> found);
  [[nodiscard]] Error fatal_or(const Error& error, const Operation& operation) const;

  Parts parts_;
  Signal* router_ = nullptr;
  ApplierQueue queue_;
  Backoff backoff_;
  int cache_refusals_ = 0;      // of the same batch, one after the other
  std::size_t one_by_one_ = 0;  // so many of the operations taken are tried alone
  BatchSize batch_size_;
  std::vector<Operation> taken_;  // from the queue
  std::size_t done_ = 0;          // of `taken_`
};

}  // namespace plm
