#include "mongo/mongo_target.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <optional>
#include <thread>

#include "mongo/apply_probe.h"
#include "mongo/catalog_reader.h"
#include "mongo/connection.h"
#include "mongo/current_op.h"
#include "mongo/index_builder.h"
#include "mongo/insert_command.h"
#include "mongo/operation_runs.h"
#include "mongo/privileges.h"
#include "mongo/range_clearer.h"
#include "mongo/range_reader.h"
#include "mongo/structure_commands.h"
#include "mongo/write_command.h"
#include "mongo/writers.h"

namespace plm {

using mongo::DataConnection;
using mongo::DiffSupport;
using mongo::Pool;

struct MongoTarget::Parts {
  Parts(std::shared_ptr<Pool> its_pool, std::shared_ptr<Pool> patient_pool)
      : pool(std::move(its_pool)), patient(std::move(patient_pool)) {}

  std::shared_ptr<Pool> pool;
  std::shared_ptr<Pool> patient;  // for making an index unique
  mongo::CatalogReader catalog{pool};
  mongo::Writers writers{pool};
  mongo::StructureCommands structure{*pool, writers};
  std::atomic<bool> mode_is_forced = false;
  std::atomic<ApplyMode> mode = ApplyMode::exact;
  std::atomic<DiffSupport> diffs = DiffSupport::none;
};

namespace {

// For DDL commands, whose collection must be the one that is meant.
void append_identity(bson::Builder& command, const Uuid& uuid) {
  if (!uuid.is_nil()) uuid.append_to(command, "collectionUUID");
}

// Waits while the server works on a collMod of the collection whose client is
// away. Errors: those of asking.
Status wait_for_modification(Pool& pool, const Twin& twin) {
  bson::Builder match;
  match.append("command.collMod", twin.ns.collection).append("command.$db", twin.ns.database);
  const bson::Document command = mongo::current_op_command(match.view());
  for (;;) {
    auto connection = pool.connect();
    if (!connection) return fail(connection.error());
    auto reply = connection->run("admin", command.view());
    if (!reply) return fail(reply.error());
    if (!mongo::shows_operations(reply->view())) return {};
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

// The outcome of taking away a collection or something of it: all is done when no
// collection of that name or UUID is there. A look for it that fails says nothing
// of that: then its error is the outcome, by which all of it is tried again.
Status unless_gone(const mongo::CatalogReader& catalog, const Twin& twin, const Status& taken) {
  if (taken || taken.error().code == ErrorCode::not_found) return {};
  if (taken.error().server_code != server_code::collection_uuid_mismatch) return taken;
  const auto found = catalog.describe(twin.ns.database, twin.uuid);
  if (found) return taken;
  if (found.error().code == ErrorCode::not_found) return {};
  return fail(found.error());
}

// The guard for commands that cannot carry a UUID themselves.
Status expect_identity(const mongo::CatalogReader& catalog, const Twin& twin) {
  const auto uuid = catalog.uuid_of(twin.ns);
  if (!uuid) return fail(uuid.error());
  if (*uuid == twin.uuid) return {};
  return fail(Error{ErrorCode::server, server_code::collection_uuid_mismatch, {}, "the name means another collection"});
}

// What identifies the collection to a drop, which takes no UUID for time-series.
Status identify(const mongo::CatalogReader& catalog, const Twin& twin, bson::Builder& command) {
  if (twin.ns.is_buckets()) return expect_identity(catalog, twin);
  append_identity(command, twin.uuid);
  return {};
}

// The name by which a collMod reaches what it changes. How long buckets may be is
// also in their view, which only a command to the view changes; of anything else
// the view would not check the UUID.
Namespace name_to_modify(const Twin& twin, bson::View change) {
  return change["timeseries"] ? twin.ns.for_users() : twin.ns;
}

Result<mongo::InsertOutcome> insert_by_name(Pool& pool, mongo::Writers& writers, const Twin& twin,
                                            bson::View documents) {
  auto connection = pool.connect();
  if (!connection) return fail(connection.error());
  auto inserted = mongo::insert_documents(
      [&](const std::string& database, bson::Builder& command, mongo::InsertPlace) {
        mongo::append_majority_write(command);
        return connection->run(database, command.view());
      },
      twin, documents);
  if (inserted || inserted.error().server_code != server_code::collection_uuid_mismatch) return inserted;
  // Another owner may have given it another name.
  if (auto confirmed = writers.confirm_lease(std::chrono::seconds(0)); !confirmed) return fail(confirmed.error());
  return inserted;
}

// A time of the target that everything acknowledged lies before: a new primary may
// be slow to know that a majority has it. Nothing of unknown outcome is left then.
Result<ClusterTime> behind_all_writes(mongo::Writers& writers) {
  auto connection = writers.lend();
  if (!connection) return fail(connection.error());
  bson::Builder command;
  command.append("ping", 1);
  auto reply = connection->plain().run("admin", command.view());
  if (!reply) return fail(reply.error());
  return reply->operation_time();
}

}  // namespace

MongoTarget::MongoTarget(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
MongoTarget::~MongoTarget() = default;

Result<std::unique_ptr<MongoTarget>> MongoTarget::connect(const std::string& uri) {
  auto pool = Pool::open(uri);
  if (!pool) return fail(pool.error().within("target"));
  auto patient = Pool::open(uri, Pool::Patience::an_hour);
  if (!patient) return fail(patient.error().within("target"));
  return std::unique_ptr<MongoTarget>(
      new MongoTarget(std::unique_ptr<Parts>(new Parts(std::move(*pool), std::move(*patient)))));
}

void MongoTarget::force_mode(ApplyMode mode) {
  parts_->mode_is_forced = true;
  parts_->mode = mode;
}

Result<ServerInfo> MongoTarget::info() { return parts_->catalog.info(); }

Status MongoTarget::check_privileges() { return mongo::check_privileges(*parts_->pool, mongo::target_needs()); }

Result<ApplyMode> MongoTarget::probe_apply_mode() {
  auto abilities = mongo::probe_apply_abilities(*parts_->pool, parts_->writers);
  if (!abilities) return fail(abilities.error().within("trying out how to apply changes"));
  parts_->diffs = abilities->diffs;
  if (!parts_->mode_is_forced) parts_->mode = abilities->mode;
  return parts_->mode.load();
}

Status MongoTarget::take_over(Epoch epoch) { return parts_->writers.take_over(epoch); }

Result<std::vector<std::string>> MongoTarget::list_databases() { return parts_->catalog.list_databases(); }

Result<std::vector<CollectionSpec>> MongoTarget::list_collections(const std::vector<std::string>& databases) {
  return parts_->catalog.list_collections(databases, mongo::LostParts::listed);
}

Result<std::int64_t> MongoTarget::count_documents(const Namespace& ns) { return parts_->catalog.count_documents(ns); }

Result<std::size_t> MongoTarget::natural_order(const Namespace& ns) { return parts_->catalog.natural_order(ns); }

Result<Uuid> MongoTarget::create(const Namespace& ns, bson::View options) {
  // Of both kinds at once a server creates none, but it makes one of a clustered one.
  const bool becomes_capped = options["capped"].as_bool() && options["clusteredIndex"].exists();
  bson::Builder command;
  command.append("create", name_for_users(ns.collection));
  for (const bson::Element& option : options) {
    if (becomes_capped && (option.key == "capped" || option.key == "size")) continue;
    command.append(option.key, option.value);
  }
  Status created = parts_->structure.run(ns.database, command);
  if (created && becomes_capped) {
    bson::Builder conversion;
    conversion.append("convertToCapped", ns.collection).append("size", options["size"]);
    created = parts_->structure.run(ns.database, conversion);
  }
  if (!created) return fail(created.error().within("creating " + ns.text()));
  return parts_->catalog.uuid_of(ns);
}

// A server drops stored functions with their whole database only; under another
// name they are a collection like others.
Status MongoTarget::drop_stored_functions(const Twin& twin) {
  const auto present = parts_->catalog.describe(twin.ns.database, twin.uuid);
  if (!present) return present.error().code == ErrorCode::not_found ? Status() : fail(present.error());
  const Twin renamed{{twin.ns.database, "plm_dropped_" + twin.uuid.text()}, twin.uuid};
  if (present->ns != renamed.ns) {
    if (auto moved = rename(twin, renamed.ns); !moved) return moved;
  }
  return drop(renamed);
}

Status MongoTarget::drop(const Twin& twin) {
  if (twin.ns.collection == kStoredFunctions) return drop_stored_functions(twin);
  bson::Builder command;
  command.append("drop", twin.ns.collection);
  Status dropped = identify(parts_->catalog, twin, command);
  if (dropped) dropped = parts_->structure.run(twin.ns.database, command);
  dropped = unless_gone(parts_->catalog, twin, dropped);
  if (!dropped) return fail(dropped.error().within("dropping " + twin.ns.text()));
  return {};
}

// The command has the name alone, which may be a collection's by now.
Status MongoTarget::drop_view(const Namespace& ns) {
  const auto is_view = parts_->catalog.is_view(ns);
  Status dropped = is_view ? Status() : fail(is_view.error());
  if (is_view && *is_view) {
    bson::Builder command;
    command.append("drop", ns.collection);
    dropped = parts_->structure.run(ns.database, command);
  }
  if (dropped || dropped.error().code == ErrorCode::not_found) return {};
  return fail(dropped.error().within("dropping view " + ns.text()));
}

Status MongoTarget::rename(const Twin& from, const Namespace& to) {
  bson::Builder command;
  command.append("renameCollection", from.ns.text()).append("to", to.text());
  Status renamed;
  if (from.ns.database == to.database) {
    append_identity(command, from.uuid);
  } else {
    renamed = expect_identity(parts_->catalog, from);  // between databases the server takes no UUID
  }
  if (renamed) renamed = parts_->structure.run("admin", command);
  if (!renamed) return fail(renamed.error().within("renaming " + from.ns.text() + " to " + to.text()));
  return {};
}

Status MongoTarget::modify(const Twin& twin, bson::View change) {
  bson::Builder command;
  const Namespace name = name_to_modify(twin, change);
  command.append("collMod", name.collection).append_all(change);
  append_identity(command, twin.uuid);
  Status modified;
  if (name != twin.ns) modified = expect_identity(parts_->catalog, twin);
  if (modified) {
    modified = change["index"] ? parts_->structure.run_long(*parts_->pool, twin.ns.database, command)
                               : parts_->structure.run(twin.ns.database, command);
  }
  if (modified) return {};
  // Making an index unique reads all of it, and may take longer than a command
  // may. It is not begun once more beside itself; the answer of the second time
  // is waited for: it changes nothing when the first one had succeeded.
  if (modified.error().code == ErrorCode::network && change["index"]) {
    if (auto ended = wait_for_modification(*parts_->pool, twin); !ended) return fail(std::move(ended.error()));
    bson::Builder again;
    again.append("collMod", twin.ns.collection).append_all(change);
    append_identity(again, twin.uuid);
    const Status repeated = parts_->structure.run_long(*parts_->patient, twin.ns.database, again);
    if (repeated) return {};
    return fail(repeated.error().within("modifying " + twin.ns.text()));
  }
  return fail(modified.error().within("modifying " + twin.ns.text()));
}

std::vector<IndexResult> MongoTarget::create_indexes(const Twin& twin, const std::vector<IndexSpec>& indexes,
                                                     const Cancelled& cancelled) {
  return mongo::build_indexes({*parts_->pool, parts_->catalog, cancelled, parts_->writers}, twin, indexes);
}

Status MongoTarget::drop_index(const Twin& twin, const std::string& name) {
  bson::Builder command;
  command.append("dropIndexes", twin.ns.collection).append("index", name);
  append_identity(command, twin.uuid);
  Status dropped = parts_->structure.run(twin.ns.database, command);
  if (!dropped && dropped.error().server_code == server_code::index_not_found) return {};
  dropped = unless_gone(parts_->catalog, twin, dropped);
  if (!dropped) return fail(dropped.error().within("dropping index " + name + " of " + twin.ns.text()));
  return {};
}

Result<int> MongoTarget::processors() {
  auto connection = parts_->pool->connect();
  if (!connection) return fail(connection.error());
  bson::Builder command;
  command.append("hostInfo", 1);
  auto reply = connection->run("admin", command.view());
  if (!reply) {
    if (retryable(reply.error())) return fail(reply.error().within("asking for the target's processors"));
    return 0;
  }
  return static_cast<int>((*reply)["system"].as_document()["numCores"].as_int64());
}

Status MongoTarget::abort_builds(const Twin& twin) {
  auto builds = parts_->catalog.running_builds(twin.ns.database, twin.uuid);
  if (!builds) {
    if (builds.error().code == ErrorCode::not_found) return {};
    return fail(builds.error().within("looking for index builds of " + twin.ns.text()));
  }
  // Only all the names of a build together end it.
  for (const std::vector<std::string>& names : *builds) {
    bson::Builder command;
    command.append("dropIndexes", twin.ns.collection);
    {
      auto array = command.array("index");
      for (const std::string& name : names) array.append(name);
    }
    append_identity(command, twin.uuid);
    const Status dropped = parts_->structure.run(twin.ns.database, command);
    if (dropped || dropped.error().server_code == server_code::index_not_found) continue;
    return fail(dropped.error().within("ending index builds of " + twin.ns.text()));
  }
  return {};
}

Result<std::vector<IndexSpec>> MongoTarget::list_indexes(const Twin& twin) {
  return parts_->catalog.list_indexes(twin.ns.database, twin.uuid);
}

Result<std::unique_ptr<RangeReader>> MongoTarget::read_range(const Twin& twin, const KeyBounds& bounds,
                                                             std::int64_t batch_bytes) {
  auto now = behind_all_writes(parts_->writers);
  if (!now) return fail(now.error().within("reading a range of " + twin.ns.text()));
  return mongo::CursorRangeReader::open(*parts_->pool, {twin.ns.database, twin.uuid, *now}, bounds,
                                        {.batch_bytes = batch_bytes});
}

Result<std::vector<OperationFailure>> MongoTarget::insert(const Twin& twin, bson::View documents, InsertFence fence) {
  if (fence == InsertFence::number) return insert_by_number(twin, documents);
  auto outcome = insert_by_name(*parts_->pool, parts_->writers, twin, documents);
  if (!outcome) return fail(outcome.error().within("inserting into " + twin.ns.text()));
  const std::vector<std::size_t>& again = outcome->not_stored;
  if (again.empty()) return std::move(outcome->failures);
  const std::vector<TargetOperation> all = mongo::operations_of(TargetOperation::Kind::replace, twin, documents);
  std::vector<TargetOperation> replacements;
  for (const std::size_t position : again) replacements.push_back(all[position]);
  auto replaced = apply(replacements);
  if (!replaced) return fail(replaced.error());
  for (OperationFailure& failure : *replaced) {
    failure.index = again[failure.index];
    outcome->failures.push_back(std::move(failure));
  }
  return std::move(outcome->failures);
}

// The collection may not be the one that is meant: then nothing was inserted.
Result<std::vector<OperationFailure>> MongoTarget::insert_by_number(const Twin& twin, bson::View documents) {
  auto failures = apply(mongo::operations_of(TargetOperation::Kind::insert, twin, documents));
  if (!failures) return failures;
  const auto another = std::ranges::find_if(*failures, [](const OperationFailure& failure) {
    return failure.error.server_code == server_code::collection_uuid_mismatch;
  });
  if (another == failures->end()) return failures;
  another->error.code = ErrorCode::server;
  return fail(another->error.within("inserting into " + twin.ns.text()));
}

Result<std::vector<OperationFailure>> MongoTarget::apply(std::span<const TargetOperation> operations) {
  std::vector<OperationFailure> failures;
  if (operations.empty()) return failures;
  auto connection = parts_->writers.lend();
  if (!connection) return fail(connection.error());
  const Status applied = mongo::OperationRuns(*connection, parts_->mode, parts_->diffs, failures).apply(operations);
  if (!applied) return fail(applied.error());
  return failures;
}

Status MongoTarget::clear_range(const Twin& twin, const KeyBounds& bounds) {
  auto connection = parts_->writers.lend();
  if (!connection) return fail(connection.error());
  const Status cleared = mongo::clear_range(*connection, twin, bounds);
  if (!cleared) return fail(cleared.error().within("clearing a range of " + twin.ns.text()));
  return {};
}

}  // namespace plm
