#include "mongo/mongo_state_store.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "model/namespace.h"
#include "mongo/connection.h"
#include "mongo/cursor.h"
#include "mongo/lease_document.h"
#include "mongo/majority_read.h"
#include "mongo/transaction.h"
#include "mongo/write_command.h"

namespace plm {

using mongo::Connection;
using mongo::Pool;
using mongo::state_database;

struct MongoStateStore::Parts {
  explicit Parts(std::shared_ptr<Pool> its_pool) : pool(std::move(its_pool)) {}

  [[nodiscard]] mongo::LeaseKey key() const {
    const std::lock_guard lock(key_mutex);
    return lease;
  }

  std::shared_ptr<Pool> pool;
  mutable std::mutex key_mutex;
  mongo::LeaseKey lease;
  std::chrono::steady_clock::time_point refreshed_at{};  // of the one thread that renews
  std::mutex writing;                                    // one transaction at a time
  mongo::NamedSession session{mongo::kStateWriter};
};

namespace {

constexpr std::chrono::minutes kRefreshInterval{5};
constexpr std::size_t kMaxRunChanges = 1000;
constexpr std::size_t kMaxRunBytes = 8U << 20U;

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

bson::Document save_statement(std::span<const StoreChange> run) {
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
  return command.take();
}

bson::Document clear_statement(const std::string& set) {
  bson::Builder command;
  command.append("delete", set);
  {
    auto deletes = command.array("deletes");
    auto statement = deletes.document();
    {
      auto everything = statement->document("q");
    }
    statement->append("limit", 0);
  }
  return command.take();
}

}  // namespace

MongoStateStore::MongoStateStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
MongoStateStore::~MongoStateStore() = default;

Result<std::unique_ptr<MongoStateStore>> MongoStateStore::connect(const std::string& uri) {
  auto pool = Pool::open(uri);
  if (!pool) return fail(pool.error().within("state store"));
  return std::unique_ptr<MongoStateStore>(new MongoStateStore(std::make_unique<Parts>(std::move(*pool))));
}

Result<std::vector<bson::Document>> MongoStateStore::load(const std::string& set) {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  // Behind all acknowledged saves, also just after an election.
  auto settled = mongo::wait_for_majority(*connection);
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

Status MongoStateStore::save_under_lease(std::span<const bson::Document> statements) {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  const std::lock_guard lock(parts_->writing);
  std::vector<bson::Document> all{mongo::touch_statement(parts_->key())};
  all.insert(all.end(), statements.begin(), statements.end());
  return mongo::run_transaction(*connection, parts_->session, state_database(), all, mongo::judge_under_lease);
}

Status MongoStateStore::save(std::span<const StoreChange> changes) {
  std::vector<bson::Document> statements;
  while (!changes.empty()) {
    const auto run = first_run(changes);
    statements.push_back(save_statement(run));
    changes = changes.subspan(run.size());
  }
  if (statements.empty()) return {};
  if (auto saved = save_under_lease(statements); !saved) return fail(saved.error().within("saving"));
  return {};
}

Status MongoStateStore::clear() {
  std::vector<bson::Document> statements;
  for (const char* set : {"state", "collections", "ranges", "indexes", "parked"}) {
    statements.push_back(clear_statement(set));
  }
  if (auto cleared = save_under_lease(statements); !cleared) {
    return fail(cleared.error().within("clearing the saved state"));
  }
  return {};
}

// ---- The lease -------------------------------------------------------------------

Result<LeaseSight> MongoStateStore::look_at_lease() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  auto lease = mongo::read_lease(*connection);
  if (!lease) return fail(lease.error().within("looking at the lease"));
  return *lease ? (*lease)->sight : LeaseSight();
}

Result<Epoch> MongoStateStore::take_lease(const LeaseOwner& owner, Epoch seen) {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  if (seen == 0) {
    if (auto created = mongo::create_lease(*connection); !created) {
      return fail(created.error().within("creating the lease"));
    }
  }
  auto lease = mongo::read_lease(*connection);
  if (!lease) return fail(lease.error().within("taking the lease"));
  if (!*lease || (*lease)->key.epoch != seen) return fail(ErrorCode::superseded, "another plm was faster");
  const mongo::LeaseKey next{(*lease)->key.sessions, seen + 1};
  const std::lock_guard lock(parts_->writing);
  parts_->session.begin_epoch(next);
  const auto taken = mongo::run_transaction(*connection, parts_->session, state_database(),
                                            mongo::take_statements(owner, (*lease)->key), mongo::judge_under_lease);
  if (!taken) return fail(taken.error().within("taking the lease"));
  const std::lock_guard key_lock(parts_->key_mutex);
  parts_->lease = next;
  return next.epoch;
}

Status MongoStateStore::renew_lease() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  const mongo::LeaseKey key = parts_->key();
  if (auto renewed = mongo::renew_lease(*connection, key); !renewed) {
    return fail(renewed.error().within("renewing the lease"));
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - parts_->refreshed_at < kRefreshInterval) return {};
  if (auto refreshed = mongo::refresh_sessions(*connection, key); !refreshed) return refreshed;
  parts_->refreshed_at = now;
  return {};
}

Status MongoStateStore::release_lease() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  if (auto released = mongo::release_lease(*connection, parts_->key()); !released) {
    return fail(released.error().within("releasing the lease"));
  }
  return {};
}

}  // namespace plm
