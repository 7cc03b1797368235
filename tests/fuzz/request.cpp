// Bodies of HTTP requests.
#include "api/request_json.h"

#include "fuzz.h"
#include "model/filter.h"

using namespace plm;

namespace {

template <typename T>
void check_refusal(const Result<T>& result) {
  if (result) return;
  CHECK(result.error().code == ErrorCode::invalid_argument);
  CHECK(!result.error().message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body = fuzz::text_of(data, size);
  JobOptions defaults;
  defaults.replace_target = true;
  const auto start = parse_start_body(body, defaults);
  check_refusal(start);
  if (start) {
    CHECK(Filter::make(start->include_namespaces, start->exclude_namespaces));
    const Tuning& tuning = start->tuning;
    CHECK(tuning.apply_workers >= 0 && tuning.clone_read_workers >= 0 && tuning.clone_segment_bytes >= 0);
  }
  check_refusal(parse_resume_body(body));
  check_refusal(parse_finalize_body(body));
  const Status empty = parse_empty_body(body);
  // Who may say nothing, may say nothing everywhere.
  if (empty) CHECK(start && parse_resume_body(body) && parse_finalize_body(body));
  return 0;
}
