#include "engine/engine.h"

#include <thread>

namespace plm {

namespace {

// How long a role that has nothing to do waits without being woken: it bounds
// how late a backoff's end or a due save is noticed.
constexpr Millis kLongestWait{50};

Status drive(Role& role, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const std::uint64_t seen = role.signal().seen();
    auto step = role.step();
    if (!step) return fail(std::move(step.error()));
    if (*step == Step::waiting) role.signal().wait(seen, kLongestWait, stop);
  }
  return {};
}

}  // namespace

Engine::Engine(Pipeline::Seams seams, const PipelineSettings& settings, SavedJob job, std::uint64_t seed)
    : pipeline_(seams, settings, std::move(job), seed) {
  for (Role* role : pipeline_.roles()) {
    threads_.add([role](const std::stop_token& stop) { return drive(*role, stop); });
  }
}

bool Engine::pause(Millis at_most) {
  pipeline_.router().pause();
  Signal nobody;  // raised by nobody: the wait ends with its time, or a stop
  for (Millis waited{0}; waited < at_most; waited += Millis(10)) {
    if (pipeline_.router().view().paused) return true;
    if (threads_.token().stop_requested()) return false;
    nobody.wait(nobody.seen(), Millis(10), threads_.token());
  }
  return pipeline_.router().view().paused;
}

void Engine::stop() {
  threads_.request_stop();
  pipeline_.stop_waiting();
  (void)threads_.join();
}

}  // namespace plm
