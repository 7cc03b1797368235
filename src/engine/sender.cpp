#include "engine/sender.h"

#include <utility>

#include "base/planted_bug.h"

namespace plm {

Sender::Sender(std::vector<ApplierQueue*> appliers, Checkpoint start, std::size_t in_flight_limit_bytes)
    : appliers_(std::move(appliers)),
      outgoing_(appliers_.size()),
      watermark_(appliers_.size(), std::move(start)),
      in_flight_limit_bytes_(in_flight_limit_bytes) {}

void Sender::send(Operation operation) {
  const CollectionRef& collection = *operation.collection;
  const std::size_t hash = collection.strictly_ordered() ? UuidHash()(collection.source_uuid) : operation.key_hash;
  const std::size_t applier = (planted_bug("wrong-order", 2) ? hash + 1 : hash) % appliers_.size();
  // One applier for each key keeps its operations in order (I2).
  operation.sequence = watermark_.send(applier);
  outgoing_[applier].push_back(std::move(operation));
}

void Sender::flush() {
  for (std::size_t i = 0; i < appliers_.size(); ++i) appliers_[i]->push(outgoing_[i]);
}

bool Sender::poll() {
  for (std::size_t i = 0; i < appliers_.size(); ++i) watermark_.acknowledge(i, appliers_[i]->acknowledged());
  const std::uint64_t before = std::exchange(low_, watermark_.low());
  while (!batches_.empty() && batches_.front().last_sent <= low_) {
    in_flight_bytes_ -= batches_.front().bytes;
    batches_.pop_front();
  }
  return low_ != before;
}

}  // namespace plm
