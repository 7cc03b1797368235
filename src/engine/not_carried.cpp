#include "engine/not_carried.h"

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

}  // namespace plm
