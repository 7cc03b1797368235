// The saved state of a simulated run: seams/state_store.h in memory. It survives
// crashes of the process, and a save that fails may have written a first part.
// One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "memory/deployment.h"
#include "memory/faults.h"
#include "seams/state_store.h"

namespace plm {

class MemoryStateStore final : public StateStore {
 public:
  // `faults` outlives the store.
  explicit MemoryStateStore(FaultPlan& faults) : faults_(faults) {}

  Result<std::vector<bson::Document>> load(const std::string& set) override;
  Status save(std::span<const StoreChange> changes) override;
  Status clear() override;

 private:
  FaultPlan& faults_;
  std::map<std::string, std::map<bson::OwnedValue, bson::Document, IdLess>> sets_;
};

}  // namespace plm
