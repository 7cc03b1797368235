#include "mongo/write_command.h"

#include "model/namespace.h"
#include "mongo/error_translation.h"
#include "mongo/writers.h"
#include "mongo/zero_timestamp.h"

namespace plm::mongo {
namespace {

bson::Builder delete_command(const std::string& collection, const Uuid& uuid, const bson::Value& id) {
  bson::Builder command;
  command.append("delete", collection);
  {
    auto deletes = command.array("deletes");
    auto statement = deletes.document();
    {
      auto query = statement->document("q");
      auto equal = query->document("_id");
      equal->append("$eq", id);
    }
    statement->append("limit", 1);
  }
  if (!uuid.is_nil()) uuid.append_to(command, "collectionUUID");
  return command;
}

bson::Builder insert_command(const Twin& twin, bson::View document) {
  bson::Builder command(document.size() + 512);
  if (has_zero_timestamp(document)) {
    command.append("update", twin.ns.collection);
    auto updates = command.array("updates");
    auto statement = updates.document();
    {
      auto query = statement->document("q");
      auto equal = query->document("_id");
      equal->append("$eq", document["_id"]);
    }
    append_replacement(*statement, document);
    statement->append("upsert", true);
  } else {
    command.append("insert", twin.ns.collection);
    auto documents = command.array("documents");
    documents.append(document);
  }
  command.append("bypassDocumentValidation", true);
  twin.uuid.append_to(command, "collectionUUID");
  return command;
}

Status run_write(DataConnection& connection, const std::string& database, bson::Builder command) {
  auto reply = connection.write(database, command);
  if (!reply) return fail(reply.error());
  return first_write_error(reply->view());
}

}  // namespace

Status first_write_error(bson::View reply) {
  const bson::Value entry = reply["writeErrors"].as_document()["0"];
  if (!entry.is_document()) return {};
  return fail(write_error(entry.document()));
}

bool has_dollar_field(bson::View document) {
  for (const bson::Element& field : document) {
    if (field.key.starts_with('$')) return true;
  }
  return false;
}

void append_replacement(bson::Builder& statement, bson::View document) {
  const bool literally = has_zero_timestamp(document) || (has_dollar_field(document) && !has_name_twice(document));
  if (!literally) {
    statement.append("u", document);
    return;
  }
  auto pipeline = statement.array("u");
  auto stage = pipeline.document();
  auto replacement = stage->document("$replaceWith");
  replacement->append("$literal", document);
}

Result<ClusterTime> wait_for_majority(Connection& connection) {
  bson::Builder nobody;
  nobody.append_null("_id");
  bson::Builder command = delete_command("nothing", Uuid(), nobody.view()["_id"]);
  append_majority_write(command);
  auto reply = connection.run(std::string(kStateDatabase), command.view());
  if (!reply) return fail(reply.error());
  if (auto written = first_write_error(reply->view()); !written) return fail(std::move(written.error()));
  return reply->operation_time();
}

Status erase_and_insert(DataConnection& connection, const Twin& twin, const bson::Value& id, bson::View document) {
  auto erased = run_write(connection, twin.ns.database, delete_command(twin.ns.collection, twin.uuid, id));
  if (!erased) return erased;
  return run_write(connection, twin.ns.database, insert_command(twin, document));
}

}  // namespace plm::mongo
