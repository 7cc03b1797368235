#include "engine/listing.h"

#include <algorithm>

namespace plm {

namespace {

using Database = std::vector<CollectionSpec>;

constexpr int kMostRounds = 100;

Result<Database> list_database(Source& source, const Filter& filter, const std::string& name) {
  auto listed = source.list_collections(name);
  if (!listed) return listed;
  std::erase_if(*listed, [&](const CollectionSpec& spec) { return !filter.selects(spec.ns); });
  std::ranges::sort(*listed, {}, &CollectionSpec::ns);
  return listed;
}

Result<std::vector<std::string>> selected_databases(Source& source, const Filter& filter) {
  auto names = source.list_databases();
  if (!names) return names;
  std::erase_if(*names, [&](const std::string& name) { return !filter.may_select_in(name); });
  std::ranges::sort(*names);
  return names;
}

}  // namespace

ClusterTime Listing::newest() const {
  ClusterTime out = as_of;
  for (const auto& [name, time] : later) out = std::max(out, time);
  return out;
}

Result<Listing> list_source(Source& source, const Filter& filter) {
  Listing out;
  std::map<std::string, Database> before;
  auto names = selected_databases(source, filter);
  if (!names) return fail(std::move(names.error()));
  for (const std::string& name : *names) {
    auto listed = list_database(source, filter, name);
    if (!listed) return fail(std::move(listed.error()));
    before[name] = *std::move(listed);
  }

  for (int round = 0; round < kMostRounds; ++round) {
    auto time = source.append_note("plm lists collections");
    if (!time) return fail(std::move(time.error()));
    // In the first round databases that came or went meanwhile count, too.
    if (round == 0) {
      out.as_of = *time;
      names = selected_databases(source, filter);
      if (!names) return fail(std::move(names.error()));
      for (const auto& [name, specs] : before) {
        if (!std::ranges::binary_search(*names, name)) names->push_back(name);
      }
    }
    std::vector<std::string> different;
    for (const std::string& name : *names) {
      auto listed = list_database(source, filter, name);
      if (!listed) return fail(std::move(listed.error()));
      if (round > 0) out.later[name] = *time;
      if (*listed != before[name]) different.push_back(name);
      before[name] = *std::move(listed);
    }
    if (different.empty()) {
      for (auto& [name, specs] : before) std::ranges::move(specs, std::back_inserter(out.collections));
      return out;
    }
    names = std::move(different);
  }
  return fail(ErrorCode::wrong_state,
              "collections of " + names->front() + " are created and dropped too often to be listed");
}

}  // namespace plm
