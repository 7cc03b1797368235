// Builds the indexes of one collection at a time, beside the stream.
#pragma once

#include <atomic>
#include <optional>

#include "base/backoff.h"
#include "base/mailbox.h"
#include "engine/job_queue.h"
#include "engine/messages.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/target.h"

namespace plm {

class IndexBuilder final : public Role {
 public:
  IndexBuilder(Target& target, Clock& clock, JobQueue<IndexJob>& jobs, Mailbox<RouterMessage>& router,
               Progress& progress, std::uint64_t seed)
      : target_(target), clock_(clock), jobs_(jobs), router_(router), progress_(progress), backoff_(seed) {}

  Result<Step> step() override;
  // Any thread: a step that waits for a build ends, and no other begins.
  void stop() { stopped_.store(true); }

 private:
  void finish();

  Target& target_;
  Clock& clock_;
  JobQueue<IndexJob>& jobs_;
  Mailbox<RouterMessage>& router_;
  Progress& progress_;
  Backoff backoff_;
  std::optional<IndexJob> job_;
  std::vector<IndexResult> results_;
  std::atomic<bool> stopped_{false};
};

}  // namespace plm
