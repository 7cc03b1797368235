// Filters. Lines "+entry" include, lines "-entry" exclude, other lines are namespaces that are asked for.
#include "model/filter.h"

#include "fuzz.h"

using namespace plm;

namespace {

// Buckets are meant by the name of their time-series collection.
bool names(const std::vector<std::string>& entries, const Namespace& ns) {
  for (const std::string& entry : entries) {
    if (entry == ns.for_users().text() || entry == ns.database + ".*") return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::text_of(data, size);
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<Namespace> asked;
  while (!text.empty()) {
    const std::string_view line = fuzz::take_until(text, '\n');
    if (line.starts_with('+')) {
      include.emplace_back(line.substr(1));
    } else if (line.starts_with('-')) {
      exclude.emplace_back(line.substr(1));
    } else {
      const auto dot = line.find('.');
      if (dot != std::string_view::npos)
        asked.push_back({std::string(line.substr(0, dot)), std::string(line.substr(dot + 1))});
    }
  }
  const auto filter = Filter::make(include, exclude);
  if (!filter) {
    CHECK(filter.error().code == ErrorCode::invalid_argument);
    CHECK(filter.error().message.find('\n') == std::string::npos);
    return 0;
  }
  for (const Namespace& ns : asked) {
    const bool expected =
        replicable(ns.database, ns.collection) && (include.empty() || names(include, ns)) && !names(exclude, ns);
    CHECK(filter->selects(ns) == expected);
    CHECK(!filter->selects(ns) || filter->may_select_in(ns.database));
  }
  return 0;
}
