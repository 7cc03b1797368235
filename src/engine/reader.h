// Reads and decodes the change stream, from a position on; after any failure it
// opens another stream behind the last reply it handed on.
#pragma once

#include <memory>

#include "base/backoff.h"
#include "engine/event_queue.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "seams/source.h"

namespace plm {

class Reader final : public Role {
 public:
  Reader(Source& source, Clock& clock, Progress& progress, Position start, Source::StreamOptions options,
         std::uint64_t seed)
      : source_(source),
        clock_(clock),
        progress_(progress),
        position_(std::move(start)),
        options_(options),
        backoff_(seed) {}
  // Before the first step; the queue outlives the reader.
  void connect(EventQueue& queue) { queue_ = &queue; }

  Result<Step> step() override;

 private:
  Result<Step> after(const Error& error);

  Source& source_;
  Clock& clock_;
  Progress& progress_;
  EventQueue* queue_ = nullptr;
  Position position_;
  Source::StreamOptions options_;
  Backoff backoff_;
  std::unique_ptr<ChangeStream> stream_;
};

}  // namespace plm
