// Bodies of requests: JSON to options. Strict: what is not known is refused and
// named, because a misspelt "excludeNamespaces" would copy what nobody wanted.
#pragma once

#include <string_view>

#include "base/error.h"
#include "control/job_options.h"

namespace plm {

// The body of POST /start; empty means {}. Fields that are absent keep the
// value they have in `defaults`. Errors: invalid_argument, naming the field.
[[nodiscard]] Result<JobOptions> parse_start_body(std::string_view body, const JobOptions& defaults);

// The body of POST /resume: {"fromFailure": bool, "recopy": "changed" or "all"}.
// Errors as above.
[[nodiscard]] Result<ResumeOptions> parse_resume_body(std::string_view body);

// The body of POST /finalize: {"waiveParked": bool}. Errors as above.
[[nodiscard]] Result<FinalizeOptions> parse_finalize_body(std::string_view body);

// The body of a request that takes no fields: empty or {}. Errors as above.
[[nodiscard]] Status parse_empty_body(std::string_view body);

}  // namespace plm
