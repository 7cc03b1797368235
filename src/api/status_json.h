// The truth about a job, and answers to requests, as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "control/health.h"
#include "control/status_report.h"

namespace plm {

// The body of GET /status: one line, fields in the documented order.
[[nodiscard]] std::string status_json(const StatusReport& report);

// The body of GET /health: {"ok":true,"state":"running"}, or with "ok":false the
// reasons as "error" and the word for the worst of them as "code".
[[nodiscard]] std::string health_json(std::string_view state, const std::vector<HealthProblem>& problems);

// {"ok":true}
[[nodiscard]] std::string success_json();

// {"ok":false,"error":"...","code":"..."}
[[nodiscard]] std::string refusal_json(std::string_view message, std::string_view code);

}  // namespace plm
