// The truth about a job, and answers to requests, as JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "control/status_report.h"

namespace plm {

// The body of GET /status: one line, fields in the documented order.
[[nodiscard]] std::string status_json(const StatusReport& report);

// {"ok":true}
[[nodiscard]] std::string success_json();

// {"ok":false,"error":"...","code":"..."}
[[nodiscard]] std::string refusal_json(std::string_view message, std::string_view code);

}  // namespace plm
