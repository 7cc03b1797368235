#include "api/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace plm {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric gauge_value(double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric out;
  out.label = std::move(labels);
  out.gauge.value = value;
  return out;
}

class Page {
 public:
  void gauge(const char* name, const char* help, double value) {
    families_.push_back({name, help, MetricType::Gauge, {gauge_value(value)}});
  }
  void gauge(const char* name, const char* help, std::int64_t value) { gauge(name, help, static_cast<double>(value)); }
  void gauge(const char* name, const char* help, bool value) { gauge(name, help, value ? 1.0 : 0.0); }
  void gauges(const char* name, const char* help, std::vector<ClientMetric> values) {
    families_.push_back({name, help, MetricType::Gauge, std::move(values)});
  }
  void counter(const char* name, const char* help, double value) {
    ClientMetric metric;
    metric.counter.value = value;
    families_.push_back({name, help, MetricType::Counter, {metric}});
  }
  void counter(const char* name, const char* help, std::int64_t value) {
    counter(name, help, static_cast<double>(value));
  }

  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  std::vector<MetricFamily> families_;
};

void add_state(Page& page, const StatusReport& report) {
  std::vector<ClientMetric> states;
  for (const JobState state : kAllJobStates) {
    states.push_back(
        gauge_value(name_of(state) == report.state_name() ? 1 : 0, {{"state", std::string(name_of(state))}}));
  }
  page.gauges("plm_state", "State of the job: 1 for the one it is in.", std::move(states));
  page.gauge("plm_standby", "1 while another plm works on the target.", !report.standby_for.empty());
  page.gauge("plm_stalled", "1 when nothing moves although there is work.", !report.stall.empty());
}

void add_changes(Page& page, const StatusReport& report) {
  page.gauge("plm_lag_seconds", "How far the target is behind the source.", report.lag_seconds);
  page.counter("plm_events_read_total", "Change events read from the source.", report.events_read);
  page.counter("plm_events_applied_total", "Change events applied to the target.", report.events_applied);
  page.gauge("plm_last_replicated_timestamp_seconds",
             "Cluster time up to which the target has every change, in seconds since 1970.",
             static_cast<double>(report.last_replicated.seconds));
  page.gauge("plm_parked_changes", "Changes that could not be applied and wait for finalize.", report.parked.count);
  page.counter("plm_retries_total", "Operations sent again after an error that may pass.", report.retries);
}

void add_oplog(Page& page, const OplogUse& oplog) {
  page.gauge("plm_oplog_window_used_ratio", "Part of the source's oplog window that is used behind the position.",
             oplog.used_fraction);
  if (oplog.seconds_left) {
    page.gauge("plm_oplog_window_seconds_left", "Estimated time until the position is lost, if it stays where it is.",
               *oplog.seconds_left);
  }
  page.gauge("plm_position_lost", "1 when the position is no longer in the source's oplog.",
             oplog.level == OplogLevel::lost);
}

void add_initial_sync(Page& page, const StatusReport::InitialSync& sync) {
  page.gauge("plm_initial_sync_completed", "1 once the initial sync is complete.", sync.completed);
  page.gauge("plm_clone_completed", "1 once every range is copied and the indexes are built.", sync.clone_completed);
  page.gauge("plm_initial_sync_eta_seconds", "Estimated time until the data is copied.", sync.eta_seconds);
  page.gauge("plm_clone_estimated_bytes", "Estimated size of the data to copy.", sync.estimated_bytes);
  page.counter("plm_cloned_bytes_total", "Size of the documents copied.", sync.cloned_bytes);
  page.counter("plm_cloned_documents_total", "Documents copied.", sync.cloned_documents);
  page.gauge("plm_collections", "Collections that take part.", sync.collections_total);
  page.gauge("plm_collections_copied", "Collections copied completely.", sync.collections_copied);
  page.gauge("plm_indexes", "Indexes to build on the target.", sync.indexes_total);
  page.gauge("plm_indexes_built", "Indexes built on the target.", sync.indexes_built);
}

void add_process(Page& page, const ProcessUse& process) {
  page.counter("process_cpu_seconds_total", "CPU time of this process, user and system.", process.cpu_seconds);
  page.gauge("process_resident_memory_bytes", "Resident memory of this process.", process.resident_bytes);
  page.gauge("process_start_time_seconds", "Start of this process, in seconds since 1970.", process.start_time_seconds);
}

// Seconds since 1970 at which the machine started ("btime" of /proc/stat).
double boot_time() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

}  // namespace

ProcessUse ProcessUse::now() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(')');  // the program's name may hold blanks
  if (name_end == std::string::npos) return {};
  // Fields 3 and following of proc(5): 14 utime, 15 stime, 22 starttime in ticks; 24 rss in pages.
  std::istringstream fields(text.substr(name_end + 2));
  std::vector<std::string> field;
  for (std::string word; fields >> word;) field.push_back(word);
  if (field.size() < 22) return {};
  const auto number = [&field](std::size_t position) { return std::strtod(field[position - 3].c_str(), nullptr); };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {(number(14) + number(15)) / ticks, number(24) * static_cast<double>(sysconf(_SC_PAGESIZE)),
          boot_time() + number(22) / ticks};
}

std::string metrics_text(const StatusReport& report, const ProcessUse& process, std::string_view version) {
  Page page;
  page.gauges("plm_build_info", "Version of plm.", {gauge_value(1, {{"version", std::string(version)}})});
  page.gauge("plm_source_up", "1 when the source answers.", report.source.reachable);
  page.gauge("plm_target_up", "1 when the target answers.", report.target.reachable);
  add_state(page, report);
  add_changes(page, report);
  if (report.oplog) add_oplog(page, *report.oplog);
  add_initial_sync(page, report.initial_sync);
  add_process(page, process);
  return page.text();
}

}  // namespace plm
