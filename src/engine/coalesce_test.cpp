#include "engine/coalesce.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

class CoalesceTest : public testing::Test {
 protected:
  // Without a body an update can be folded into nothing.
  void add(OperationKind kind, std::string_view id, int collection = 0, std::string_view body = "{}") {
    Operation added = operation(kind, collections_[static_cast<std::size_t>(collection)], id, body);
    added.sequence = operations_.size() + 1;
    operations_.push_back(added);
  }
  static std::vector<std::uint64_t> numbers(const std::vector<const Operation*>& operations) {
    std::vector<std::uint64_t> out;
    for (const Operation* operation : operations) out.push_back(operation->sequence);
    return out;
  }
  // The numbers of what remains.
  void expect(const std::vector<std::uint64_t>& inserts, const std::vector<std::uint64_t>& rereads,
              const std::vector<std::uint64_t>& ordered) const {
    const CoalescedBatch batch = coalesce(operations_);
    EXPECT_EQ(numbers(batch.inserts), inserts) << "inserts";
    EXPECT_EQ(numbers(batch.rereads), rereads) << "rereads";
    EXPECT_EQ(numbers(batch.ordered), ordered) << "ordered";
  }

  void expect_capped(const std::vector<std::uint64_t>& removed, const std::vector<std::uint64_t>& capped) const {
    const CoalescedBatch batch = coalesce(operations_);
    EXPECT_EQ(numbers(batch.removed), removed) << "removed";
    EXPECT_EQ(numbers(batch.capped), capped) << "capped";
  }

  std::vector<std::shared_ptr<const CollectionRef>> collections_ = {
      collection_ref({"db", "a"}, uuid_of(1), uuid_of(11)), collection_ref({"db", "b"}, uuid_of(2), uuid_of(12)),
      collection_ref({"db", "strict"}, uuid_of(3), uuid_of(13), R"({"collation": {"locale": "en"}})"),
      collection_ref({"db", "capped"}, uuid_of(4), uuid_of(14), R"({"capped": true, "size": 4096})")};
  std::vector<Operation> operations_;
};

using enum OperationKind;

TEST_F(CoalesceTest, OfNothingNothingRemains) { expect({}, {}, {}); }

TEST_F(CoalesceTest, AnInsertAndItsUpdatesRemain) {
  add(insert, "1");
  add(update, "1");
  add(update, "1");
  expect({1}, {}, {2, 3});
}

TEST_F(CoalesceTest, AReplacementSupersedesAllBeforeIt) {
  add(insert, "1");
  add(update, "1");
  add(replace, "1");
  add(update, "1");
  expect({}, {}, {3, 4});
}

TEST_F(CoalesceTest, ADeletionSupersedesAllBeforeIt) {
  add(insert, "1");
  add(update, "1");
  add(erase, "1");
  expect({}, {}, {3});
}

// Inserts are written before the rest: a deletion in front of an insert of the
// same key would remove what it must not.
TEST_F(CoalesceTest, AnInsertSupersedesTheDeletionBeforeIt) {
  add(erase, "1");
  add(insert, "1");
  add(update, "1");
  expect({2}, {}, {3});
}

TEST_F(CoalesceTest, ARereadSupersedesAllBeforeIt) {
  add(insert, "1");
  add(update, "1");
  add(reread, "1");
  add(update, "1");
  expect({}, {3}, {4});
}

TEST_F(CoalesceTest, AnInsertSupersedesAReread) {
  add(reread, "1");
  add(insert, "1");
  expect({2}, {}, {});
}

// Two commands and two writes for each document become one.
TEST_F(CoalesceTest, AnUpdateIsFoldedIntoTheDocumentBeforeIt) {
  add(insert, "1", 0, R"({"_id": 1, "a": 1, "b": 1})");
  add(update, "1", 0, R"({"u": {"a": 2}, "i": {"c": 2}})");
  add(replace, "2", 0, R"({"_id": 2})");
  add(update, "1", 0, R"({"u": {"c": 3}})");
  add(update, "2", 0, R"({"i": {"d": 3}})");
  const CoalescedBatch batch = coalesce(operations_);
  ASSERT_EQ(batch.inserts.size(), 1U);
  EXPECT_EQ(batch.inserts[0]->body.json(), text_of(R"({"_id": 1, "a": 2, "b": 1, "c": 3})"));
  EXPECT_EQ(batch.inserts[0]->sequence, 4U);  // as new as the newest: a document read again has to be, too
  ASSERT_EQ(batch.ordered.size(), 1U);
  EXPECT_EQ(batch.ordered[0]->kind, replace);
  EXPECT_EQ(batch.ordered[0]->body.json(), text_of(R"({"_id": 2, "d": 3})"));
}

