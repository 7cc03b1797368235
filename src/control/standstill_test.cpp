#include "control/standstill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plm {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class StandstillTest : public testing::Test {
 protected:
  std::string without_engine() { return standstill_.look(std::nullopt, clock_.steady_now()); }
  std::string with_engine() { return standstill_.look(engine_, clock_.steady_now()); }
  void fail_for(Millis time) {
    for (Millis passed{0}; passed <= time; passed += Millis(1000)) {
      standstill_.failed("no primary", clock_.steady_now());
      clock_.advance(Millis(1000));
    }
  }

  ManualClock clock_;
  Standstill standstill_;
  Standstill::EngineSeen engine_{{{true, {1, 2, 3, 4}}, {true, {5, 6, 7, 8}}}, {}};
};

TEST_F(StandstillTest, WhatFailsForHalfAMinuteIsTold) {
  fail_for(kStallAfter - Millis(2000));
  EXPECT_THAT(without_engine(), IsEmpty());
  fail_for(Millis(2000));
  EXPECT_THAT(without_engine(), HasSubstr("last failure: no primary"));
  standstill_.succeeded();
  EXPECT_THAT(without_engine(), IsEmpty());
}

TEST_F(StandstillTest, AFailureLongAgoIsNoneOfThePresentOne) {
  fail_for(Millis(0));
  clock_.advance(Millis(100'000));
  fail_for(Millis(0));
  EXPECT_THAT(without_engine(), IsEmpty());
  clock_.advance(Millis(100'000));
  EXPECT_THAT(without_engine(), IsEmpty()) << "nothing is tried any more";
}

TEST_F(StandstillTest, AnEngineOfWhichNothingMovesIsToldWithItsLastFailure) {
  engine_.last_failure = "connection refused";
  EXPECT_THAT(with_engine(), IsEmpty());
  clock_.advance(kStallAfter);
  EXPECT_THAT(with_engine(), testing::AllOf(HasSubstr("in the stream of changes"), HasSubstr("connection refused")));
  ++engine_.work.stream.numbers.front();
  ++engine_.work.copying.numbers.front();
  EXPECT_THAT(with_engine(), IsEmpty());
}

TEST_F(StandstillTest, AnotherEngineBeginsAnew) {
  (void)with_engine();
  clock_.advance(kStallAfter);
  standstill_.forget();
  EXPECT_THAT(with_engine(), IsEmpty());
}

// What it waits for is the reason, whatever its numbers say.
TEST_F(StandstillTest, WhatTheControllerTriesInVainComesFirst) {
  (void)with_engine();
  fail_for(kStallAfter + Millis(1000));
  EXPECT_THAT(with_engine(), HasSubstr("last failure: no primary"));
}

}  // namespace
}  // namespace plm
