#include "engine/target_schema.h"

#include <algorithm>

namespace plm {

namespace {

// The most that a server takes, for a capped collection that must not remove
// documents by itself: the source's deletions come as events.
constexpr std::int64_t kCappedBytesWhileSynchronising = std::int64_t{1} << 50;

}  // namespace

bson::Document creation_options(const CollectionSpec& spec) {
  bson::Builder out;
  for (const bson::Element& option : spec.options.view()) {
    if (option.key == "uuid" || option.key == "temp") continue;
    // Refused at 2147483647 here, unlike for indexes; becomes real at finalize.
    if (option.key == "expireAfterSeconds") continue;
    if (spec.is_capped() && option.key == "max") continue;
    if (spec.is_capped() && option.key == "size") {
      out.append(option.key, kCappedBytesWhileSynchronising);
      continue;
    }
    out.append(option.key, option.value);
  }
  return out.take();
}

Result<Twin> create_twin(Target& target, const CollectionSpec& spec, const Namespace& name) {
  const bson::Document options = creation_options(spec);
  const auto create = [&]() -> Result<Twin> {
    auto created = target.create(name, options.view());
    if (!created) return fail(std::move(created.error()));
    return Twin{name, *created};
  };
  auto created = create();
  if (created || created.error().server_code != server_code::namespace_exists) return created;
  // Ours of an attempt whose outcome was unknown, or one that came in the way.
  // Only an empty one may go.
  auto present = target.list_collections({name.database});
  if (!present) return fail(std::move(present.error()));
  // Time-series collections share their names with all others.
  const auto same_name = std::ranges::find_if(
      *present, [&](const CollectionSpec& other) { return other.ns.for_users() == name.for_users(); });
  if (same_name == present->end()) {
    return fail(ErrorCode::network, name.text() + " appeared and disappeared on the target");
  }
  const auto not_ours = [&] {
    return fail(ErrorCode::wrong_state, name.for_users().text() + " exists on the target and is not this job's");
  };
  if (same_name->ns != name || same_name->is_view()) return not_ours();
  auto count = target.count_documents(name);
  if (!count) return fail(std::move(count.error()));
  if (*count > 0) return not_ours();
  if (auto dropped = target.drop({name, same_name->uuid}); !dropped) return fail(std::move(dropped.error()));
  return create();
}

Status put_view(Target& target, const CollectionSpec& view) {
  auto created = target.create(view.ns, view.options.view());
  if (created) return {};
  if (created.error().server_code != server_code::namespace_exists) {
    return fail(created.error().within("create view " + view.ns.text()));
  }
  if (auto dropped = target.drop_view(view.ns); !dropped)
    return fail(dropped.error().within("drop view " + view.ns.text()));
  created = target.create(view.ns, view.options.view());
  if (!created) return fail(created.error().within("create view " + view.ns.text()));
  return {};
}

Status drop_as_listed(Target& target, const CollectionSpec& listed) {
  auto dropped = listed.is_view() ? target.drop_view(listed.ns) : target.drop({listed.ns, listed.uuid});
  if (!dropped) return fail(dropped.error().within("drop " + listed.ns.text()));
  return {};
}

Status rename_twin(Target& target, const Twin& twin, const Namespace& to) {
  auto renamed = target.rename(twin, to);
  if (renamed) return {};
  // Perhaps an attempt of unknown outcome had succeeded: the UUID tells.
  auto present = target.list_collections({to.database});
  if (!present) return fail(std::move(present.error()));
  const auto at_new_name = std::ranges::find(*present, to, &CollectionSpec::ns);
  if (at_new_name != present->end() && at_new_name->uuid == twin.uuid) {
    // This server's primary has it, which may be all: a change of nothing, acknowledged
    // by a majority, says that the rename cannot be rolled back.
    return target.modify({to, twin.uuid}, {});
  }
  return fail(renamed.error().within("rename " + twin.ns.text() + " to " + to.text()));
}

}  // namespace plm
