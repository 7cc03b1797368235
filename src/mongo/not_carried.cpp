#include "mongo/not_carried.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "model/namespace.h"
#include "mongo/cursor.h"

namespace plm::mongo {
namespace {

constexpr std::size_t kMostNamed = 10;

using Names = std::vector<std::string>;

// A field of all that a command on admin finds; none when the user may not run it.
Result<std::optional<Names>> names_in(Connection& connection, bson::View command, std::string_view field) {
  Names out;
  auto read =
      read_all(connection, "admin", command, [&](bson::View found) { out.emplace_back(found[field].as_string()); });
  if (read) return std::optional(std::move(out));
  if (retryable(read.error())) return fail(read.error());
  return std::optional<Names>();
}

Result<std::optional<Names>> ids_of(Connection& connection, std::string_view collection) {
  bson::Builder command;
  command.append("find", collection);
  {
    auto projection = command.document("projection");
    projection->append("_id", 1);
  }
  return names_in(connection, command.view(), "_id");
}

Result<std::optional<Names>> collections_of(Connection& connection) {
  bson::Builder command;
  command.append("listCollections", 1).append("nameOnly", true);
  auto names = names_in(connection, command.view(), "name");
  if (names && *names) std::erase_if(**names, is_servers_own);
  return names;
}

// As admin.system.users calls them.
Result<Names> users_of(Connection& connection) {
  bson::Builder command;
  command.append("connectionStatus", 1);
  auto reply = connection.run("admin", command.view());
  if (!reply) return fail(reply.error());
  Names out;
  for (const bson::Element& user : (*reply)["authInfo"].as_document()["authenticatedUsers"].as_document()) {
    const bson::View name = user.value.as_document();
    out.push_back(std::string(name["db"].as_string()) + "." + std::string(name["user"].as_string()));
  }
  return out;
}

std::string counted(std::size_t count, const char* word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

// Some of them.
std::string listed(const Names& names) {
  const std::size_t count = std::min(names.size(), kMostNamed);
  std::string out =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), ", "));
  if (names.size() > count) out += fmt::format(" and {} more", names.size() - count);
  return out;
}

}  // namespace

Result<std::vector<std::string>> not_carried(Connection& connection) {
  auto own = users_of(connection);
  if (!own) return fail(own.error());
  auto users = ids_of(connection, "system.users");
  if (!users) return fail(users.error());
  auto roles = ids_of(connection, "system.roles");
  if (!roles) return fail(roles.error());
  auto versions = ids_of(connection, "system.version");
  if (!versions) return fail(versions.error());
  auto collections = collections_of(connection);
  if (!collections) return fail(collections.error());

  std::vector<std::string> out;
  if (*users && *roles) {
    std::erase_if(**users, [&](const std::string& user) { return std::ranges::find(*own, user) != own->end(); });
    if (!(*users)->empty() || !(*roles)->empty()) {
      out.push_back("users and roles are not replicated; the source has " + counted((*users)->size(), "user") +
                    " and " + counted((*roles)->size(), "role") + " beside plm's own");
    }
  } else {
    out.emplace_back("users and roles are not replicated; plm's user may not see which the source has");
  }
  if (!*versions) {
    out.emplace_back(
        "plm's user may not see whether the source is one shard of a sharded cluster, whose other shards "
        "would not be replicated");
  } else if (std::ranges::find(**versions, "shardIdentity") != (*versions)->end()) {
    out.emplace_back("the source is one shard of a sharded cluster; what the other shards hold is not replicated");
  }
  if (!*collections) {
    out.emplace_back("collections in admin are not replicated; plm's user may not see whether the source has any");
  } else if (!(*collections)->empty()) {
    std::ranges::sort(**collections);
    out.push_back("collections in admin are not replicated; the source has " + listed(**collections));
  }
  return out;
}

}  // namespace plm::mongo
