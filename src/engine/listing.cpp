#include "engine/listing.h"

#include <algorithm>
#include <iterator>

namespace plm {

namespace {

using Database = std::vector<CollectionSpec>;

constexpr int kMostRounds = 100;
constexpr int kMostRoundsAtOneTime = 10;

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

using Databases = std::map<std::string, Database>;

Result<Databases> list_all(Source& source, const Filter& filter) {
  auto names = selected_databases(source, filter);
  if (!names) return fail(std::move(names.error()));
  Databases out;
  for (const std::string& name : *names) {
    auto listed = list_database(source, filter, name);
    if (!listed) return fail(std::move(listed.error()));
    if (!listed->empty()) out[name] = *std::move(listed);
  }
  return out;
}

std::set<std::string> differing(const Databases& left, const Databases& right) {
  std::set<std::string> out;
  const auto add_missing = [&](const Databases& from, const Databases& other) {
    for (const auto& [name, specs] : from) {
      const auto found = other.find(name);
      if (found == other.end() || found->second != specs) out.insert(name);
    }
  };
  add_missing(left, right);
  add_missing(right, left);
  return out;
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

Result<Listing> list_at_one_time(Source& source, const Filter& filter) {
  auto before = list_all(source, filter);
  if (!before) return fail(std::move(before.error()));
  Listing out;
  for (int round = 0; round < kMostRoundsAtOneTime; ++round) {
    auto time = source.append_note("plm lists collections");
    if (!time) return fail(std::move(time.error()));
    auto after = list_all(source, filter);
    if (!after) return fail(std::move(after.error()));
    out.as_of = *time;
    out.unsettled = differing(*before, *after);
    before = std::move(after);
    if (out.unsettled.empty()) break;
  }
  for (auto& [name, specs] : *before) {
    if (!out.unsettled.contains(name)) std::ranges::move(specs, std::back_inserter(out.collections));
  }
  return out;
}

}  // namespace plm