TEST_F(CoalesceTest, UpdatesOfADocumentBecomeOne) {
  add(update, "1", 0, R"({"u": {"a": 1}})");
  add(update, "2", 0, R"({"u": {"a": 1}})");
  add(update, "1", 0, R"({"u": {"a": 2, "b": 2}})");
  const CoalescedBatch batch = coalesce(operations_);
  ASSERT_EQ(numbers(batch.ordered), (std::vector<std::uint64_t>{3, 2}));
  EXPECT_EQ(batch.ordered[0]->body.json(), text_of(R"({"$v": 2, "diff": {"u": {"a": 2, "b": 2}}})"));
  EXPECT_EQ(bson::to_json(batch.ordered[0]->id), "1");
}

TEST_F(CoalesceTest, UpdatesThatNoDiffCanStandForRemain) {
  add(insert, "1", 0, R"({"_id": 1, "a": [1]})");
  add(update, "1", 0, R"({"sa": {"a": true, "u0": 2}})");
  add(update, "2", 0, R"({"sa": {"a": true, "u0": 2}})");
  add(update, "2", 0, R"({"sa": {"a": true, "u0": 3}})");
  add(reread, "3");
  add(update, "3", 0, R"({"u": {"a": 1}})");
  expect({2}, {5}, {3, 4, 6});
}

// Each folding copies both.
TEST_F(CoalesceTest, LargeOnesAreNotFolded) {
  const std::string large = R"({"_id": 1, "a": ")" + std::string(20'000, 'x') + R"("})";
  add(insert, "1", 0, large);
  add(update, "1", 0, R"({"u": {"b": 1}})");
  add(update, "1", 0, R"({"u": {"b": 2}})");
  expect({1}, {}, {3});
}

TEST_F(CoalesceTest, AFoldedOperationIsSupersededAsAnyOther) {
  add(insert, "1", 0, R"({"_id": 1})");
  add(update, "1", 0, R"({"i": {"a": 1}})");
  add(erase, "1");
  add(insert, "1", 0, R"({"_id": 1, "b": 1})");
  add(update, "1", 0, R"({"u": {"b": 2}})");
  expect({5}, {}, {});
}

TEST_F(CoalesceTest, OtherKeysAndCollectionsAreLeftAlone) {
  add(insert, "1");
  add(insert, "2");
  add(insert, "1", 1);
  add(erase, "2");
  add(update, "1", 1);
  expect({1, 3}, {}, {4, 5});
}

// For the server they are one document: both inserted would be an error, and a
// deletion before the insertion would lose the document.
TEST_F(CoalesceTest, EqualNumbersOfDifferentTypesAreOneKey) {
  add(insert, "1");
  add(erase, "1.0");
  add(insert, R"({"$numberLong": "1"})");
  add(update, R"({"$numberDecimal": "1.000"})");
  expect({3}, {}, {4});
}

TEST_F(CoalesceTest, EqualNumbersInsideDocumentsAreOneKey) {
  add(insert, R"({"a": [1, -0.0]})");
  add(erase, R"({"a": [1.0, 0]})");
  expect({}, {}, {2});
}

TEST_F(CoalesceTest, ErasesComeFirstAndByCollection) {
  add(update, "1");
  add(erase, "2");
  add(erase, "2", 1);
  add(replace, "3");
  add(erase, "4");
  add(erase, "1", 2);
  expect({}, {}, {2, 5, 3, 1, 4, 6});
}

// The collation, not plm, decides which keys are equal.
TEST_F(CoalesceTest, OfCollectionsWithACollationEverythingRemainsInOrder) {
  add(insert, "1", 2);
  add(insert, "1", 0);
  add(update, "1", 2);
  add(erase, "1", 2);
  add(insert, "1", 2);
  add(replace, "1", 2);
  expect({2}, {}, {1, 3, 4, 5, 6});
}

TEST_F(CoalesceTest, RereadsOfCollectionsWithACollationStayRereads) {
  add(insert, "1", 2);
  add(reread, "1", 2);
  expect({}, {2}, {1});
}

TEST_F(CoalesceTest, OfCappedCollectionsTheOrderOfTheLastInsertionsRemains) {
  add(insert, "1", 3);
  add(insert, "2", 3);
  add(update, "1", 3);
  add(erase, "1", 3);
  add(insert, "3", 3);
  add(insert, "1", 3);
  add(replace, "2", 3);
  add(update, "1", 3);
  expect_capped({6, 5, 2}, {2, 5, 6, 7, 8});
}

TEST_F(CoalesceTest, ADeletionFromACappedCollectionLeavesNothing) {
  add(update, "1", 3);
  add(insert, "2", 3);
  add(erase, "1", 3);
  add(erase, "2", 3);
  expect_capped({4, 3}, {});
}

// What was read again only for its fields may come last, what stands for an
// insertion has its place.
TEST_F(CoalesceTest, RereadsThatStandForInsertionsIntoACappedCollectionKeepTheirPlace) {
  add(reread, "1", 3);
  operations_.back().newest = true;
  add(insert, "2", 3);
  add(reread, "2", 3);
  expect_capped({2, 1}, {1, 2});
  expect({}, {3}, {});
}

}  // namespace
}  // namespace plm
