#include "mongo/cursor.h"

namespace plm::mongo {
namespace {

void visit_batch(bson::View batch, const std::function<void(bson::View)>& visit) {
  for (const bson::Element& element : batch) visit(element.value.as_document());
}

}  // namespace

Result<ClusterTime> read_all(Connection& connection, const std::string& database, bson::View command,
                             const std::function<void(bson::View)>& visit) {
  if (auto pinned = connection.pin(); !pinned) return fail(pinned.error());
  auto reply = connection.run(database, command);
  if (!reply) return fail(reply.error());
  visit_batch((*reply)["cursor"].as_document()["firstBatch"].as_document(), visit);
  for (;;) {
    const bson::View cursor = (*reply)["cursor"].as_document();
    const std::int64_t id = cursor["id"].as_int64();
    if (id == 0) return reply->operation_time();
    const Namespace ns = Namespace::parse(cursor["ns"].as_string());
    bson::Builder more;
    more.append("getMore", id).append("collection", ns.collection);
    reply = connection.run(ns.database, more.view());
    if (!reply) return fail(reply.error());
    visit_batch((*reply)["cursor"].as_document()["nextBatch"].as_document(), visit);
  }
}

}  // namespace plm::mongo
