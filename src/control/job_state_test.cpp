#include "control/job_state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

namespace plm {
namespace {

using State = JobState;
using Event = JobEvent;

TEST(JobState, FollowsTheWholeTableAndNothingElse) {
  // Every pair that is not here is refused.
  const std::map<std::pair<State, Event>, State> allowed = {
      {{State::idle, Event::start}, State::running},
      {{State::idle, Event::reset}, State::idle},

      {{State::running, Event::pause}, State::paused},
      {{State::running, Event::finalize}, State::finalizing},
      {{State::running, Event::fail}, State::failed},

      {{State::paused, Event::resume}, State::running},
      {{State::paused, Event::finalize}, State::finalizing},
      {{State::paused, Event::fail}, State::failed},
      {{State::paused, Event::reset}, State::idle},

      {{State::finalizing, Event::finalize_done}, State::finalized},
      {{State::finalizing, Event::fail}, State::failed},

      {{State::finalized, Event::start}, State::running},
      {{State::finalized, Event::reset}, State::idle},

      {{State::failed, Event::resume_running}, State::running},
      {{State::failed, Event::resume_finalizing}, State::finalizing},
      {{State::failed, Event::reset}, State::idle},
  };
  int pairs = 0;
  for (const State state : kAllJobStates) {
    for (const Event event : kAllJobEvents) {
      const auto found = allowed.find({state, event});
      const std::optional<State> wanted = found == allowed.end() ? std::nullopt : std::optional<State>(found->second);
      EXPECT_EQ(transition(state, event), wanted) << name_of(state) << ", event " << static_cast<int>(event);
      ++pairs;
    }
  }
  EXPECT_EQ(pairs, 6 * 9);
}

TEST(JobState, ListsEveryStateAndEventOnce) {
  const std::set<State> states(std::begin(kAllJobStates), std::end(kAllJobStates));
  EXPECT_EQ(states.size(), 6U);
  EXPECT_EQ(static_cast<std::size_t>(*states.rbegin()), states.size() - 1);
  const std::set<Event> events(std::begin(kAllJobEvents), std::end(kAllJobEvents));
  EXPECT_EQ(events.size(), 9U);
  EXPECT_EQ(static_cast<std::size_t>(*events.rbegin()), events.size() - 1);
}

TEST(JobState, LeadsFromEachStateBackToIdle) {
  for (const State start : kAllJobStates) {
    std::set<State> reached = {start};
    for (std::size_t before = 0; before != reached.size();) {
      before = reached.size();
      for (const State state : std::set<State>(reached)) {
        for (const Event event : kAllJobEvents) {
          if (const auto next = transition(state, event)) reached.insert(*next);
        }
      }
    }
    EXPECT_TRUE(reached.contains(State::idle)) << name_of(start);
  }
}

TEST(JobState, HasTheWordsOfTheApi) {
  const std::map<State, std::string> names = {
      {State::idle, "idle"},           {State::running, "running"},
      {State::paused, "paused"},       {State::finalizing, "finalizing"},
      {State::finalized, "finalized"}, {State::failed, "failed"},
  };
  for (const State state : kAllJobStates) {
    EXPECT_EQ(name_of(state), names.at(state));
    EXPECT_EQ(job_state_named(name_of(state)), state);
  }
  for (const char* unknown : {"", "Running", "run", "running "}) EXPECT_FALSE(job_state_named(unknown)) << unknown;
}

TEST(JobState, OffersOnlyRequestsThatItAllows) {
  struct Request {
    const char* word;
    std::set<Event> events;
  };
  const Request requests[] = {
      {"start", {Event::start}},
      {"pause", {Event::pause}},
      {"resume", {Event::resume, Event::resume_running, Event::resume_finalizing}},
      {"finalize", {Event::finalize}},
      {"reset", {Event::reset}},
  };
  for (const State state : kAllJobStates) {
    const std::string offered(possible_requests(state));
    EXPECT_FALSE(offered.empty());
    for (const Request& request : requests) {
      bool possible = false;
      for (const Event event : request.events) possible = possible || transition(state, event).has_value();
      EXPECT_EQ(offered.find(request.word) != std::string::npos, possible) << name_of(state) << ": " << offered;
    }
  }
}

}  // namespace
}  // namespace plm
