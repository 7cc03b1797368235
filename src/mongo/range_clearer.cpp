#include "mongo/range_clearer.h"

#include <algorithm>

#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

// IllegalOperation and OperationNotSupportedInTransaction: what servers answer to a delete of a capped collection.
constexpr int kIllegal = 20;
constexpr int kNotInTransaction = 263;
constexpr std::int32_t kKeysPerDelete = 5000;
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
  command.append("limit", kKeysPerDelete).append("batchSize", kKeysPerDelete).append("singleBatch", true);
  return command.take();
}

// Deletes the documents with the keys of a batch, or of its front part when
// they are huge.
bson::Document delete_command(const Twin& twin, bson::View found) {
  bson::Builder command(std::min<std::size_t>(found.size(), kMaxDeleteBytes) + 512);
  command.append("delete", twin.ns.collection);
  {
    auto deletes = command.array("deletes");
    auto statement = deletes.document();
    {
      auto query = statement->document("q");
      auto id = query->document("_id");
      auto keys = id->array("$in");
      for (const bson::Element& element : found) {
        const bson::Value key = element.value.as_document()["_id"];
        if (keys.count() > 0 && command.size_bytes() + key.payload().size() > kMaxDeleteBytes) break;
        keys.append(key);
      }
    }
    statement->append("limit", 0);
  }
  twin.uuid.append_to(command, "collectionUUID");
  return command.take();
}

// Capped collections cannot be written to in transactions.
Status delete_one_by_one(DataConnection& connection, const Twin& twin, bson::View found) {
  bson::Builder command(found.size() * 2 + 512);
  command.append("delete", twin.ns.collection);
  {
    auto deletes = command.array("deletes");
    for (const bson::Element& element : found) {
      if (deletes.count() > 0 && command.size_bytes() > kMaxDeleteBytes) break;
      auto statement = deletes.document();
      statement->append("q", element.value.as_document()).append("limit", 1);
    }
  }
  twin.uuid.append_to(command, "collectionUUID");
  append_majority_write(command);
  auto deleted = connection.write(twin.ns.database, command);
  if (!deleted) return fail(deleted.error());
  return first_write_error(deleted->view());
}

Status delete_keys(DataConnection& connection, const Twin& twin, bson::View found) {
  Status deleted = connection.transact(twin.ns.database, delete_command(twin, found));
  if (deleted) return deleted;
  const int code = deleted.error().server_code;
  if (code != kIllegal && code != kNotInTransaction) return deleted;
  return delete_one_by_one(connection, twin, found);
}

// A scan that has a lower bound and no upper one ends before MaxKey.
Status delete_max_key(DataConnection& connection, const Twin& twin) {
  bson::Builder found;
  {
    auto only = found.document("0");
    only->append("_id", bson::Value(BSON_TYPE_MAXKEY, nullptr, 0));
  }
  return delete_keys(connection, twin, found.view());
}

}  // namespace

Status clear_range(DataConnection& connection, const Twin& twin, const KeyBounds& bounds) {
  // Each scan begins where the one before did end: from the front it would walk over
  // all that is deleted already.
  KeyBounds rest = bounds;
  for (;;) {
    auto reply = connection.plain().run(twin.ns.database, find_keys_command(twin, rest).view());
    if (!reply) return fail(reply.error());
    const bson::View found = (*reply)["cursor"].as_document()["firstBatch"].as_document();
    if (found.empty()) break;
    if (auto deleted = delete_keys(connection, twin, found); !deleted) return deleted;
    rest.min = bson::OwnedValue((*found.begin()).value.as_document()["_id"]);
  }
  if (rest.min && !bounds.max) return delete_max_key(connection, twin);
  return {};
}

}  // namespace plm::mongo
