#include "engine/target_schema.h"

#include <gtest/gtest.h>

#include "engine/test_seams.h"

namespace plm {
namespace {

class TargetSchemaTest : public testing::Test {
 protected:
  [[nodiscard]] const MemoryCollection* on_target(const Namespace& ns) { return seams_.target_set.find(ns); }
  static CollectionSpec view(std::string_view on) {
    return {kNs, CollectionKind::view, {}, json("{\"viewOn\": \"" + std::string(on) + "\", \"pipeline\": []}"), {}};
  }
  TestSeams seams_;
};

// These would reject or remove documents that the source still holds.
TEST_F(TargetSchemaTest, CreatesWithoutWhatRemovesDocuments) {
  CollectionSpec spec;
  spec.options = json(R"({"uuid": 1, "temp": true, "expireAfterSeconds": 60, "validator": {"a": 1}})");
  EXPECT_EQ(creation_options(spec).view().json(), text_of(R"({"validator": {"a": 1}})"));
}

// Its deletions come as events; what it pushed out by itself could be missing later.
TEST_F(TargetSchemaTest, CreatesACappedCollectionThatPushesNothingOut) {
  CollectionSpec spec;
  spec.options = json(R"({"capped": true, "size": 4096, "max": 5})");
  EXPECT_EQ(creation_options(spec).view().json(),
            text_of(R"({"capped": true, "size": {"$numberLong": "1125899906842624"}})"));
}

TEST_F(TargetSchemaTest, ReplacesEmptyBucketsThatAnAttemptOfUnknownOutcomeLeft) {
  CollectionSpec spec{{"db", "system.buckets.t"}, CollectionKind::time_series, {}, {}, {}};
  spec.options = json(R"({"timeseries": {"timeField": "t"}})");
  const Uuid first = create_twin(seams_.target, spec, spec.ns).value().uuid;
  const Uuid second = create_twin(seams_.target, spec, spec.ns).value().uuid;
  EXPECT_NE(first, second);
  EXPECT_EQ(on_target(spec.ns)->uuid, second);
}

TEST_F(TargetSchemaTest, LeavesACollectionAloneThatHasTheNameOfATimeSeriesCollection) {
  ASSERT_TRUE(seams_.target.create({"db", "t"}, {}));
  CollectionSpec spec{{"db", "system.buckets.t"}, CollectionKind::time_series, {}, {}, {}};
  spec.options = json(R"({"timeseries": {"timeField": "t"}})");
  const auto created = create_twin(seams_.target, spec, spec.ns);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::wrong_state);
  EXPECT_EQ(created.error().message, "db.t exists on the target and is not this job's");
}

TEST_F(TargetSchemaTest, ReplacesAViewOfTheName) {
  ASSERT_TRUE(put_view(seams_.target, view("a")));
  ASSERT_TRUE(put_view(seams_.target, view("b")));
  EXPECT_EQ(on_target(kNs)->options["viewOn"].as_string(), "b");
}

// An attempt whose reply was lost may have been carried out.
TEST_F(TargetSchemaTest, ARenameThatHappenedIsASuccess) {
  const Namespace to{"db", "new"};
  const Uuid uuid = seams_.target.create(kNs, {}).value();
  ASSERT_TRUE(rename_twin(seams_.target, {kNs, uuid}, to));
  ASSERT_TRUE(rename_twin(seams_.target, {kNs, uuid}, to));
  EXPECT_EQ(on_target(to)->uuid, uuid);
  const Uuid other = seams_.target.create(kNs, {}).value();
  EXPECT_FALSE(rename_twin(seams_.target, {kNs, other}, to)) << "the name is another's";
}

// The primary that has it may be about to lose it.
TEST_F(TargetSchemaTest, ARenameCountsWhenAMajorityHasIt) {
  class WithoutMajority final : public MemoryTarget {
   public:
    using MemoryTarget::MemoryTarget;
    Status rename(const Twin& from, const Namespace& to) override {
      (void)MemoryTarget::rename(from, to);
      return fail(server_error(64, "waiting for replication timed out"));
    }
    Status modify(const Twin& twin, bson::View change) override {
      if (!has_majority) return fail(server_error(64, "waiting for replication timed out"));
      return MemoryTarget::modify(twin, change);
    }
    bool has_majority = false;
  };
  const Namespace to{"db", "new"};
  const Uuid uuid = seams_.target.create(kNs, {}).value();
  WithoutMajority target(seams_.target_set, seams_.faults);
  const auto renamed = rename_twin(target, {kNs, uuid}, to);
  ASSERT_FALSE(renamed);
  EXPECT_TRUE(retryable(renamed.error()));
  target.has_majority = true;
  EXPECT_TRUE(rename_twin(target, {kNs, uuid}, to));
}

}  // namespace
}  // namespace plm
