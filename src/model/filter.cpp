#include "model/filter.h"

#include <fmt/format.h>

namespace plm {

namespace {

// Why an entry is malformed; empty when it is not. The limits are those of
// mongod 6.0 on Linux, which takes more names than the manual's "Naming
// Restrictions" say: collections that end with a dot, say.
std::string fault_of(std::string_view entry) {
  const auto dot = entry.find('.');
  if (dot == std::string_view::npos) return "needs the form database.collection or database.*";
  const auto database = entry.substr(0, dot);
  const auto collection = entry.substr(dot + 1);
  if (database.empty()) return "has no database name";
  if (collection.empty()) return "has no collection name";
  if (entry.find('\0') != std::string_view::npos) return "holds a zero byte";
  if (database.size() > 63) return "has a database name of more than 63 bytes";
  if (entry.size() > 255) return "has more than 255 bytes";
  if (database.find('*') != std::string_view::npos)
    return "has a '*' in its database name; only database.* is possible";
  if (database.find_first_of("/\\ \"$") != std::string_view::npos) {
    return "has a character in its database name that no database name can hold";
  }
  if (collection.starts_with('.')) return "has a collection name that begins with a dot";
  if (collection.find('$') != std::string_view::npos) return "has a '$' in its collection name";
  if (!replicable(database, "any")) return "names a database that never takes part";
  if (collection.starts_with(kBucketsPrefix)) return "names buckets; name the time-series collection itself";
  if (!replicable(database, collection)) return "names a collection that never takes part";
  if (collection.size() > 1 && collection.ends_with('*')) {
    return "has a '*' that stands for a part of a name; only database.* is possible";
  }
  return {};
}

}  // namespace

Result<Filter::Names> Filter::parse(const std::vector<std::string>& entries, std::string_view list_name) {
  Names names;
  for (const std::string& entry : entries) {
    if (const std::string fault = fault_of(entry); !fault.empty()) {
      return fail(ErrorCode::invalid_argument, fmt::format("{}: \"{}\" {}", list_name, entry, fault));
    }
    Namespace ns = Namespace::parse(entry);
    names.touched.insert(ns.database);
    if (ns.collection == "*") {
      names.databases.insert(std::move(ns.database));
    } else {
      names.collections.emplace(std::move(ns.database), std::move(ns.collection));
    }
  }
  return names;
}

Result<Filter> Filter::make(const std::vector<std::string>& include, const std::vector<std::string>& exclude) {
  auto included = parse(include, "includeNamespaces");
  if (!included) return fail(std::move(included.error()));
  auto excluded = parse(exclude, "excludeNamespaces");
  if (!excluded) return fail(std::move(excluded.error()));
  Filter out;
  out.include_ = include;
  out.exclude_ = exclude;
  out.included_ = *std::move(included);
  out.excluded_ = *std::move(excluded);
  return out;
}

bool Filter::Names::holds(std::string_view database, std::string_view collection) const {
  return databases.contains(database) || collections.contains({std::string(database), std::string(collection)});
}

bool Filter::selects(std::string_view database, std::string_view collection) const {
  if (!replicable(database, collection)) return false;
  collection = name_for_users(collection);
  if (!include_.empty() && !included_.holds(database, collection)) return false;
  return !excluded_.holds(database, collection);
}

bool Filter::may_select_in(std::string_view database) const {
  if (!replicable(database, "any")) return false;
  if (!include_.empty() && !included_.touched.contains(database)) return false;
  return !excluded_.databases.contains(database);
}

}  // namespace plm
