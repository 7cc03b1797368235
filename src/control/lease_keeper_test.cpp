#include "control/lease_keeper.h"

#include <gtest/gtest.h>

#include <string>

#include "memory/memory_state_store.h"

namespace plm {
namespace {

class LeaseKeeperTest : public testing::Test {
 protected:
  LeaseKeeper keeper(StateStore& store, const std::string& id, std::int64_t pid) {
    return {store,
            clock_,
            {{id, "host", "machine", pid}, [this](const LeaseOwner& other) { return other.pid == gone_; }},
            [this] { ++losses_; },
            Drive::by_hand};
  }
  void SetUp() override { faults_.switch_off(); }
  void pass(Millis time) { clock_.advance(time); }

  Random random_{1};
  FaultPlan faults_{random_, {.before = 1}};
  MemoryStateStore first_store_{faults_};
  MemoryStateStore second_store_ = first_store_.of_another_process();
  ManualClock clock_;
  std::int64_t gone_ = 0;
  int losses_ = 0;
  LeaseKeeper first_ = keeper(first_store_, "first", 1);
  LeaseKeeper second_ = keeper(second_store_, "second", 2);
};

TEST_F(LeaseKeeperTest, TakesAFreeLeaseAndKeepsIt) {
  EXPECT_EQ(*first_.acquire(), 1);
  EXPECT_EQ(*first_.acquire(), 1);
  const auto refused = second_.acquire();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::superseded);
  EXPECT_EQ(second_.other_owner(), "host (process 1)");
}

TEST_F(LeaseKeeperTest, LeavesTheLeaseToAnOwnerWhoRenewsIt) {
  ASSERT_TRUE(first_.acquire());
  for (int i = 0; i < 30; ++i) {
    EXPECT_FALSE(second_.acquire());
    pass(Millis(1000));
    first_.turn();
  }
  EXPECT_FALSE(first_.lost());
}

TEST_F(LeaseKeeperTest, TakesWhatHasNotChangedForTheTimeOfALease) {
  ASSERT_TRUE(first_.acquire());
  EXPECT_FALSE(second_.acquire());
  pass(kLeaseTime - Millis(1));
  EXPECT_FALSE(second_.acquire());
  pass(Millis(1));
  EXPECT_EQ(*second_.acquire(), 2);
  first_.turn();
  EXPECT_TRUE(first_.lost());
  EXPECT_EQ(losses_, 1);
}

TEST_F(LeaseKeeperTest, CountsOnlyTheTimeThatItHasSeen) {
  ASSERT_TRUE(first_.acquire());
  EXPECT_FALSE(second_.acquire());
  pass(kLeaseTime);
  faults_.switch_on();
  EXPECT_FALSE(second_.acquire());  // the target did not answer: nor could the first renew
  faults_.switch_off();
  EXPECT_FALSE(second_.acquire());
  pass(kLeaseTime);
  EXPECT_TRUE(second_.acquire());
}

TEST_F(LeaseKeeperTest, TakesTheLeaseOfAProcessThatIsNoMoreAtOnce) {
  ASSERT_TRUE(first_.acquire());
  gone_ = 1;
  EXPECT_TRUE(second_.acquire());
}

TEST_F(LeaseKeeperTest, TakesWhatWasReleasedAtOnce) {
  ASSERT_TRUE(first_.acquire());
  ASSERT_TRUE(first_.release());
  EXPECT_TRUE(second_.acquire());
  EXPECT_FALSE(first_.acquire());
}

TEST_F(LeaseKeeperTest, ComesBackWithANewEpoch) {
  ASSERT_TRUE(first_.acquire());
  gone_ = 1;
  ASSERT_TRUE(second_.acquire());
  pass(kRenewInterval);
  first_.turn();
  ASSERT_TRUE(first_.lost());
  first_.stand_down();
  EXPECT_FALSE(first_.acquire());
  gone_ = 2;
  EXPECT_EQ(*first_.acquire(), 3);
  EXPECT_FALSE(first_.lost());
}

}  // namespace
}  // namespace plm
