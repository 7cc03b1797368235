#include "mongo/range_clearer.h"

#include <span>
#include <vector>

#include "mongo/key_deletion.h"
#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

constexpr std::int32_t kKeysPerScan = 5000;
constexpr std::size_t kMaxDeleteBytes = 12U << 20U;

bson::Document find_keys_command(const Twin& twin, const KeyBounds& bounds) {
  bson::Builder command;
  twin.uuid.append_to(command, "find");
  {
    auto projection = command.document("projection");
    projection->append("_id", 1);
  }
  {
    auto hint = command.document("hint");
    hint->append("_id", 1);
  }
  if (bounds.min) {
    auto min = command.document("min");
    min->append("_id", bounds.min.value());
  }
  if (bounds.max) {
    auto max = command.document("max");
    max->append("_id", bounds.max.value());
  }
  command.append("limit", kKeysPerScan).append("batchSize", kKeysPerScan).append("singleBatch", true);
  return command.take();
}

Status delete_one_by_one(DataConnection& connection, const Twin& twin, std::span<const bson::Value> keys) {
  while (!keys.empty()) {
    bson::Builder command;
    std::size_t count = 0;
    command.append("delete", twin.ns.collection);
    {
      auto deletes = command.array("deletes");
      for (const bson::Value& key : keys) {
        if (count > 0 && command.size_bytes() + key.payload().size() > kMaxDeleteBytes) break;
        auto statement = deletes.document();
        {
          auto query = statement->document("q");
          query->append("_id", key);
        }
        statement->append("limit", 1);
        ++count;
      }
    }
    twin.uuid.append_to(command, "collectionUUID");
    auto deleted = connection.write(twin.ns.database, command);
    if (!deleted) return fail(deleted.error());
    if (auto each = first_write_error(deleted->view()); !each) return each;
    keys = keys.subspan(count);
  }
  return {};
}

// Nothing but that one key can be left, and the server calls such a range empty (51175).
bool begins_at_max_key(const KeyBounds& bounds) { return bounds.min && bounds.min.value().type() == BSON_TYPE_MAXKEY; }

Status delete_all(DataConnection& connection, const Twin& twin, std::span<const bson::Value> keys) {
  Status deleted = delete_keys(connection, twin, keys);
  if (deleted || !is_refused_as_transaction(deleted.error())) return deleted;
  return delete_one_by_one(connection, twin, keys);
}

}  // namespace

Status clear_range(DataConnection& connection, const Twin& twin, const KeyBounds& bounds) {
  // Each scan begins where the one before did end: from the front it would walk over
  // all that is deleted already.
  KeyBounds rest = bounds;
  while (!begins_at_max_key(rest)) {
    auto reply = connection.plain().run(twin.ns.database, find_keys_command(twin, rest).view());
    if (!reply) return fail(reply.error());
    const bson::View found = (*reply)["cursor"].as_document()["firstBatch"].as_document();
    if (found.empty()) break;
    std::vector<bson::Value> keys;
    for (const bson::Element& element : found) keys.push_back(element.value.as_document()["_id"]);
    if (auto deleted = delete_all(connection, twin, keys); !deleted) return deleted;
    rest.min = bson::OwnedValue(keys.back());
  }
  // A scan that has a lower bound and no upper one ends before MaxKey.
  const bson::Value max_key(BSON_TYPE_MAXKEY, nullptr, 0);
  if (rest.min && !bounds.max) return delete_all(connection, twin, {&max_key, 1});
  return {};
}

}  // namespace plm::mongo
