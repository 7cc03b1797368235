#include "engine/engine.h"

#include <thread>

namespace plm {

Engine::Engine(Pipeline::Seams seams, const PipelineSettings& settings, SavedJob job, std::uint64_t seed, Drive drive)
    : clock_(seams.clock), drive_(drive), pipeline_(seams, settings, std::move(job), seed) {
  if (drive_ == Drive::by_hand) return;
  for (Role* role : pipeline_.roles()) {
    threads_.add([role](const std::stop_token& stop) { return drive_role(*role, stop); });
  }
}

void Engine::turn() {
  for (Role* role : pipeline_.roles()) {
    if (error_) return;
    if (auto step = role->step(); !step) error_ = std::move(step.error());
  }
}

bool Engine::pause(Millis at_most) {
  pipeline_.router().pause();
  return wait_until([this] { return pipeline_.router().view().paused; }, at_most);
}

bool Engine::wait_until(const std::function<bool()>& condition, Millis at_most) {
  const SteadyTime deadline = clock_.steady_now() + at_most;
  Signal nobody;  // raised by nobody: the wait ends with its time, or a stop
  while (!condition()) {
    if (error() || threads_.token().stop_requested() || clock_.steady_now() >= deadline) return false;
    if (drive_ == Drive::by_hand) {
      turn();
    } else {
      nobody.wait(nobody.seen(), Millis(10), threads_.token());
    }
  }
  return true;
}

void Engine::stop() {
  threads_.request_stop();
  pipeline_.stop_waiting();
  (void)threads_.join();
}

}  // namespace plm
