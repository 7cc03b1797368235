#include "engine/listing.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace plm {

namespace {

using Databases = std::map<std::string, std::vector<CollectionSpec>>;

constexpr int kMostRounds = 100;
constexpr int kMostRoundsAtOneTime = 10;

Result<std::vector<std::string>> selected_databases(Source& source, const Filter& filter) {
  auto names = source.list_databases();
  if (!names) return names;
  std::erase_if(*names, [&](const std::string& name) { return !filter.may_select_in(name); });
  std::ranges::sort(*names);
  return names;
}

// What is selected in these databases; those without anything are not in it.
Result<Databases> list_databases(Source& source, const Filter& filter, const std::vector<std::string>& names) {
  auto listed = source.list_collections(names);
  if (!listed) return fail(std::move(listed.error()));
  Databases out;
  for (CollectionSpec& spec : *listed) {
    if (filter.selects(spec.ns)) out[spec.ns.database].push_back(std::move(spec));
  }
  for (auto& [name, specs] : out) std::ranges::sort(specs, {}, &CollectionSpec::ns);
  return out;
}

Result<Databases> list_all(Source& source, const Filter& filter) {
  auto names = selected_databases(source, filter);
  if (!names) return fail(std::move(names.error()));
  return list_databases(source, filter, *names);
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
  auto listed = list_all(source, filter);
  if (!listed) return fail(std::move(listed.error()));
  Databases known = *std::move(listed);
  std::vector<std::string> names;
  for (int round = 0; round < kMostRounds; ++round) {
    auto time = source.append_note("plm lists collections");
    if (!time) return fail(std::move(time.error()));
    // In the first round databases that came or went meanwhile count, too.
    listed = round == 0 ? list_all(source, filter) : list_databases(source, filter, names);
    if (!listed) return fail(std::move(listed.error()));
    Databases before;
    if (round == 0) {
      out.as_of = *time;
      before = std::exchange(known, {});
    }
    for (const std::string& name : names) {
      out.later[name] = *time;
      before.insert(known.extract(name));
    }
    const std::set<std::string> different = differing(before, *listed);
    known.merge(*std::move(listed));
    if (different.empty()) {
      for (auto& [name, specs] : known) std::ranges::move(specs, std::back_inserter(out.collections));
      return out;
    }
    names.assign(different.begin(), different.end());
  }
  return fail(ErrorCode::wrong_state,
              "collections of " + names.front() + " are created and dropped too often to be listed");
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
