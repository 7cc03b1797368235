#include "control/engine_report.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

Collection collection(std::uint8_t number, RangeState state) {
  Collection out;
  out.spec.uuid = uuid_of(number);
  out.spec.ns = {"db", "c" + std::to_string(number)};
  out.planned = true;
  out.ranges.resize(1);
  out.ranges[0].state = state;
  out.ranges_unfinished = out.ranges_unconfirmed = state == RangeState::copied ? 0 : 1;
  out.estimate = {10, 1000};
  out.copied = {4, 400};
  out.indexes = {{{json(R"({"name": "a"})")}, IndexState::built, {}},
                 {{json(R"({"name": "b"})")}, IndexState::waiting, {}}};
  return out;
}

TEST(EngineReport, TellsOfAJobThatNobodyWorksOn) {
  SavedJob job;
  Collection first = collection(1, RangeState::copied);
  first.indexes.push_back({{json(R"({"key":{"x":1},"name":"x_1"})")}, IndexState::failed, "too many"});
  job.catalog.add(std::move(first));
  job.catalog.add(collection(2, RangeState::pending));
  job.position.complete = {100, 3};
  job.position.events_read = 7;
  job.position.events_applied = 6;
  job.position.clone_completed = true;
  for (int i = 0; i < 12; ++i) job.parked.push_back({uuid_of(1), {"db", "c1"}, value_of(std::to_string(i)), "E11000"});
  const StatusReport report = report_of(job);
  EXPECT_EQ(report.last_replicated, (ClusterTime{100, 3}));
  EXPECT_EQ(report.events_read, 7);
  EXPECT_EQ(report.events_applied, 6);
  EXPECT_TRUE(report.initial_sync.clone_completed);
  EXPECT_FALSE(report.initial_sync.completed);
  EXPECT_EQ(report.initial_sync.collections_total, 2);
  EXPECT_EQ(report.initial_sync.collections_copied, 1);
  EXPECT_EQ(report.initial_sync.estimated_bytes, 2000);
  EXPECT_EQ(report.initial_sync.cloned_bytes, 800);
  EXPECT_EQ(report.initial_sync.cloned_documents, 8);
  EXPECT_EQ(report.initial_sync.indexes_total, 5);
  EXPECT_EQ(report.initial_sync.indexes_built, 2);
  EXPECT_EQ(report.initial_sync.indexes_failed, std::vector<std::string>{"db.c1 x_1: too many"});
  EXPECT_EQ(report.parked.count, 12);
  ASSERT_EQ(report.parked.sample.size(), 10U);
  EXPECT_EQ(report.parked.sample[0], "db.c1 0: E11000");
}

StatusReport report_at(JobState state, std::uint32_t replicated) {
  StatusReport out;
  out.state = state;
  out.last_replicated = {replicated, 1};
  return out;
}

