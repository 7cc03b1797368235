// Reads a range of a collection of a MemoryDeployment: see memory_source.h for how
// it behaves. One thread.
#pragma once

#include <functional>

#include "memory/deployment.h"
#include "memory/faults.h"
#include "model/range.h"
#include "seams/source.h"

namespace plm {

class MemoryReader final : public RangeReader {
 public:
  struct Place {
    Namespace ns;  // when it was opened
    Uuid uuid;
    KeyBounds bounds;
    bool natural_order = false;
    std::int64_t batch_documents = 1;
    std::int64_t batch_bytes = 0;  // 0: no limit
  };
  // `interfere` is called before each batch and between the documents of one.
  MemoryReader(MemoryDeployment& deployment, FaultPlan& faults, Place place, std::function<void()> interfere)
      : deployment_(deployment), faults_(faults), place_(std::move(place)), interfere_(std::move(interfere)) {}

  Result<DocumentBatch> next() override;

 private:
  Result<DocumentBatch> read_batch();
  // Null behind the last one.
  Result<DocumentPtr> next_by_id(const MemoryCollection& collection);
  Result<DocumentPtr> next_in_natural_order(const MemoryCollection& collection);

  MemoryDeployment& deployment_;
  FaultPlan& faults_;
  Place place_;
  std::function<void()> interfere_;
  bson::OwnedValue last_id_;
  std::uint64_t last_position_ = 0;
  bool dead_ = false;
};

}  // namespace plm
