#include "mongo/key_deletion.h"

#include <algorithm>

namespace plm::mongo {
namespace {

constexpr std::size_t kMaxKeys = 1000;
constexpr std::size_t kMaxBytes = 12U << 20U;

struct DeleteCommand {
  bson::Document command;
  std::size_t keys = 0;
};

// For as many of the first keys as it is good to delete at once.
DeleteCommand delete_command(const Twin& twin, std::span<const bson::Value> all) {
  bson::Builder command;
  std::size_t count = 0;
  command.append("delete", twin.ns.collection);
  {
    auto deletes = command.array("deletes");
    auto statement = deletes.document();
    {
      auto query = statement->document("q");
      auto id = query->document("_id");
      auto keys = id->array("$in");
      for (const bson::Value& key : all.first(std::min(all.size(), kMaxKeys))) {
        if (count > 0 && command.size_bytes() + key.payload().size() > kMaxBytes) break;
        keys.append(key);
        ++count;
      }
    }
    statement->append("limit", 0);
  }
  twin.uuid.append_to(command, "collectionUUID");
  return {command.take(), count};
}

}  // namespace

Status delete_keys(DataConnection& connection, const Twin& twin, std::span<const bson::Value> keys) {
  while (!keys.empty()) {
    const DeleteCommand next = delete_command(twin, keys);
    if (auto deleted = connection.transact(twin.ns.database, next.command); !deleted) return deleted;
    keys = keys.subspan(next.keys);
  }
  return {};
}

}  // namespace plm::mongo
