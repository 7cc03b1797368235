#include "control/preflight.h"

#include <charconv>
#include <utility>

#include "base/log.h"
#include "engine/job_start.h"
#include "engine/target_schema.h"

namespace plm {

namespace {

constexpr std::size_t kMostNamed = 10;

// Major and minor; the rest does not decide.
std::pair<int, int> release_of(const std::string& version) {
  std::pair<int, int> out{0, 0};
  const char* end = version.data() + version.size();
  const auto major = std::from_chars(version.data(), end, out.first);
  if (major.ec == std::errc() && major.ptr != end) std::from_chars(major.ptr + 1, end, out.second);
  return out;
}

}  // namespace

Status check_servers(Source& source, Target& target) {
  auto from = source.info();
  if (!from) return fail(from.error().within("source"));
  auto to = target.info();
  if (!to) return fail(to.error().within("target"));
  if (from->set_name.empty()) return fail(ErrorCode::wrong_state, "the source is not a replica set");
  if (to->set_name.empty()) return fail(ErrorCode::wrong_state, "the target is not a replica set");
  if (!from->set_id.empty() && from->set_id == to->set_id) {
    return fail(ErrorCode::wrong_state, "source and target are the same replica set (" + from->set_name + ")");
  }
  if (release_of(from->version) < std::pair(6, 0)) {
    return fail(ErrorCode::wrong_state, "the source is MongoDB " + from->version + "; 6.0 or newer is needed");
  }
  if (release_of(to->version) < release_of(from->version)) {
    return fail(ErrorCode::wrong_state,
                "the target is MongoDB " + to->version + ", older than the source's " + from->version);
  }
  for (const auto& [name, server] : {std::pair{"source", &*from}, std::pair{"target", &*to}}) {
    if (server->tells_times) continue;
    return fail(ErrorCode::wrong_state, "the " + std::string(name) +
                                            " tells no operation times: it was started as a shard (--shardsvr) and "
                                            "belongs to no cluster yet");
  }
  if (auto allowed = source.check_privileges(); !allowed) return fail(allowed.error().within("source"));
  if (auto allowed = target.check_privileges(); !allowed) return fail(allowed.error().within("target"));
  return {};
}

Status check_same_source(Source& source, const SourceSet& began_with) {
  auto now = source.info();
  if (!now) return fail(now.error().within("source"));
  const auto lasting = [](const std::string& id) { return !id.empty() && id.find('/') == std::string::npos; };
  const bool other_id = lasting(now->set_id) && lasting(began_with.id) && now->set_id != began_with.id;
  if (now->set_name == began_with.name && !other_id) return {};
  const auto text = [](const std::string& name, const std::string& id) { return name + " (" + id + ")"; };
  return fail(ErrorCode::wrong_state, "the job replicates " + text(began_with.name, began_with.id) +
                                          "; the source given now is another replica set, " +
                                          text(now->set_name, now->set_id));
}

Status check_target_is_free(Target& target, const Filter& filter, bool replace) {
  if (replace) return {};
  auto present = present_on_target(target, filter);
  if (!present) return fail(present.error().within("target"));
  if (present->empty()) return {};
  std::string names;
  for (std::size_t i = 0; i < present->size() && i < kMostNamed; ++i) {
    names += (i > 0 ? ", " : "") + (*present)[i].ns.for_users().text();
  }
  if (present->size() > kMostNamed) names += " and " + std::to_string(present->size() - kMostNamed) + " more";
  return fail(ErrorCode::wrong_state, "the target already holds " + names +
                                          "; empty it, or allow to drop that (replaceTarget, --replace-target)");
}

Status drop_present(Target& target, const Filter& filter) {
  auto present = present_on_target(target, filter);
  if (!present) return fail(std::move(present.error()));
  for (const CollectionSpec& spec : *present) {
    log::info("dropping what the target holds, as allowed", {{"namespace", spec.ns.text()}});
    if (auto dropped = drop_as_listed(target, spec); !dropped) return dropped;
  }
  return {};
}

}  // namespace plm
