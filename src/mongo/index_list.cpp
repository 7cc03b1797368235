#include "mongo/index_list.h"

#include <map>

#include "mongo/current_op.h"
#include "mongo/cursor.h"

namespace plm::mongo {
namespace {

// What 6.0 answers to includeBuildUUIDs while an index on measurements of a
// time-series collection is being built: it does not know its own field then.
constexpr int kUnknownFieldOfBuild = 5254501;

Status list_with_builds(Connection& connection, const std::string& database, const Uuid& uuid,
                        const std::function<void(const ListedIndex&)>& visit) {
  bson::Builder command;
  uuid.append_to(command, "listIndexes");
  command.append("includeBuildUUIDs", true);
  std::map<Uuid, int> builds;
  auto read = read_all(connection, database, command.view(), [&](bson::View entry) {
    // One that is not finished is {spec: {...}, buildUUID: ...}.
    const bson::Value build = entry["buildUUID"];
    if (!build) return visit({entry, {}});
    const int number = builds.try_emplace(Uuid(build), static_cast<int>(builds.size())).first->second;
    visit({entry["spec"].as_document(), number});
  });
  if (!read) return fail(read.error());
  return {};
}

Result<std::string> name_of(Connection& connection, const std::string& database, const Uuid& uuid) {
  bson::Builder command;
  command.append("listCollections", 1);
  {
    auto filter = command.document("filter");
    uuid.append_to(*filter, "info.uuid");
  }
  std::string name;
  auto read =
      read_all(connection, database, command.view(), [&](bson::View entry) { name = entry["name"].as_string(); });
  if (!read) return fail(read.error());
  if (name.empty()) return fail(ErrorCode::not_found, "no collection has the UUID " + uuid.text());
  return name;
}

// Names of the indexes that are being built, each with the number of its build:
// the server's thread shows them, and until that has begun the client's.
Result<std::map<std::string, int>> running_builds(Connection& connection, const std::string& ns) {
  bson::Builder match;
  match.append("ns", ns);
  {
    auto builders = match.document("command.createIndexes");
    builders->append("$exists", true);
  }
  std::map<std::string, int> out;
  int number = 0;
  auto read = read_all(connection, "admin", current_op_command(match.view()).view(), [&](bson::View operation) {
    for (const bson::Element& index : operation["command"].as_document()["indexes"].as_document()) {
      out.emplace(index.value.as_document()["name"].as_string(), number);
    }
    ++number;
  });
  if (!read) return fail(read.error().within("looking for index builds"));
  return out;
}

// The plain list does not tell which are finished.
Status list_and_look_for_builds(Connection& connection, const std::string& database, const Uuid& uuid,
                                const std::function<void(const ListedIndex&)>& visit) {
  auto name = name_of(connection, database, uuid);
  if (!name) return fail(std::move(name.error()));
  // First: what is finished meanwhile is taken for unfinished, not the reverse.
  auto builds = running_builds(connection, database + "." + *name);
  if (!builds) return fail(std::move(builds.error()));
  bson::Builder command;
  uuid.append_to(command, "listIndexes");
  auto read = read_all(connection, database, command.view(), [&](bson::View spec) {
    const auto build = builds->find(std::string(spec["name"].as_string()));
    visit({spec, build == builds->end() ? std::nullopt : std::optional(build->second)});
  });
  if (!read) return fail(read.error());
  return {};
}

}  // namespace

Status visit_indexes(Connection& connection, const std::string& database, const Uuid& uuid,
                     const std::function<void(const ListedIndex&)>& visit) {
  Status listed = list_with_builds(connection, database, uuid, visit);
  if (listed || listed.error().server_code != kUnknownFieldOfBuild) return listed;
  return list_and_look_for_builds(connection, database, uuid, visit);
}

}  // namespace plm::mongo
