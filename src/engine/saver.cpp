#include "engine/saver.h"

#include <utility>

#include "base/check.h"

namespace plm {

void Saver::put(SaveRequest request) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(!waiting_);
    waiting_ = std::move(request);
  }
  signal().raise();
}

Result<Step> Saver::step() {
  if (!request_) {
    const std::lock_guard lock(mutex_);
    if (!waiting_) return Step::waiting;
    request_ = std::exchange(waiting_, std::nullopt);
  }
  if (!backoff_.ready(clock_.steady_now())) return Step::waiting;
  if (auto saved = store_.save(request_->changes); !saved) {
    if (!worth_waiting(saved.error())) return fail(saved.error().within("saving the job's state"));
    backoff_.failed(clock_.steady_now());
    progress_.retrying("saving the job's state: " + saved.error().message);
    return Step::waiting;
  }
  backoff_.succeeded();
  const std::uint64_t generation = request_->generation;
  request_.reset();
  router_.post(Saved{generation});
  return Step::worked;
}

}  // namespace plm
