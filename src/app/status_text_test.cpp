#include "app/status_text.h"

#include <gtest/gtest.h>

#include "api/status_json.h"

namespace plm {
namespace {

WallTime at(std::int64_t seconds) { return WallTime{std::chrono::seconds{seconds}}; }

std::string text_of(const StatusReport& report) {
  const auto text = status_text(status_json(report));
  return text ? *text : "refused: " + text.error().message;
}

StatusReport report_with_servers() {
  StatusReport report;
  report.source = {"mongodb://me:***@s1/", "6.0.5", true, {}, {}, {}};
  report.target = {"mongodb://t1/", "6.0.5", true, {}, {}, {}};
  return report;
}

TEST(StatusText, OfAnIdleProgramIsShort) {
  StatusReport report = report_with_servers();
  report.target.version.clear();
  report.target.reachable = false;
  report.target.unreachable_since = at(1764000000);
  EXPECT_EQ(text_of(report),
            "state        idle\n"
            "source       mongodb://me:***@s1/, MongoDB 6.0.5, ok\n"
            "target       mongodb://t1/, unreachable since 2025-11-24T16:00:00Z\n");
}

TEST(StatusText, ShowsTheCopyWithRateAndTimeLeft) {
  StatusReport report = report_with_servers();
  report.state = JobState::running;
  report.info = "Initial Sync: Cloning Data";
  report.mode = ApplyMode::exact;
  report.events_read = 1'234'567;
  report.events_applied = 999;
  report.lag_seconds = 65;
  report.last_replicated = {1764000000, 3};
  report.initial_sync.estimated_bytes = 2'000'000'000;
  report.initial_sync.cloned_bytes = 500'000'000;
  report.initial_sync.eta_seconds = 75;
  report.initial_sync.collections_total = 1200;
  report.initial_sync.collections_copied = 3;
  report.initial_sync.collections_copying = {"a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7"};
  report.initial_sync.indexes_total = 10;
  report.initial_sync.indexes_building = {"a.0.x_1"};
  EXPECT_EQ(text_of(report),
            "state        running: Initial Sync: Cloning Data (exact mode)\n"
            "source       mongodb://me:***@s1/, MongoDB 6.0.5, ok\n"
            "target       mongodb://t1/, MongoDB 6.0.5, ok\n"
            "copy         [#######.......................] 25.0 %, 500.0 MB of 2.0 GB, 20.0 MB/s, 1 min 15 s left\n"
            "collections  3 of 1,200 copied, copying a.1, a.2, a.3, a.4, a.5 and 2 more\n"
            "indexes      0 of 10 built, building a.0.x_1\n"
            "lag          1 min 5 s\n"
            "events       1,234,567 read, 999 applied\n");
}

TEST(StatusText, ReportsAFinalizationWithWhatFailed) {
  StatusReport report = report_with_servers();
  report.state = JobState::finalized;
  report.info = "Finalized";
  report.initial_sync.completed = true;
  report.initial_sync.clone_completed = true;
  report.initial_sync.cloned_bytes = 1'000'000;
  report.initial_sync.collections_total = 1;
  report.initial_sync.collections_copied = 1;
  report.warnings = {"the source is still written"};
  report.parked = {2, {"a.b {_id: 1}: too large", "a.b {_id: 2}: too large"}};
  bson::Builder keys;
  keys.append("b", std::int32_t{1}).append("a", std::int32_t{-1});
  report.finalization = StatusReport::Finalization{};
  report.finalization->completed = true;
  report.finalization->started_at = at(1764000000);
  report.finalization->completed_at = at(1764000060);
  report.finalization->unsuccessful_indexes = {
      {"a.b", "b_1_a_-1", UnsuccessfulIndex::Kind::failed, keys.take(), "duplicate key"},
      {"a.c", "x", UnsuccessfulIndex::Kind::incomplete, bson::Document(), "still building on the source"}};
  report.finalization->differences = {"a.b: 2 documents on the source, 1 on the target"};
  EXPECT_EQ(text_of(report),
            "state        finalized\n"
            "source       mongodb://me:***@s1/, MongoDB 6.0.5, ok\n"
            "target       mongodb://t1/, MongoDB 6.0.5, ok\n"
            "copy         [##############################] done, 1.0 MB\n"
            "collections  1 of 1 copied\n"
            "indexes      0 of 0 built\n"
            "lag          0 s\n"
            "events       0 read, 0 applied\n"
            "parked       2 changes could not be applied and wait for finalize\n"
            "             a.b {_id: 1}: too large\n"
            "             a.b {_id: 2}: too large\n"
            "finalize     started 2025-11-24T16:00:00Z, completed 2025-11-24T16:01:00Z\n"
            "failed       index b_1_a_-1 of a.b {\"b\":1,\"a\":-1}: duplicate key\n"
            "incomplete   index x of a.c {}: still building on the source\n"
            "difference   a.b: 2 documents on the source, 1 on the target\n"
            "warning      the source is still written\n");
}

TEST(StatusText, SaysHowFarAFinalizationIs) {
  StatusReport report = report_with_servers();
  report.state = JobState::finalizing;
  report.finalization = StatusReport::Finalization{};
  report.finalization->started_at = at(1764000000);
  EXPECT_NE(text_of(report).find("finalize     started 2025-11-24T16:00:00Z, under way\n"), std::string::npos);
  report.finalization->collections_done = 999;
  report.finalization->collections_total = 1200;
  EXPECT_NE(text_of(report).find("finalize     started 2025-11-24T16:00:00Z, 999 of 1,200 collections compared\n"),
            std::string::npos);
}

TEST(StatusText, SaysUpToWhenTheTargetHasEverythingOnceTheInitialSyncIsComplete) {
  StatusReport report = report_with_servers();
  report.state = JobState::running;
  report.info = "Replicating Changes";
  report.last_replicated = {1764000000, 3};
  report.initial_sync.completed = true;
  const std::string text = text_of(report);
  EXPECT_TRUE(text.starts_with("state        running: Replicating Changes\n")) << text;
  EXPECT_NE(text.find("lag          0 s; the target has everything up to 2025-11-24T16:00:00Z\n"), std::string::npos)
      << text;
}

TEST(StatusText, SaysWhyAJobFailed) {
  StatusReport report = report_with_servers();
  report.state = JobState::failed;
  report.info = "Failed";
  report.error = "the position is no longer in the oplog";
  EXPECT_TRUE(
      text_of(report).starts_with("state        failed\n"
                                  "error        the position is no longer in the oplog\n"
                                  "source "))
      << text_of(report);
}

TEST(StatusText, DoesNotClaimTheEndOfACopyWhoseEstimateWasTooSmall) {
  StatusReport report = report_with_servers();
  report.state = JobState::running;
  report.initial_sync.estimated_bytes = 1000;
  report.initial_sync.cloned_bytes = 5000;
  report.initial_sync.eta_seconds = 5;
  EXPECT_NE(text_of(report).find("[#############################.] 99.9 %, 5.0 KB of 1.0 KB\n"), std::string::npos)
      << text_of(report);
}

TEST(StatusText, RefusesWhatIsNoStatus) {
  for (const auto text : {"", "<html>", "[]", "{}", R"({"ok":true,"state":"running"})", R"({"ok":true,"state":7})"}) {
    EXPECT_FALSE(status_text(text)) << text;
  }
}

TEST(ProgressBar, IsFullOnlyAtTheEnd) {
  EXPECT_EQ(progress_bar(0), "[..............................]");
  EXPECT_EQ(progress_bar(0.5), "[###############...............]");
  EXPECT_EQ(progress_bar(0.999), "[#############################.]");
  EXPECT_EQ(progress_bar(1), "[##############################]");
  EXPECT_EQ(progress_bar(7), progress_bar(1));
  EXPECT_EQ(progress_bar(-1), progress_bar(0));
}

TEST(Counts, HaveCommas) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
  EXPECT_EQ(format_count(-1000), "-1,000");
  EXPECT_EQ(format_count(-100), "-100");
}

}  // namespace
}  // namespace plm
