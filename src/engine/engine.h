// A running job: the pipeline's roles, each in a thread of its own, or driven by
// hand in tests.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/task_group.h"
#include "engine/pipeline.h"

namespace plm {

enum class Drive {
  threads,
  by_hand,  // everything happens in calls, in the caller's thread; the clock must move by itself
};

class Engine {
 public:
  // Starts the threads.
  Engine(Pipeline::Seams seams, const PipelineSettings& settings, SavedJob job, std::uint64_t seed,
         Drive drive = Drive::threads);
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
  // Whether the condition came true in time; false at once when the job has ended.
  [[nodiscard]] bool wait_until(const std::function<bool()>& condition, Millis at_most);
  // By hand: a step of each role.
  void turn();

  void stop();
  // The error that ended the job. Any thread.
  [[nodiscard]] std::optional<Error> error() const { return drive_ == Drive::threads ? threads_.error() : error_; }
  [[nodiscard]] Pipeline& pipeline() { return pipeline_; }
  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }

 private:
  Clock& clock_;
  Drive drive_;
  std::optional<Error> error_;  // by hand
  Pipeline pipeline_;
  TaskGroup threads_;
};

}  // namespace plm
