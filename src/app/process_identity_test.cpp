#include "app/process_identity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace plm {
namespace {

TEST(ProcessIdentity, IsAnotherOneWithEachCall) {
  const LeaseOwner first = this_process();
  EXPECT_NE(first.id, this_process().id);
  EXPECT_EQ(first.machine, this_process().machine);
  EXPECT_EQ(first.pid, getpid());
  EXPECT_EQ(first.name(), first.host + " (process " + std::to_string(getpid()) + ")");
}

TEST(ProcessIdentity, KnowsWhetherAProcessOfThisMachineIsGone) {
  const LeaseOwner self = this_process();
  EXPECT_FALSE(is_gone(self, self));
  LeaseOwner other = this_process();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_GT(child, 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  other.pid = child;
  EXPECT_TRUE(is_gone(other, self));
  other = self;
  EXPECT_FALSE(is_gone(other, self));
  --other.started;
  EXPECT_TRUE(is_gone(other, self)) << "the number went to another process";
  other = self;
  other.pid = child;
  other.machine = "another";
  EXPECT_FALSE(is_gone(other, self));
}

TEST(ProcessIdentity, DoesNotGuess) {
  LeaseOwner self = this_process();
  LeaseOwner other;  // as an unreadable lease gives it
  EXPECT_FALSE(is_gone(other, self));
  self.machine.clear();
  EXPECT_FALSE(is_gone(other, self));
}

}  // namespace
}  // namespace plm
