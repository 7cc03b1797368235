#include "mongo/lease_document.h"

#include <random>
#include <string>

#include "model/namespace.h"
#include "mongo/cursor.h"
#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

constexpr std::int64_t kLeaseFormat = 1;
constexpr const char* kLeaseCollection = "lease";
constexpr const char* kLeaseId = "lease";
constexpr const char* kHeartbeatId = "heartbeat";

Uuid random_uuid() {
  std::random_device random;
  std::array<std::uint8_t, 16> bytes{};
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x40U);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
  return Uuid(bytes);
}

void append_owner(bson::Builder& out, const LeaseOwner& owner) {
  auto scope = out.document("owner");
  scope->append("id", owner.id).append("host", owner.host).append("machine", owner.machine).append("pid", owner.pid);
  scope->append("started", owner.started);
}

std::optional<LeaseOwner> owner_from(const bson::Value& value) {
  if (!value.is_document()) return std::nullopt;
  const bson::View view = value.document();
  return LeaseOwner{std::string(view["id"].as_string()), std::string(view["host"].as_string()),
                    std::string(view["machine"].as_string()), view["pid"].as_int64(), view["started"].as_int64()};
}

void append_key(bson::Builder& out, const LeaseKey& key) {
  out.append("epoch", key.epoch);
  key.sessions.append_to(out, "sessions");
}

// Of the document with this _id; with the key, if one is given.
template <typename Change>
bson::Builder update_of(const char* id, const std::optional<LeaseKey>& key, Change&& change) {
  bson::Builder command;
  command.append("update", kLeaseCollection);
  {
    auto updates = command.array("updates");
    auto statement = updates.document();
    {
      auto query = statement->document("q");
      query->append("_id", id);
      if (key) append_key(*query, *key);
    }
    {
      auto document = statement->document("u");
      change(*document);
    }
    if (!key) statement->append("upsert", true);
  }
  return command;
}

void set_current_date(bson::Builder& change, std::string_view field) {
  auto dates = change.document("$currentDate");
  dates->append(field, true);
}

void increase(bson::Builder& change, std::string_view field) {
  auto numbers = change.document("$inc");
  numbers->append(field, std::int64_t{1});
}

Status expect_hit(bson::View reply) {
  if (auto written = first_write_error(reply); !written) return written;
  if (reply["n"].as_int64() > 0) return {};
  return fail(ErrorCode::superseded, "another plm has taken over the target");
}

Status run_update(Connection& connection, bson::Builder command) {
  append_majority_write(command);
  auto reply = connection.run(state_database(), command.view());
  if (!reply) return fail(std::move(reply.error()));
  return expect_hit(reply->view());
}

}  // namespace

Status judge_under_lease(std::size_t statement, bson::View reply) {
  return statement == 0 ? expect_hit(reply) : first_write_error(reply);
}

Result<std::optional<FoundLease>> read_lease(Connection& connection) {
  bson::Builder command;
  command.append("find", kLeaseCollection);
  std::optional<FoundLease> out;
  std::int64_t renewals = 0;
  std::int64_t format = kLeaseFormat;
  auto read = read_all(connection, state_database(), command.view(), [&](bson::View document) {
    if (document["_id"].as_string() == kHeartbeatId) renewals = document["renewals"].as_int64();
    if (document["_id"].as_string() != kLeaseId) return;
    format = document["v"].as_int64();
    const Epoch epoch = document["epoch"].as_int64();
    out = {{Uuid(document["sessions"]), epoch}, {epoch, owner_from(document["owner"]), 0}};
  });
  if (!read) return fail(std::move(read.error()));
  if (format > kLeaseFormat) {
    return fail(ErrorCode::stored_format,
                "the lease was written by a newer plm (format " + std::to_string(format) + ")");
  }
  if (out) out->sight.renewals = renewals;
  return out;
}

Status create_lease(Connection& connection) {
  bson::Builder command;
  command.append("insert", kLeaseCollection);
  {
    auto documents = command.array("documents");
    auto document = documents.document();
    document->append("_id", kLeaseId).append("v", kLeaseFormat);
    append_key(*document, {random_uuid(), 0});
  }
  append_majority_write(command);
  auto reply = connection.run(state_database(), command.view());
  if (!reply) return fail(std::move(reply.error()));
  Status inserted = first_write_error(reply->view());
  if (!inserted && inserted.error().server_code == server_code::duplicate_key) return {};
  return inserted;
}

std::vector<bson::Document> take_statements(const LeaseOwner& owner, const LeaseKey& seen) {
  const LeaseKey next{seen.sessions, seen.epoch + 1};
  std::vector<bson::Document> out;
  out.push_back(update_of(kLeaseId, seen, [&](bson::Builder& change) {
                  {
                    auto set = change.document("$set");
                    set->append("v", kLeaseFormat).append("epoch", next.epoch);
                    append_owner(*set, owner);
                  }
                  set_current_date(change, "taken_at");
                }).take());
  out.push_back(update_of(kHeartbeatId, std::nullopt, [&](bson::Builder& change) {
                  auto set = change.document("$set");
                  append_key(*set, next);
                  set->append("renewals", std::int64_t{0});
                }).take());
  return out;
}

bson::Document touch_statement(const LeaseKey& key) {
  return update_of(kLeaseId, key, [](bson::Builder& change) { increase(change, "saves"); }).take();
}

Status renew_lease(Connection& connection, const LeaseKey& key) {
  return run_update(connection, update_of(kHeartbeatId, key, [](bson::Builder& change) {
                      increase(change, "renewals");
                      set_current_date(change, "renewed_at");
                    }));
}

Status release_lease(Connection& connection, const LeaseKey& key) {
  Status released = run_update(connection, update_of(kLeaseId, key, [](bson::Builder& change) {
                                 auto gone = change.document("$unset");
                                 gone->append("owner", true);
                               }));
  if (!released && released.error().code == ErrorCode::superseded) return {};
  return released;
}

}  // namespace plm::mongo
