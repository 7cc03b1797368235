#include "mongo/privileges.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace plm::mongo {
namespace {

using Where = Need::Where;

constexpr std::array<Need, 10> kSourceNeeds = {{
    {"appendOplogNote", Where::cluster, "backup"},
    {"inprog", Where::cluster, "clusterMonitor"},
    {"listDatabases", Where::cluster, "readAnyDatabase"},
    {"useUUID", Where::cluster, "backup"},
    {"find", Where::local_database, "clusterMonitor"},
    {"find", Where::every_database, "readAnyDatabase"},
    {"find", Where::every_time_series, "readAnyDatabase"},
    {"changeStream", Where::every_database, "readAnyDatabase"},
    {"listCollections", Where::every_database, "readAnyDatabase"},
    {"listIndexes", Where::every_database, "readAnyDatabase"},
}};

constexpr std::array<Need, 19> kTargetNeeds = {{
    {"listDatabases", Where::cluster, "readWriteAnyDatabase"},
    {"applyOps", Where::cluster, "restore"},
    {"useUUID", Where::cluster, "restore"},
    {"replSetGetConfig", Where::cluster, "clusterMonitor"},
    {"inprog", Where::cluster, "clusterMonitor"},
    {"find", Where::every_database, "readWriteAnyDatabase"},
    {"insert", Where::every_database, "readWriteAnyDatabase"},
    {"insert", Where::every_time_series, "readWriteAnyDatabase"},
    {"update", Where::every_database, "readWriteAnyDatabase"},
    {"remove", Where::every_database, "readWriteAnyDatabase"},
    {"listCollections", Where::every_database, "readWriteAnyDatabase"},
    {"listIndexes", Where::every_database, "readWriteAnyDatabase"},
    {"createCollection", Where::every_database, "readWriteAnyDatabase"},
    {"dropCollection", Where::every_database, "readWriteAnyDatabase"},
    {"renameCollectionSameDB", Where::every_database, "readWriteAnyDatabase"},
    {"createIndex", Where::every_database, "readWriteAnyDatabase"},
    {"dropIndex", Where::every_database, "readWriteAnyDatabase"},
    {"collMod", Where::every_database, "restore"},
    {"bypassDocumentValidation", Where::every_database, "restore"},
}};

std::string_view name_of(Where where) {
  switch (where) {
    case Where::cluster:
      return "the cluster";
    case Where::every_database:
      return "all databases";
    case Where::every_time_series:
      return "all time-series collections";
    case Where::local_database:
      return "database local";
  }
  return {};
}

bool covers(bson::View resource, Where where) {
  if (resource["anyResource"].as_bool()) return true;
  if (where == Where::cluster) return resource["cluster"].as_bool();
  if (where == Where::every_time_series) {
    const bson::Value buckets = resource["system_buckets"];
    return buckets.is_string() && buckets.string().empty() && !resource["db"];
  }
  const bson::Value database = resource["db"];
  const bson::Value collection = resource["collection"];
  if (!database.is_string() || !collection.is_string() || !collection.string().empty()) return false;
  return database.string() == (where == Where::local_database ? "local" : "");
}

bool grants(bson::View actions, std::string_view action) {
  for (const bson::Element& granted : actions) {
    if (granted.value.as_string() == action || granted.value.as_string() == "anyAction") return true;
  }
  return false;
}

bool is_met(const Need& need, bson::View privileges) {
  for (const bson::Element& privilege : privileges) {
    const bson::View entry = privilege.value.as_document();
    if (covers(entry["resource"].as_document(), need.where) && grants(entry["actions"].as_document(), need.action)) {
      return true;
    }
  }
  return false;
}

// Nobody is logged in: either the server asks for nothing, or for a user.
Status check_without_user(Connection& connection) {
  bson::Builder command;
  command.append("listDatabases", 1).append("nameOnly", true);
  auto reply = connection.run("admin", command.view());
  if (reply) return {};
  if (reply.error().server_code != server_code::unauthorized) return fail(reply.error());
  return fail(
      Error{ErrorCode::server, server_code::unauthorized, {}, "the server asks for a user, the URI names none"});
}

}  // namespace

std::span<const Need> source_needs() { return kSourceNeeds; }
std::span<const Need> target_needs() { return kTargetNeeds; }

Status check_privileges(Pool& pool, std::span<const Need> needs) {
  auto connection = pool.connect();
  if (!connection) return fail(connection.error());
  bson::Builder command;
  command.append("connectionStatus", 1).append("showPrivileges", true);
  auto reply = connection->run("admin", command.view());
  if (!reply) return fail(reply.error());
  const bson::View status = (*reply)["authInfo"].as_document();
  if (status["authenticatedUsers"].as_document().empty()) return check_without_user(*connection);

  std::string missing;
  for (const Need& need : needs) {
    if (is_met(need, status["authenticatedUserPrivileges"].as_document())) continue;
    if (!missing.empty()) missing += ", ";
    missing += fmt::format("{} on {} (role {})", need.action, name_of(need.where), need.role);
  }
  if (missing.empty()) return {};
  return fail(Error{ErrorCode::server, server_code::unauthorized, {}, "the user lacks privileges: " + missing});
}

}  // namespace plm::mongo
