// The truth about a job as Prometheus text, version 0.0.4 of the format.
#pragma once

#include <string>
#include <string_view>

#include "control/status_report.h"

namespace plm {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// What this process has used, from /proc/self; zeros where that cannot be read.
struct ProcessUse {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double start_time_seconds = 0;  // since 1970

  static ProcessUse now();
};

// The body of GET /metrics.
[[nodiscard]] std::string metrics_text(const StatusReport& report, const ProcessUse& process, std::string_view version);

}  // namespace plm
