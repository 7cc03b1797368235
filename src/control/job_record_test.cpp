#include "control/job_record.h"

#include <gtest/gtest.h>

#include "memory/faults.h"
#include "memory/json.h"
#include "memory/memory_state_store.h"

namespace plm {
namespace {

JobRecord example() {
  JobRecord out;
  out.source = {"rs_source", "65f0a1"};
  out.state = JobState::finalizing;
  out.options = {{"a.*", "b.c"}, {"a.x"}, true, true, {1, 2, 3, std::int64_t{1} << 40, 5, 6, 7}};
  out.error = "an error";
  out.failed_finalizing = true;
  out.recopy = Recopy::changed;
  out.converting = true;
  out.warnings = {"one", "two"};
  StatusReport::Finalization finalization;
  finalization.completed = true;
  finalization.started_at = WallTime(Millis(1'700'000'000'123));
  finalization.completed_at = WallTime(Millis(1'700'000'001'456));
  finalization.differences = {"a.b lacks index x"};
  finalization.waive_parked = true;
  finalization.waived_count = 7;
  finalization.waived = {{"a.b", bson::OwnedValue(json(R"({"v": {"x": 1}})")["v"]), "too large"}};
  finalization.unsuccessful_indexes = {
      {"a.b", "x_1", UnsuccessfulIndex::Kind::failed, json(R"({"x": 1})"), "E11000"},
      {"a.c", "y_1", UnsuccessfulIndex::Kind::incomplete, json(R"({"y": -1})"), "building"}};
  out.finalization = finalization;
  return out;
}

TEST(JobRecord, IsReadBackWhole) {
  const JobRecord before = example();
  const auto read = job_record_from(to_document(before).view());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->state, before.state);
  EXPECT_EQ(read->options, before.options);
  EXPECT_EQ(read->source.name, "rs_source");
  EXPECT_EQ(read->source.id, "65f0a1");
  EXPECT_EQ(read->error, before.error);
  EXPECT_TRUE(read->failed_finalizing);
  EXPECT_TRUE(read->converting) << "a restart must not replay events over real unique indexes";
  EXPECT_EQ(read->recopy, Recopy::changed);
  EXPECT_EQ(read->warnings, before.warnings);
  ASSERT_TRUE(read->finalization);
  EXPECT_EQ(read->finalization->started_at, before.finalization->started_at);
  EXPECT_EQ(read->finalization->completed_at, before.finalization->completed_at);
  EXPECT_EQ(read->finalization->differences, before.finalization->differences);
  EXPECT_TRUE(read->finalization->waive_parked);
  EXPECT_EQ(read->finalization->waived_count, 7);
  ASSERT_EQ(read->finalization->waived.size(), 1U);
  EXPECT_EQ(read->finalization->waived[0].ns, "a.b");
  EXPECT_EQ(bson::to_json(read->finalization->waived[0].id.value()),
            bson::to_json(before.finalization->waived[0].id.value()));
  EXPECT_EQ(read->finalization->waived[0].reason, "too large");
  ASSERT_EQ(read->finalization->unsuccessful_indexes.size(), 2U);
  EXPECT_EQ(read->finalization->unsuccessful_indexes[1].kind, UnsuccessfulIndex::Kind::incomplete);
  EXPECT_EQ(read->finalization->unsuccessful_indexes[0].keys, json(R"({"x": 1})"));
  EXPECT_EQ(to_document(*read), to_document(before));
}

TEST(JobRecord, ReadsEveryStateBack) {
  for (const JobState state : kAllJobStates) {
    JobRecord before;
    before.state = state;
    const auto read = job_record_from(to_document(before).view());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->state, state);
    EXPECT_FALSE(read->finalization);
    EXPECT_FALSE(read->converting);
  }
}

TEST(JobRecord, WithoutARecopyIsOneOfAnOlderPlm) {
  const auto read = job_record_from(json(R"({"_id": "job", "v": 1, "state": "running"})").view());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->recopy, Recopy::none);
}

// Read as something it is not, a newer job would be spoilt by an older plm.
TEST(JobRecord, RefusesANewerVersion) {
  const auto read = job_record_from(json(R"({"_id": "job", "v": 2, "state": "running"})").view());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::stored_format);
  EXPECT_NE(read.error().message.find("newer plm (format 2)"), std::string::npos) << read.error().message;
}

TEST(JobRecord, RefusesTornDocuments) {
  for (const std::string_view torn :
       {R"({"_id": "job"})", R"({"_id": "job", "v": 1})", R"({"_id": "job", "v": 1, "state": "melting"})",
        R"({"_id": "job", "state": "running"})", R"({"_id": "job", "v": 0, "state": "running"})"}) {
    const auto read = job_record_from(json(torn).view());
    ASSERT_FALSE(read) << torn;
    EXPECT_EQ(read.error().code, ErrorCode::stored_format);
  }
}

// Found by fuzzing: a BSON date reaches a million times further than the clock.
TEST(JobRecord, ReadsATimeBeyondTheClockAsNone) {
  for (const std::string time : {"9223372036854775807", "-9223372036854775808", "9223372036855", "-9223372036855"}) {
    const auto read = job_record_from(json(R"({"_id": "job", "v": 1, "state": "finalized", "finalization":
        {"completed": true, "startedAt": {"$date": {"$numberLong": ")" +
                                           time + R"("}}}})")
                                          .view());
    ASSERT_TRUE(read) << time;
    EXPECT_EQ(read->finalization->started_at, WallTime()) << time;
  }
  const auto last = job_record_from(json(R"({"_id": "job", "v": 1, "state": "finalized", "finalization":
      {"completed": true, "startedAt": {"$date": {"$numberLong": "9223372036854"}}}})")
                                        .view());
  EXPECT_EQ(last->finalization->started_at, WallTime(Millis(9223372036854)));
}

TEST(JobRecord, IsIdleUntilOneIsSaved) {
  Random random(1);
  FaultPlan faults(random, {});
  MemoryStateStore store(faults);
  EXPECT_EQ(load_record(store)->state, JobState::idle);
  const StoreChange position{"state", bson::OwnedValue(json(R"({"v": "position"})")["v"]),
                             json(R"({"_id": "position", "v": 1})")};
  ASSERT_TRUE(store.save({&position, 1}));
  EXPECT_EQ(load_record(store)->state, JobState::idle) << "the position is the engine's document";
  for (const JobState state : {JobState::running, JobState::paused}) {
    JobRecord record = example();
    record.state = state;
    const StoreChange change = change_of(record);
    ASSERT_TRUE(store.save({&change, 1}));
    EXPECT_EQ(load_record(store)->state, state);
  }
  EXPECT_EQ(store.load("state")->size(), 2U) << "there is one record";
}

}  // namespace
}  // namespace plm
