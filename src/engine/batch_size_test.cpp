#include "engine/batch_size.h"

#include <gtest/gtest.h>

namespace plm {
namespace {

TEST(BatchSize, IsWhatIsWrittenInTwoSeconds) {
  BatchSize size(0);
  for (int i = 0; i < 10; ++i) size.wrote(size.most(), Millis(static_cast<Millis::rep>(size.most() / 6)));
  EXPECT_NEAR(static_cast<double>(size.most()), 12'000, 200);
  for (int i = 0; i < 10; ++i) size.wrote(size.most(), Millis(static_cast<Millis::rep>(size.most())));
  EXPECT_NEAR(static_cast<double>(size.most()), 2'000, 50);
}

TEST(BatchSize, HasLimits) {
  BatchSize size(0);
  for (int i = 0; i < 20; ++i) size.wrote(size.most(), Millis(0));
  EXPECT_EQ(size.most(), 65'536U);
  for (int i = 0; i < 20; ++i) size.wrote(size.most(), Millis(100'000));
  EXPECT_EQ(size.most(), 500U);
}

// A few operations cost their round trips: nothing follows for many.
TEST(BatchSize, LearnsNothingFromSmallBatches) {
  BatchSize size(0);
  const std::size_t before = size.most();
  size.wrote(1, Millis(3));
  size.wrote(100, Millis(0));
  EXPECT_EQ(size.most(), before);
  size.wrote(100, Millis(9'000));
  EXPECT_EQ(size.most(), before / 2);
}

TEST(BatchSize, GetsSmallerWithEachFailure) {
  BatchSize size(0);
  const std::size_t before = size.most();
  size.failed();
  EXPECT_EQ(size.most(), before / 2);
  for (int i = 0; i < 20; ++i) size.failed();
  EXPECT_EQ(size.most(), 500U);
}

TEST(BatchSize, StaysAsItIsGiven) {
  BatchSize size(7);
  size.failed();
  size.wrote(7, Millis(0));
  size.wrote(7, Millis(10'000));
  EXPECT_EQ(size.most(), 7U);
}

}  // namespace
}  // namespace plm
