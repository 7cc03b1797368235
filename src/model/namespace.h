// Names of collections and views.
#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace plm {

// A time-series collection NAME is a view; its documents, whole buckets of them,
// are those of the collection system.buckets.NAME, which is what is replicated.
inline constexpr std::string_view kBucketsPrefix = "system.buckets.";

// What a user calls a collection: of buckets, the time-series collection.
[[nodiscard]] constexpr std::string_view name_for_users(std::string_view collection) {
  if (collection.starts_with(kBucketsPrefix)) collection.remove_prefix(kBucketsPrefix.size());
  return collection;
}

struct Namespace {
  std::string database;
  std::string collection;

  // Split at the first dot: collection names may hold dots.
  static Namespace parse(std::string_view text) {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return {std::string(text), {}};
    return {std::string(text.substr(0, dot)), std::string(text.substr(dot + 1))};
  }
  [[nodiscard]] std::string text() const { return database + "." + collection; }
  [[nodiscard]] bool is_buckets() const { return collection.starts_with(kBucketsPrefix); }
  [[nodiscard]] Namespace for_users() const { return {database, std::string(name_for_users(collection))}; }

  auto operator<=>(const Namespace&) const = default;
};

// The database that holds a job's saved state on the target.
inline constexpr std::string_view kStateDatabase = "percona_link_mongodb";

// JavaScript functions that users store in their database: a collection like others,
// but that no server drops it alone.
inline constexpr std::string_view kStoredFunctions = "system.js";

// Of the "system." collections these two kinds are data of users.
[[nodiscard]] inline bool is_servers_own(std::string_view collection) {
  return collection != kStoredFunctions && name_for_users(collection).starts_with("system.");
}

// Whether a namespace can take part in a replication at all: not admin, config,
// local or the state database, not a server's own collection.
[[nodiscard]] inline bool replicable(std::string_view database, std::string_view collection) {
  return database != "admin" && database != "config" && database != "local" && database != kStateDatabase &&
         !database.empty() && !is_servers_own(collection);
}

}  // namespace plm

template <>
struct std::hash<plm::Namespace> {
  std::size_t operator()(const plm::Namespace& ns) const {
    return std::hash<std::string>()(ns.database) * 31 + std::hash<std::string>()(ns.collection);
  }
};
