#include "base/task_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <vector>

namespace plm {
namespace {

using testing::Each;

TEST(ForEachBelow, CallsEveryNumberOnce) {
  for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
    std::vector<std::atomic<int>> calls(count);
    EXPECT_TRUE(for_each_below(count, 4, [&](std::size_t n) -> Status {
      ++calls[n];
      return {};
    }));
    EXPECT_THAT(calls, Each(1));
  }
}

TEST(ForEachBelow, AnErrorEndsIt) {
  std::atomic<int> calls = 0;
  const Status done = for_each_below(1'000'000, 2, [&](std::size_t n) -> Status {
    ++calls;
    if (n == 3) return fail(ErrorCode::network, "cut");
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "cut");
  EXPECT_LT(calls, 1'000'000);
}

}  // namespace
}  // namespace plm
