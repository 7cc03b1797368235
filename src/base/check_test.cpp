#include "base/check.h"

#include <gtest/gtest.h>

namespace {

TEST(CheckDeathTest, StopsTheProcessAndNamesTheCondition) {
  const int one = 1;
  CHECK(one == 1);
  EXPECT_DEATH(CHECK(one == 2), "check_test.cpp:[0-9]+: broken invariant: one == 2");
}

TEST(Check, EvaluatesItsConditionOnce) {
  int calls = 0;
  CHECK(++calls == 1);
  EXPECT_EQ(calls, 1);
}

}  // namespace
