#include "memory/memory_state_store.h"

#include <gtest/gtest.h>

#include <array>

#include "memory/json.h"

namespace plm {
namespace {

StoreChange put(const char* set, const char* document) {
  bson::Document whole = json(document);
  bson::OwnedValue id(whole["_id"]);
  return {set, std::move(id), std::move(whole)};
}

TEST(MemoryStateStore, KeepsTheLastDocumentOfEachId) {
  Random random(1);
  FaultPlan faults(random, {});
  MemoryStateStore store(faults);
  const std::array changes = {put("ranges", R"({"_id": 1, "a": 1})"), put("ranges", R"({"_id": 2})"),
                              put("state", R"({"_id": 1})"), put("ranges", R"({"_id": 1, "a": 2})")};
  ASSERT_TRUE(store.save(changes));
  const std::array removal = {StoreChange{"ranges", bson::OwnedValue(json(R"({"v": 2})")["v"]), std::nullopt}};
  ASSERT_TRUE(store.save(removal));
  const auto ranges = store.load("ranges");
  ASSERT_EQ(ranges->size(), 1U);
  EXPECT_EQ(ranges->front(), json(R"({"_id": 1, "a": 2})"));
  EXPECT_EQ(store.load("state")->size(), 1U);
  EXPECT_TRUE(store.load("parked")->empty());
  ASSERT_TRUE(store.clear());
  EXPECT_TRUE(store.load("state")->empty());
}

TEST(MemoryStateStore, SavesNothingUnderALostLease) {
  Random random(1);
  FaultPlan faults(random, {});
  MemoryStateStore first(faults);
  MemoryStateStore second = first.of_another_process();
  const std::array changes = {put("state", R"({"_id": 1})")};
  EXPECT_EQ(*first.take_lease({"a", "host", "", 1}, 0), 1);
  ASSERT_TRUE(first.save(changes));
  EXPECT_EQ(second.take_lease({"b", "host", "", 2}, 0).error().code, ErrorCode::superseded);
  EXPECT_EQ(*second.take_lease({"b", "host", "", 2}, 1), 2);
  EXPECT_EQ(first.look_at_lease()->owner->id, "b");
  for (const Status& refused : {first.save(changes), first.clear(), first.renew_lease()}) {
    EXPECT_EQ(refused.error().code, ErrorCode::superseded);
  }
  ASSERT_TRUE(first.release_lease());
  EXPECT_TRUE(second.look_at_lease()->owner);
  EXPECT_EQ(second.load("state")->size(), 1U);
  ASSERT_TRUE(second.release_lease());
  EXPECT_FALSE(first.look_at_lease()->owner);
}

TEST(FaultPlan, RepeatsARunFromItsSeed) {
  const auto run = [](std::uint64_t seed) {
    Random random(seed);
    FaultPlan faults(random, {.before = 0.2, .after = 0.2});
    std::string outcome;
    for (int i = 0; i < 50; ++i) {
      const Status status = faults.call([]() -> Status { return {}; });
      outcome += status ? 'y' : status.error().code == ErrorCode::network ? 'n' : 's';
    }
    return outcome;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(FaultPlan, DrawsNothingWhenOff) {
  Random random(1);
  FaultPlan faults(random, {.before = 1, .after = 1, .partly = 1, .reader_dies = 1, .stream_dies = 1, .crash = 1});
  faults.switch_off();
  EXPECT_TRUE(faults.call([]() -> Status { return {}; }));
  EXPECT_EQ(faults.writes_done(5), 5U);
  EXPECT_FALSE(faults.reader_dies() || faults.stream_dies());
  EXPECT_EQ(random.next(), Random(1).next());
}

TEST(FaultPlan, LetsTheProcessDieBeforeOrBehindAnEffect) {
  Random random(1);
  FaultPlan faults(random, {.crash = 0.5});
  int with_effect = 0;
  int without_effect = 0;
  for (int i = 0; i < 100; ++i) {
    bool done = false;
    try {
      (void)faults.call([&]() -> Status {
        done = true;
        return {};
      });
    } catch (const SimulatedCrash&) {
      ++(done ? with_effect : without_effect);
    }
  }
  EXPECT_GT(with_effect, 0);
  EXPECT_GT(without_effect, 0);
}

}  // namespace
}  // namespace plm
