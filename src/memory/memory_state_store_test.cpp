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

TEST(MemoryStateStore, MayHaveWrittenAFirstPartOfWhatFailed) {
  Random random(1);
  FaultPlan faults(random, {.partly = 0.5});
  MemoryStateStore store(faults);
  const std::array changes = {put("ranges", R"({"_id": 1})"), put("ranges", R"({"_id": 2})"),
                              put("state", R"({"_id": 1})")};
  int torn = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(store.clear());
    const bool saved = store.save(changes).has_value();
    const auto ranges = store.load("ranges")->size();
    const auto states = store.load("state")->size();
    EXPECT_EQ(saved, states == 1) << "the last change is written last";
    EXPECT_TRUE(states == 0 || ranges == 2);
    torn += ranges == 1 ? 1 : 0;
  }
  EXPECT_GT(torn, 0);
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
