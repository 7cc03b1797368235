#include "engine/working_name.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"

namespace plm {

namespace {

constexpr std::string_view kPrefix = "plm_copy_";
constexpr std::size_t kUuidCharacters = 36;
constexpr std::size_t kDigits = kPrefix.size() + kUuidCharacters + 1;  // where the number begins
constexpr std::size_t kMostDigits = 19;                                // a cluster time, and what fits 64 bits

}  // namespace

bool may_have_working_name(const CollectionSpec& spec) {
  return spec.kind == CollectionKind::collection && !spec.is_strictly_ordered() &&
         !spec.ns.collection.starts_with("system.");
}

bool is_working_name(const Namespace& ns) {
  const std::string_view name = ns.collection;
  if (!name.starts_with(kPrefix) || name.size() <= kDigits || name[kDigits - 1] != '_') return false;
  if (name.size() > kDigits + kMostDigits) return false;
  return name.find_first_not_of("0123456789", kDigits) == std::string_view::npos;
}

Namespace first_working_name(const CollectionSpec& spec) { return working_name_at(spec, {}); }

Namespace working_name_at(const CollectionSpec& spec, ClusterTime now) {
  return {spec.ns.database, std::string(kPrefix) + spec.uuid.text() + "_" + std::to_string(now.packed())};
}

Namespace next_working_name(const Namespace& ns) {
  CHECK(is_working_name(ns));
  const std::uint64_t number = std::stoull(ns.collection.substr(kDigits));
  return {ns.database, ns.collection.substr(0, kDigits) + std::to_string(number + 1)};
}

}  // namespace plm
