#include "mongo/not_carried.h"

#include <algorithm>
#include <optional>

#include "mongo/cursor.h"

namespace plm::mongo {
namespace {

using Ids = std::vector<std::string>;

// The _ids of a collection of admin; none when the user may not read it.
Result<std::optional<Ids>> ids_of(Connection& connection, std::string_view collection) {
  bson::Builder command;
  command.append("find", collection);
  {
    auto projection = command.document("projection");
    projection->append("_id", 1);
  }
  Ids out;
  auto read = read_all(connection, "admin", command.view(),
                       [&](bson::View document) { out.emplace_back(document["_id"].as_string()); });
  if (read) return std::optional(std::move(out));
  if (retryable(read.error())) return fail(read.error());
  return std::optional<Ids>();
}

// As admin.system.users calls them.
Result<Ids> users_of(Connection& connection) {
  bson::Builder command;
  command.append("connectionStatus", 1);
  auto reply = connection.run("admin", command.view());
  if (!reply) return fail(reply.error());
  Ids out;
  for (const bson::Element& user : (*reply)["authInfo"].as_document()["authenticatedUsers"].as_document()) {
    const bson::View name = user.value.as_document();
    out.push_back(std::string(name["db"].as_string()) + "." + std::string(name["user"].as_string()));
  }
  return out;
}

std::string counted(std::size_t count, const char* word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
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
  return out;
}

}  // namespace plm::mongo
