// A running job: the pipeline's roles, each in a thread of its own.
#pragma once

#include <memory>
#include <optional>

#include "base/task_group.h"
#include "engine/pipeline.h"

namespace plm {

class Engine {
 public:
  // Starts the threads.
  Engine(Pipeline::Seams seams, const PipelineSettings& settings, SavedJob job, std::uint64_t seed);
  // Stops them where they are; what was not saved is done again next time.
  ~Engine() { stop(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  Engine(Engine&&) = delete;
  Engine& operator=(Engine&&) = delete;

  // Comes to rest: true when everything sent is acknowledged and saved, false
  // when that took longer than `at_most` (it goes on coming to rest).
  [[nodiscard]] bool pause(Millis at_most);
  void resume() { pipeline_.router().resume(); }

  void stop();
  // The error that ended the job. Any thread.
  [[nodiscard]] std::optional<Error> error() const { return threads_.error(); }
  [[nodiscard]] Pipeline& pipeline() { return pipeline_; }
  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }

 private:
  Pipeline pipeline_;
  TaskGroup threads_;
};

}  // namespace plm
