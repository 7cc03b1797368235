// The saved state of a simulated run: seams/state_store.h in memory. It survives
// crashes of the process. One thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "memory/deployment.h"
#include "memory/faults.h"
#include "seams/state_store.h"

namespace plm {

class MemoryStateStore final : public StateStore {
 public:
  // `faults` outlives the store.
  explicit MemoryStateStore(FaultPlan& faults) : faults_(faults), saved_(std::make_shared<Saved>()) {}
  // What another process sees of the same state.
  [[nodiscard]] MemoryStateStore of_another_process() const { return {faults_, saved_}; }

  Result<std::vector<bson::Document>> load(const std::string& set) override;
  Status save(std::span<const StoreChange> changes) override;
  Status clear() override;
  Result<LeaseSight> look_at_lease() override;
  Result<Epoch> take_lease(const LeaseOwner& owner, Epoch seen) override;
  Status renew_lease() override;
  Status release_lease() override;

 private:
  struct Saved {
    std::map<std::string, std::map<bson::OwnedValue, bson::Document, IdLess>> sets;
    LeaseSight lease;
  };
  MemoryStateStore(FaultPlan& faults, std::shared_ptr<Saved> saved) : faults_(faults), saved_(std::move(saved)) {}
  [[nodiscard]] Status check_epoch() const;

  FaultPlan& faults_;
  std::shared_ptr<Saved> saved_;
  Epoch epoch_ = 0;  // that of the lease when it was taken here; who never took it may save until somebody does
};

}  // namespace plm
