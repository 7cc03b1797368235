#include "engine/final_comparison.h"

#include <algorithm>
#include <string>

#include "bson/same_fields.h"

namespace plm {

namespace {

Status compare_natural_order(Source& source, Target& target, const Namespace& ns, FinalReport& report) {
  auto on_target = target.natural_order(ns);
  if (!on_target) return fail(std::move(on_target.error()));
  auto on_source = source.natural_order(ns);
  if (on_source && *on_source == *on_target) return {};
  if (on_source) {
    report.differences.push_back(ns.text() +
                                 " has its documents in another natural order than on the source (rightly if it was "
                                 "written after finalize began)");
    return {};
  }
  // Written so fast that it cannot be read to the end: another attempt would not help.
  const bool lost = on_source.error().server_code == server_code::capped_position_lost;
  if (worth_waiting(on_source.error()) && !lost) return fail(std::move(on_source.error()));
  report.differences.push_back(ns.text() + " could not be compared: " + on_source.error().message);
  return {};
}

}  // namespace

Status compare_indexes(Target& target, const Collection& collection, FinalReport& report) {
  if (!collection.ref) return {};
  const std::string name = collection.spec.ns.for_users().text();
  auto present = target.list_indexes(collection.ref->twin);
  if (!present) return fail(std::move(present.error()));
  for (const IndexTask& task : collection.indexes) {
    if (task.state == IndexState::failed) continue;
    const auto same_name = std::ranges::find(*present, task.spec.name(), &IndexSpec::name);
    if (same_name == present->end()) {
      report.differences.push_back(name + " lacks index " + task.spec.name());
    } else if (!same_fields(same_name->spec.view(), task.spec.spec.view())) {
      report.differences.push_back(name + " has index " + task.spec.name() + " as " + same_name->spec.view().json(300) +
                                   ", the source as " + task.spec.spec.view().json(300));
    }
  }
  return {};
}

Status compare_documents(Source& source, Target& target, const Collection& collection, FinalReport& report) {
  if (!collection.ref) return {};
  const Namespace& ns = collection.spec.ns;
  const std::string name = ns.for_users().text();
  auto on_target = target.count_documents(ns);
  if (!on_target) return fail(std::move(on_target.error()));
  auto on_source = source.count_documents(ns);
  if (!on_source && worth_waiting(on_source.error())) return fail(std::move(on_source.error()));
  if (!on_source && on_source.error().code != ErrorCode::not_found) {
    report.differences.push_back(name + " could not be counted on the source: " + on_source.error().message);
  }
  if (on_source && *on_source != *on_target) {
    report.differences.push_back(name + " has " + std::to_string(*on_target) + " documents, on the source " +
                                 std::to_string(*on_source) +
                                 " (they differ rightly if it was written after finalize began)");
    return {};
  }
  return collection.spec.is_capped() ? compare_natural_order(source, target, ns, report) : Status();
}

Status compare_options(Target& target, const std::string& database, std::span<const CollectionSpec* const> wanted,
                       FinalReport& report) {
  auto listed = target.list_collections({database});
  if (!listed) return fail(std::move(listed.error()));
  for (const CollectionSpec* spec : wanted) {
    const auto same_name = std::ranges::find(*listed, spec->ns, &CollectionSpec::ns);
    if (same_name == listed->end()) {
      report.differences.push_back(spec->ns.for_users().text() + " is not on the target");
    } else if (!same_fields(same_name->options.view(), spec->options.view())) {
      report.differences.push_back(spec->ns.for_users().text() + " has options " + same_name->options.view().json(300) +
                                   ", on the source " + spec->options.view().json(300));
    }
  }
  return {};
}

}  // namespace plm
