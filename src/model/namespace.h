// Names of collections and views.
#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace plm {

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

  auto operator<=>(const Namespace&) const = default;
};

// The database that holds a job's saved state on the target.
inline constexpr std::string_view kStateDatabase = "percona_link_mongodb";

// Whether a namespace can take part in a replication at all: not admin, config,
// local or the state database, not a server's own "system." collection.
[[nodiscard]] inline bool replicable(std::string_view database, std::string_view collection) {
  return database != "admin" && database != "config" && database != "local" && database != kStateDatabase &&
         !database.empty() && !collection.starts_with("system.");
}

}  // namespace plm

template <>
struct std::hash<plm::Namespace> {
  std::size_t operator()(const plm::Namespace& ns) const {
    return std::hash<std::string>()(ns.database) * 31 + std::hash<std::string>()(ns.collection);
  }
};
