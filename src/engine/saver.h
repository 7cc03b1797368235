// Writes the Router's saves to the state store, one at a time.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "base/backoff.h"
#include "base/mailbox.h"
#include "engine/messages.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/state_store.h"

namespace plm {

struct SaveRequest {
  std::uint64_t generation = 0;
  std::vector<StoreChange> changes;
};

class Saver final : public Role {
 public:
  Saver(StateStore& store, Clock& clock, Mailbox<RouterMessage>& router, Progress& progress, std::uint64_t seed)
      : store_(store), clock_(clock), router_(router), progress_(progress), backoff_(seed) {}

  // The Router; only after the one before was reported as Saved.
  void put(SaveRequest request);

  Result<Step> step() override;

 private:
  StateStore& store_;
  Clock& clock_;
  Mailbox<RouterMessage>& router_;
  Progress& progress_;
  Backoff backoff_;
  std::mutex mutex_;
  std::optional<SaveRequest> waiting_;
  std::optional<SaveRequest> request_;  // of the saver's thread
};

}  // namespace plm
