#include "api/metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <set>
#include <sstream>

namespace plm {
namespace {

StatusReport running_report() {
  StatusReport report;
  report.state = JobState::running;
  report.lag_seconds = 7;
  report.events_read = 120;
  report.events_applied = 100;
  report.last_replicated = {1764000000, 3};
  report.oplog = {0.75, 3600, OplogLevel::warning};
  report.initial_sync.estimated_bytes = 3'000'000'000'000;
  report.initial_sync.cloned_bytes = 2'000'000'000'123;
  report.initial_sync.cloned_documents = 42;
  report.initial_sync.collections_total = 10;
  report.initial_sync.collections_copied = 4;
  report.initial_sync.indexes_total = 30;
  report.initial_sync.indexes_built = 5;
  report.retries = 6;
  report.parked.count = 1;
  report.target.reachable = false;
  return report;
}

// Value of each line "name{labels} value".
std::map<std::string, double> samples_of(const std::string& page) {
  std::map<std::string, double> out;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto blank = line.rfind(' ');
    out[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
  }
  return out;
}

TEST(Metrics, TellTheReport) {
  const auto samples = samples_of(metrics_text(running_report(), {1.5, 2e8, 1.7e9}, "1.2.3"));
  const std::map<std::string, double> expected = {{"plm_build_info{version=\"1.2.3\"}", 1},
                                                  {"plm_source_up", 1},
                                                  {"plm_target_up", 0},
                                                  {"plm_stalled", 0},
                                                  {"plm_lag_seconds", 7},
                                                  {"plm_events_read_total", 120},
                                                  {"plm_events_applied_total", 100},
                                                  {"plm_last_replicated_timestamp_seconds", 1764000000},
                                                  {"plm_oplog_window_used_ratio", 0.75},
                                                  {"plm_oplog_window_seconds_left", 3600},
                                                  {"plm_position_lost", 0},
                                                  {"plm_parked_changes", 1},
                                                  {"plm_retries_total", 6},
                                                  {"plm_clone_estimated_bytes", 3e12},
                                                  {"plm_cloned_bytes_total", 2'000'000'000'123},
                                                  {"plm_cloned_documents_total", 42},
                                                  {"plm_collections", 10},
                                                  {"plm_collections_copied", 4},
                                                  {"plm_indexes", 30},
                                                  {"plm_indexes_built", 5},
                                                  {"process_cpu_seconds_total", 1.5},
                                                  {"process_resident_memory_bytes", 2e8},
                                                  {"process_start_time_seconds", 1.7e9}};
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(samples.contains(name)) << name;
    EXPECT_EQ(samples.at(name), value) << name;
  }
}

TEST(Metrics, LeaveOutWhatIsNotKnownOfTheOplog) {
  StatusReport report;
  EXPECT_EQ(metrics_text(report, {}, "1").find("oplog"), std::string::npos);
  report.oplog = {1, std::nullopt, OplogLevel::lost};
  const auto samples = samples_of(metrics_text(report, {}, "1"));
  EXPECT_FALSE(samples.contains("plm_oplog_window_seconds_left"));
  EXPECT_EQ(samples.at("plm_position_lost"), 1);
}

TEST(Metrics, HaveOneStateAtATime) {
  for (const JobState state : kAllJobStates) {
    StatusReport report;
    report.state = state;
    const auto samples = samples_of(metrics_text(report, {}, "1"));
    double sum = 0;
    for (const JobState other : kAllJobStates) {
      const double value = samples.at("plm_state{state=\"" + std::string(name_of(other)) + "\"}");
      EXPECT_EQ(value, other == state ? 1 : 0) << name_of(state) << " " << name_of(other);
      sum += value;
    }
    EXPECT_EQ(sum, 1);
  }
}

TEST(Metrics, AreNamedAndTypedAsPrometheusAsks) {
  const std::string page = metrics_text(running_report(), {}, "1");
  ASSERT_TRUE(page.ends_with('\n'));
  std::istringstream lines(page);
  std::set<std::string> helped;
  std::map<std::string, std::string> types;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string mark;
    std::string kind;
    std::string name;
    std::string rest;
    words >> mark >> kind >> name >> rest;
    if (mark != "#") continue;
    if (kind == "HELP") {
      EXPECT_TRUE(helped.insert(name).second) << name << " twice";
    } else {
      EXPECT_EQ(kind, "TYPE");
      types[name] = rest;
    }
    EXPECT_TRUE(name.starts_with("plm_") || name.starts_with("process_")) << name;
    for (const char c : name) EXPECT_TRUE(std::islower(static_cast<unsigned char>(c)) != 0 || c == '_') << name;
  }
  EXPECT_EQ(helped.size(), types.size());
  for (const auto& [name, type] : types) {
    EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
    EXPECT_TRUE(helped.contains(name)) << name;
  }
}

TEST(Metrics, ReadWhatThisProcessUses) {
  const auto before = ProcessUse::now();
  EXPECT_GT(before.resident_bytes, 1e6);
  EXPECT_LT(before.resident_bytes, 1e11);
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_LE(before.start_time_seconds, now + 1);
  EXPECT_GT(before.start_time_seconds, now - 24 * 3600);
  const std::clock_t start = std::clock();
  while (std::clock() - start < CLOCKS_PER_SEC / 10) {
  }
  EXPECT_GE(ProcessUse::now().cpu_seconds, before.cpu_seconds + 0.05);
}

}  // namespace
}  // namespace plm
