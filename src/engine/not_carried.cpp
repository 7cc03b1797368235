#include "engine/not_carried.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace plm {

namespace {

// Names of collections that the stages of a pipeline read, those of inner
// pipelines included.
void collect_sources(bson::View pipeline, std::set<std::string>& names) {
  for (const bson::Element& field : pipeline) {
    const bson::View stage = field.value.as_document();
    if (field.key == "$lookup" || field.key == "$graphLookup") names.emplace(stage["from"].as_string());
    if (field.key == "$unionWith") names.emplace(field.value.as_string(stage["coll"].as_string()));
    collect_sources(stage, names);
  }
  names.erase("");  // a stage without one reads documents of its own
}

}  // namespace

std::string warning_about_view(const CollectionSpec& view, const Filter& filter) {
  std::set<std::string> names;
  collect_sources(view.options["pipeline"].as_document(), names);
  names.emplace(view.options["viewOn"].as_string());
  std::string missing;
  for (const std::string& name : names) {
    const Namespace ns{view.ns.database, name};
    if (!filter.selects(ns)) missing += (missing.empty() ? "" : ", ") + ns.text();
  }
  if (missing.empty()) return {};
  return "view " + view.ns.text() + " reads what is not replicated: " + missing;
}

Result<std::vector<Namespace>> lost_parts(Source& source, const Filter& filter) {
  const std::string doing = "looking for halves of time-series collections";
  auto databases = source.list_databases();
  if (!databases) return fail(databases.error().within(doing));
  std::vector<Namespace> out;
  for (const std::string& database : *databases) {
    if (!filter.may_select_in(database)) continue;
    auto lost = source.lost_parts(database);
    if (!lost) return fail(lost.error().within(doing));
    std::ranges::copy_if(*lost, std::back_inserter(out), [&](const Namespace& ns) { return filter.selects(ns); });
  }
  return out;
}

std::vector<std::string> warnings_about_lost_parts(const std::vector<Namespace>& lost) {
  std::vector<std::string> out;
  for (const Namespace& ns : lost) {
    out.push_back(ns.text() + " is not replicated: " +
                  (ns.is_buckets() ? "there is no time-series collection " + ns.for_users().text()
                                   : "a time-series collection without its buckets"));
  }
  return out;
}

}  // namespace plm
