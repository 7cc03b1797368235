#include "mongo/mongo_state_store.h"

#include <algorithm>

#include "model/namespace.h"
#include "mongo/connection.h"
#include "mongo/cursor.h"
#include "mongo/majority_read.h"
#include "mongo/write_command.h"

namespace plm {

using mongo::Connection;
using mongo::Pool;

struct MongoStateStore::Parts {
  std::shared_ptr<Pool> pool;
};

namespace {

constexpr std::size_t kMaxRunChanges = 1000;
constexpr std::size_t kMaxRunBytes = 8U << 20U;

const std::string& state_database() {
  static const std::string name(kStateDatabase);
  return name;
}

// A write that changes nothing waits until a majority has all that was written
// before. A majority read behind it sees every acknowledged save, also just
// after an election.
Result<ClusterTime> settle(Connection& connection) {
  bson::Builder command;
  command.append("delete", "nothing");
  {
    auto deletes = command.array("deletes");
    auto statement = deletes.document();
    {
      auto query = statement->document("q");
      query->append_null("_id");
    }
    statement->append("limit", 1);
  }
  mongo::append_majority_write(command);
  auto reply = connection.run(state_database(), command.view());
  if (!reply) return fail(reply.error());
  return reply->operation_time();
}

// The longest front part that one command can carry: one set, all written or
// all removed.
std::span<const StoreChange> first_run(std::span<const StoreChange> changes) {
  const StoreChange& first = changes.front();
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < changes.size() && count < kMaxRunChanges) {
    const StoreChange& next = changes[count];
    bytes += next.id.size_bytes() + (next.document ? next.document->size_bytes() : 0);
    const bool alike = next.set == first.set && next.document.has_value() == first.document.has_value();
    if (count > 0 && (!alike || bytes > kMaxRunBytes)) break;
    ++count;
  }
  return changes.first(count);
}

bson::Document save_command(std::span<const StoreChange> run) {
  const bool writes = run.front().document.has_value();
  bson::Builder command;
  command.append(writes ? "update" : "delete", run.front().set);
  {
    auto statements = command.array(writes ? "updates" : "deletes");
    for (const StoreChange& change : run) {
      auto statement = statements.document();
      {
        auto query = statement->document("q");
        auto equal = query->document("_id");
        equal->append("$eq", change.id.value());
      }
      if (writes) {
        statement->append("u", *change.document).append("upsert", true);
      } else {
        statement->append("limit", 1);
      }
    }
  }
  mongo::append_majority_write(command);
  return command.take();
}

}  // namespace

MongoStateStore::MongoStateStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
MongoStateStore::~MongoStateStore() = default;

Result<std::unique_ptr<MongoStateStore>> MongoStateStore::connect(const std::string& uri) {
  auto pool = Pool::open(uri);
  if (!pool) return fail(pool.error().within("state store"));
  return std::unique_ptr<MongoStateStore>(new MongoStateStore(std::make_unique<Parts>(Parts{std::move(*pool)})));
}

Result<std::vector<bson::Document>> MongoStateStore::load(const std::string& set) {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  auto settled = settle(*connection);
  if (!settled) return fail(settled.error().within("loading the saved " + set));
  bson::Builder command;
  command.append("find", set);
  mongo::append_majority_read(command, *settled);
  std::vector<bson::Document> out;
  auto read = mongo::read_all(*connection, state_database(), command.view(),
                              [&](bson::View document) { out.emplace_back(document); });
  if (!read) return fail(read.error().within("loading the saved " + set));
  return out;
}

Status MongoStateStore::save(std::span<const StoreChange> changes) {
  if (changes.empty()) return {};
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  while (!changes.empty()) {
    const auto run = first_run(changes);
    auto reply = connection->run(state_database(), save_command(run).view());
    if (!reply) return fail(reply.error().within("saving " + run.front().set));
    if (auto written = mongo::first_write_error(reply->view()); !written) {
      return fail(written.error().within("saving " + run.front().set));
    }
    changes = changes.subspan(run.size());
  }
  return {};
}

Status MongoStateStore::clear() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  bson::Builder list;
  list.append("listCollections", 1).append("nameOnly", true);
  std::vector<std::string> names;
  auto read = mongo::read_all(*connection, state_database(), list.view(),
                              [&](bson::View entry) { names.emplace_back(entry["name"].as_string()); });
  if (!read) return fail(read.error().within("clearing the saved state"));
  for (const std::string& name : names) {
    bson::Builder drop;
    drop.append("drop", name);
    mongo::append_majority_write(drop);
    auto reply = connection->run(state_database(), drop.view());
    if (!reply && reply.error().code != ErrorCode::not_found) {
      return fail(reply.error().within("clearing the saved state"));
    }
  }
  return {};
}

}  // namespace plm
