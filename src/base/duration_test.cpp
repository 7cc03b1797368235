#include "base/duration.h"

#include <gtest/gtest.h>

namespace plm {
namespace {

TEST(Duration, HasTwoUnits) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(59), "59 s");
  EXPECT_EQ(format_duration(60), "1 min 0 s");
  EXPECT_EQ(format_duration(3599), "59 min 59 s");
  EXPECT_EQ(format_duration(3600), "1 h 0 min");
  EXPECT_EQ(format_duration(86'399), "23 h 59 min");
  EXPECT_EQ(format_duration(90'000), "1 d 1 h");
}

}  // namespace
}  // namespace plm
