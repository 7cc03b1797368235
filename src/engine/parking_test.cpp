#include "engine/parking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/test_seams.h"

namespace plm {
namespace {

class ParkingTest : public testing::Test {
 protected:
  static Operation of(std::uint8_t collection, std::string_view id) {
    return operation(OperationKind::insert,
                     collection_ref({"db", "c" + std::to_string(collection)}, uuid_of(collection), uuid_of(100)), id);
  }
  [[nodiscard]] std::size_t saved() { return seams_.store.load("parked")->size(); }
  TestSeams seams_;
  Parking parking_{seams_.store, seams_.progress};
  Error reason_{ErrorCode::server, 11000, {}, "E11000"};
};

TEST_F(ParkingTest, HoldsAKeyInAnyFormUntilItIsReleased) {
  ASSERT_TRUE(parking_.park(of(1, "1"), reason_));
  ASSERT_TRUE(parking_.park(of(1, "1.0"), reason_));
  EXPECT_EQ(saved(), 1U);
  EXPECT_EQ(seams_.progress.parked, 1);
  EXPECT_TRUE(parking_.holds(of(1, "1.0")));
  EXPECT_FALSE(parking_.holds(of(1, "2")));
  EXPECT_FALSE(parking_.holds(of(2, "1")));
  ASSERT_TRUE(parking_.release(of(1, "1.0")));
  EXPECT_EQ(saved(), 0U) << "saved under the form it was parked with";
  EXPECT_TRUE(parking_.empty());
  EXPECT_TRUE(parking_.release(of(1, "1")));
}

// Whoever removes what was named has to learn what else there is.
TEST_F(ParkingTest, TellsTheReasonOfTheLastTry) {
  ASSERT_TRUE(parking_.park(of(1, "1"), reason_));
  ASSERT_TRUE(parking_.park(of(1, "1.0"), {ErrorCode::server, 171, {}, "parallel arrays"}));
  EXPECT_EQ(saved(), 1U);
  EXPECT_EQ(seams_.progress.parked, 1);
  EXPECT_EQ(seams_.progress.parked_sample(), std::vector<std::string>{"db.c1 1: parallel arrays"});
  ASSERT_TRUE(parking_.release(of(1, "1")));
  EXPECT_EQ(saved(), 0U);
}

TEST_F(ParkingTest, NamesDocumentsByThePresentNameOfTheirCollection) {
  ASSERT_TRUE(parking_.park(of(1, "1"), reason_));
  ASSERT_TRUE(parking_.park(of(2, "1"), reason_));
  parking_.rename(uuid_of(1), {"db", "renamed"});
  EXPECT_EQ(seams_.progress.parked, 2);
  EXPECT_THAT(seams_.progress.parked_sample(),
              testing::UnorderedElementsAre("db.renamed 1: E11000", "db.c2 1: E11000"));
  ASSERT_TRUE(parking_.release(of(1, "1")));
  EXPECT_EQ(seams_.progress.parked_sample().size(), 1U);
}

TEST_F(ParkingTest, NamesOthersWhenThoseThatWereNamedAreGone) {
  for (int id = 0; id < 12; ++id) ASSERT_TRUE(parking_.park(of(1, std::to_string(id)), reason_));
  EXPECT_EQ(seams_.progress.parked_sample().size(), 10U);
  for (int id = 0; id < 10; ++id) ASSERT_TRUE(parking_.release(of(1, std::to_string(id))));
  EXPECT_THAT(seams_.progress.parked_sample(), testing::UnorderedElementsAre("db.c1 10: E11000", "db.c1 11: E11000"));
}

TEST_F(ParkingTest, ParksNothingThatCannotBeSaved) {
  FaultPlan failing(seams_.random, {.before = 1});
  MemoryStateStore store(failing);
  Parking parking(store, seams_.progress);
  EXPECT_FALSE(parking.park(of(1, "1"), reason_));
  EXPECT_TRUE(parking.empty());
}

// A finalize would be refused for ever over documents that nobody can repair.
TEST_F(ParkingTest, ForgetsTheDocumentsOfACollectionThatIsGone) {
  for (const std::string_view id : {"1", "2"}) ASSERT_TRUE(parking_.park(of(1, id), reason_));
  ASSERT_TRUE(parking_.park(of(2, "1"), reason_));
  ASSERT_TRUE(parking_.forget(uuid_of(1)));
  EXPECT_EQ(saved(), 1U);
  EXPECT_EQ(seams_.progress.parked, 1);
  EXPECT_EQ(seams_.progress.parked_sample().size(), 1U);
  EXPECT_TRUE(parking_.holds(of(2, "1")));
}

}  // namespace
}  // namespace plm