constexpr Millis kThirtySeconds{30'900};

TEST(EngineReport, LagIsHowLongTheTargetHasLackedSomething) {
  for (const JobState state : {JobState::running, JobState::paused, JobState::finalizing, JobState::failed}) {
    StatusReport report = report_at(state, 100);
    add_lag(kThirtySeconds, WallTime(), report);
    EXPECT_EQ(report.lag_seconds, 30);
    EXPECT_EQ(report.initial_sync.lag_seconds, 30);
  }
}

TEST(EngineReport, LagIsMeasuredByTheOwnClockWhileTheSourceWasNeverAsked) {
  StatusReport report = report_at(JobState::paused, 100);
  report.source.silent_for = Millis(50'000);
  add_lag({}, WallTime(std::chrono::seconds(400)), report);
  EXPECT_EQ(report.lag_seconds, 300);
  add_lag({}, WallTime(std::chrono::seconds(40)), report);
  EXPECT_EQ(report.lag_seconds, 50) << "the clock may be wrong";
}

TEST(EngineReport, TheInitialSyncHasNoLagOnceItIsCompleted) {
  StatusReport report = report_at(JobState::running, 100);
  report.initial_sync.completed = true;
  add_lag(kThirtySeconds, WallTime(), report);
  EXPECT_EQ(report.lag_seconds, 30);
  EXPECT_EQ(report.initial_sync.lag_seconds, 0);
}

TEST(EngineReport, AJobThatDoesNotReplicateHasNoLag) {
  for (const JobState state : {JobState::idle, JobState::finalized}) {
    StatusReport report = report_at(state, 100);
    add_lag(kThirtySeconds, WallTime(), report);
    EXPECT_EQ(report.lag_seconds, 0);
  }
  StatusReport young = report_at(JobState::running, 100);
  young.last_replicated = {};
  add_lag({}, WallTime(std::chrono::hours(100)), young);
  EXPECT_EQ(young.lag_seconds, 0) << "not 54 years";
}

// A source that cannot be asked goes on writing: a lag that stands still would
// say that all is well.
TEST(EngineReport, LagGrowsWhileTheSourceIsUnreachable) {
  StatusReport report = report_at(JobState::running, 100);
  report.source.silent_for = Millis(1999);
  add_lag(Millis(0), WallTime(), report);
  EXPECT_EQ(report.lag_seconds, 0);
  report.source.silent_for = Millis(45'000);
  add_lag(Millis(0), WallTime(), report);
  EXPECT_EQ(report.lag_seconds, 45);
  add_lag(Millis(60'000), WallTime(), report);
  EXPECT_EQ(report.lag_seconds, 60);
}

TEST(EngineReport, DescribesThePhaseInTheWordsOfTheApi) {
  StatusReport report;
  EXPECT_EQ(describe_phase(report), "");
  report.state = JobState::running;
  EXPECT_EQ(describe_phase(report), "Initial Sync: Cloning Data");
  report.initial_sync.clone_completed = true;
  EXPECT_EQ(describe_phase(report), "Initial Sync: Replicating Changes");
  report.initial_sync.completed = true;
  EXPECT_EQ(describe_phase(report), "Replicating Changes");
  const std::pair<JobState, std::string> others[] = {{JobState::paused, "Paused"},
                                                     {JobState::finalizing, "Finalizing"},
                                                     {JobState::finalized, "Finalized"},
                                                     {JobState::failed, "Failed"}};
  for (const auto& [state, words] : others) {
    report.state = state;
    EXPECT_EQ(describe_phase(report), words);
  }
}

StatusReport report_with(JobState state, OplogUse oplog) {
  StatusReport out;
  out.state = state;
  out.oplog = oplog;
  out.last_replicated = {100, 3};
  return out;
}

TEST(OplogWarning, TellsHowMuchIsUsedHowLongItLastsAndWhatToDo) {
  const OplogUse use{0.624, 11'400, OplogLevel::warning};
  EXPECT_EQ(oplog_warning(report_with(JobState::paused, use)),
            "62 % of the source's oplog window is used; in about 3 h 10 min the job is lost: resume it before");
  EXPECT_EQ(
      oplog_warning(report_with(JobState::failed, use)),
      "62 % of the source's oplog window is used; in about 3 h 10 min the job is lost: resume it with fromFailure "
      "before");
  EXPECT_EQ(oplog_warning(report_with(JobState::running, use)),
            "62 % of the source's oplog window is used; in about 3 h 10 min the job is lost: the target is too slow");
}

TEST(OplogWarning, NamesNoTimeThatIsNotKnown) {
  EXPECT_EQ(oplog_warning(report_with(JobState::paused, {0.9, std::nullopt, OplogLevel::critical})),
            "90 % of the source's oplog window is used; at the end of it the job is lost: resume it before");
}

TEST(OplogWarning, OfALostPositionNamesTheCommandsThatCopyAnew) {
  const OplogUse lost{1, 0, OplogLevel::lost};
  for (const JobState state : {JobState::paused, JobState::failed}) {
    const std::string text = oplog_warning(report_with(state, lost));
    EXPECT_NE(text.find("100.3"), std::string::npos) << text;
    EXPECT_NE(text.find("plm resume --recopy changed"), std::string::npos) << text;
  }
  // An engine that has read ahead of the save may still save itself.
  EXPECT_EQ(oplog_warning(report_with(JobState::running, lost)).find("reset"), std::string::npos);
}

TEST(OplogWarning, IsEmptyWhileThereIsNothingToFear) {
  EXPECT_EQ(oplog_warning({}), "");
  EXPECT_EQ(oplog_warning(report_with(JobState::running, {0.49, 100, OplogLevel::fine})), "");
}

}  // namespace
}  // namespace plm
