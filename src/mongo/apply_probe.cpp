#include "mongo/apply_probe.h"

#include <string>
#include <vector>

#include "mongo/apply_ops.h"
#include "mongo/catalog_reader.h"
#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

// {$v: 2, diff: {u: {n: 2}}}
bson::Document sample_diff() {
  bson::Builder out;
  out.append("$v", 2);
  {
    auto diff = out.document("diff");
    auto updated = diff->document("u");
    updated->append("n", 2);
  }
  return out.take();
}

bson::Document sample_document() {
  bson::Builder out;
  out.append("_id", 1).append("n", 1);
  return out.take();
}

bson::OwnedValue number(std::int32_t value) {
  bson::Builder out;
  out.append("v", value);
  return bson::OwnedValue(out.view()["v"]);
}

// The scratch collection, dropped at the end of its life.
class Scratch {
 public:
  static Result<Scratch> create(Pool& pool) {
    auto connection = pool.connect();
    if (!connection) return fail(connection.error());
    bson_oid_t oid;
    bson_oid_init(&oid, nullptr);
    char unique[25];
    bson_oid_to_string(&oid, unique);
    Scratch out(std::move(*connection));
    out.twin_.ns = {std::string(kStateDatabase), std::string("probe_") + unique};
    bson::Builder command;
    command.append("create", out.twin_.ns.collection);
    append_majority_write(command);
    auto created = out.connection_.run(out.twin_.ns.database, command.view());
    if (!created) return fail(created.error().within("creating a scratch collection"));
    return out;
  }
  Scratch(Scratch&&) = default;
  Scratch& operator=(Scratch&&) = delete;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (connection_.client() == nullptr) return;
    bson::Builder command;
    command.append("drop", twin_.ns.collection);
    (void)connection_.attempt(twin_.ns.database, command.view());  // what stays behind is an empty collection
  }

  Status learn_uuid(const CatalogReader& catalog) {
    auto uuid = catalog.uuid_of(twin_.ns);
    if (!uuid) return fail(uuid.error());
    twin_.uuid = *uuid;
    return {};
  }
  [[nodiscard]] const Twin& twin() const { return twin_; }

  // The value of n in the document 1; zero when there is none.
  Result<std::int64_t> read_n() {
    bson::Builder command;
    command.append("find", twin_.ns.collection).append("limit", 1).append("singleBatch", true);
    auto reply = connection_.run(twin_.ns.database, command.view());
    if (!reply) return fail(reply.error());
    const bson::View batch = (*reply)["cursor"].as_document()["firstBatch"].as_document();
    return batch["0"].as_document()["n"].as_int64();
  }

 private:
  explicit Scratch(Connection connection) : connection_(std::move(connection)) {}
  Connection connection_;
  Twin twin_;
};

using Apply = std::function<Status(std::span<const TargetOperation>, std::vector<OperationFailure>&)>;

// The three things that the modes rely on: a diff on a missing document is
// reported and creates nothing, a document can be put there, a diff changes it.
Result<bool> behaves(Scratch& scratch, const Apply& apply) {
  const bson::Document diff = sample_diff();
  const bson::Document document = sample_document();
  const bson::OwnedValue one = number(1);
  const bson::OwnedValue none = number(2);
  const std::vector<TargetOperation> operations = {
      {TargetOperation::Kind::diff, &scratch.twin(), none.value(), diff.view()},
      {TargetOperation::Kind::upsert, &scratch.twin(), one.value(), document.view()},
      {TargetOperation::Kind::diff, &scratch.twin(), one.value(), diff.view()},
  };
  std::vector<OperationFailure> failures;
  if (auto applied = apply(operations, failures); !applied) {
    if (retryable(applied.error()) || applied.error().code == ErrorCode::superseded) return fail(applied.error());
    return false;
  }
  if (failures.size() != 1 || failures[0].index != 0 || failures[0].kind != OperationFailure::Kind::missing)
    return false;
  auto n = scratch.read_n();
  if (!n) return fail(n.error());
  return *n == 2;
}

}  // namespace

Result<ApplyAbilities> probe_apply_abilities(Pool& pool, Writers& writers) {
  auto scratch = Scratch::create(pool);
  if (!scratch) return fail(scratch.error());
  if (auto learned = scratch->learn_uuid(CatalogReader(pool.shared_from_this())); !learned) {
    return fail(learned.error());
  }

  ApplyAbilities out;
  const auto exactly = behaves(*scratch, [&](auto operations, auto& failures) -> Status {
    auto connection = writers.lend();
    if (!connection) return fail(connection.error());
    if (auto applied = apply_ops(*connection, {operations}, failures); !applied) return applied;
    return connection->settle();
  });
  if (!exactly) return fail(exactly.error());
  if (*exactly) out.mode = ApplyMode::exact;

  const auto by_pipeline = behaves(*scratch, [&](auto operations, auto& failures) -> Status {
    auto connection = writers.lend();
    if (!connection) return fail(connection.error());
    if (auto applied = apply_portably(*connection, {operations}, DiffSupport::pipeline, failures); !applied) {
      return applied;
    }
    return connection->settle();
  });
  if (!by_pipeline) return fail(by_pipeline.error());
  if (*by_pipeline) out.diffs = DiffSupport::pipeline;
  return out;
}

}  // namespace plm::mongo
