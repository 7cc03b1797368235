#include "engine/sender.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "engine/test_seams.h"

namespace plm {
namespace {

constexpr std::size_t kAppliers = 4;

class SenderTest : public testing::Test {
 protected:
  static std::shared_ptr<const CollectionRef> collection(bool strict) {
    return collection_ref({"db", "c"}, uuid_of(1), uuid_of(2), strict ? R"({"capped": true})" : "{}");
  }
  void send(bool strict, std::string_view id) {
    sender_.send(operation(OperationKind::insert, collection(strict), id));
  }
  // Which applier got something since the last call; each gives up what it has.
  std::vector<std::size_t> receivers() {
    sender_.flush();
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < kAppliers; ++i) {
      for (const Operation& operation : queues_[i].take()) {
        out.push_back(i);
        last_[i] = operation.sequence;
      }
    }
    return out;
  }
  void acknowledge_all() {
    for (std::size_t i = 0; i < kAppliers; ++i) queues_[i].acknowledge(last_[i]);
  }

  std::array<Signal, kAppliers> signals_;
  std::array<ApplierQueue, kAppliers> queues_{ApplierQueue(signals_[0]), ApplierQueue(signals_[1]),
                                              ApplierQueue(signals_[2]), ApplierQueue(signals_[3])};
  std::array<std::uint64_t, kAppliers> last_{};
  Sender sender_{{&queues_[0], &queues_[1], &queues_[2], &queues_[3]}, {0, {{1, 1}, {}}, {1, 1}}, 100};
};

// 1 and 1.0 are one document for the server. With two appliers a deletion of the
// one could overtake the insertion of the other.
TEST_F(SenderTest, GivesEqualKeysOfDifferentTypesToOneApplier) {
  for (const std::string pattern : {"%", R"({"a": %})", "[%]"}) {
    for (const std::string_view number : {"7", "7.0", R"({"$numberLong": "7"})", R"({"$numberDecimal": "7.00"})"}) {
      send(false, std::string(pattern).replace(pattern.find('%'), 1, number));
    }
    const auto to = receivers();
    EXPECT_EQ(to.size(), 4U);
    EXPECT_EQ(std::set<std::size_t>(to.begin(), to.end()).size(), 1U) << pattern;
  }
}

TEST_F(SenderTest, SpreadsTheKeysOfACollection) {
  for (int i = 0; i < 200; ++i) send(false, std::to_string(i));
  const auto to = receivers();
  EXPECT_EQ(std::set<std::size_t>(to.begin(), to.end()).size(), kAppliers);
}

// Under a collation "a" and "A" may be one key, and in a capped collection order
// is what counts: one applier keeps it.
TEST_F(SenderTest, GivesAStrictlyOrderedCollectionToOneApplier) {
  for (int i = 0; i < 200; ++i) send(true, std::to_string(i));
  const auto to = receivers();
  EXPECT_EQ(to.size(), 200U);
  EXPECT_EQ(std::set<std::size_t>(to.begin(), to.end()).size(), 1U);
}

TEST_F(SenderTest, HoldsOperationsBackUntilTheyAreFlushed) {
  send(false, "1");
  for (ApplierQueue& queue : queues_) EXPECT_TRUE(queue.take().empty());
  EXPECT_EQ(receivers().size(), 1U);
  EXPECT_TRUE(receivers().empty());
}

TEST_F(SenderTest, IsIdleWhenEverythingIsAcknowledged) {
  EXPECT_TRUE(sender_.idle());
  send(false, "1");
  send(false, "2");
  sender_.pass({{2, 1}, {}}, {2, 1});
  EXPECT_FALSE(sender_.idle());
  (void)receivers();
  EXPECT_FALSE(sender_.poll()) << "nothing has moved";
  EXPECT_EQ(sender_.safe().position.time, (ClusterTime{1, 1}));
  acknowledge_all();
  EXPECT_TRUE(sender_.poll());
  EXPECT_TRUE(sender_.idle());
  EXPECT_EQ(sender_.low(), 2U);
  EXPECT_EQ(sender_.safe().position.time, (ClusterTime{2, 1}));
}

TEST_F(SenderTest, ARepliesBytesCountUntilItsLastOperationIsAcknowledged) {
  sender_.begin_batch(60);
  send(false, "1");
  sender_.end_batch(60);
  sender_.begin_batch(40);
  EXPECT_FALSE(sender_.has_room());
  send(false, "2");
  (void)receivers();
  acknowledge_all();
  (void)sender_.poll();
  EXPECT_TRUE(sender_.has_room()) << "the second reply is not at its end yet";
  sender_.end_batch(40);
  sender_.begin_batch(60);
  EXPECT_FALSE(sender_.has_room());
  (void)sender_.poll();
  EXPECT_TRUE(sender_.has_room());
}

// The position must move although nothing concerns the target.
TEST_F(SenderTest, ARepliesBytesAreGivenBackWhenNothingOfItWasSent) {
  sender_.begin_batch(100);
  sender_.end_batch(100);
  EXPECT_FALSE(sender_.has_room());
  (void)sender_.poll();
  EXPECT_TRUE(sender_.has_room());
}

}  // namespace
}  // namespace plm
