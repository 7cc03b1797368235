#include "mongo/index_builder.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <thread>

#include "base/planted_bug.h"
#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

using std::chrono::seconds;

constexpr seconds kOutOfSightAfter{30};
constexpr seconds kPollInterval{1};
constexpr int kMostAttempts = 3;

// The listed specification of an index with the simple collation names none;
// taken so, it would get that of its collection.
bson::Document with_collation(bson::View spec) {
  if (spec["collation"] || spec["v"].as_int64() == 1) return bson::Document(spec);
  bson::Builder out(spec.size() + 64);
  for (const bson::Element& field : spec) {
    if (field.key == "sparse" && planted_bug("index-option-lost")) continue;
    if (field.key == "originalSpec") {  // of time-series
      out.append(field.key, with_collation(field.value.as_document()));
    } else {
      out.append(field.key, field.value);
    }
  }
  {
    auto collation = out.document("collation");
    collation->append("locale", "simple");
  }
  return out.take();
}

bson::Document create_indexes_command(const Twin& twin, std::span<const IndexSpec> indexes) {
  bson::Builder command;
  command.append("createIndexes", twin.ns.collection);
  {
    auto array = command.array("indexes");
    for (const IndexSpec& index : indexes) array.append(with_collation(index.spec.view()));
  }
  if (!twin.uuid.is_nil()) twin.uuid.append_to(command, "collectionUUID");
  command.append("commitQuorum", "majority");  // the server's default waits for members that are away, too
  {
    auto concern = command.document("writeConcern");
    concern->append("w", "majority");
  }
  return command.take();
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

enum class Fate {
  ready,
  given_up,      // it was seen, and then it was gone
  never_seen,    // the server answers, and shows no such build
  out_of_sight,  // the server does not answer
};

// What became of a build after its connection broke.
Result<Fate> wait_for_build(const BuildContext& context, const Twin& twin, std::span<const IndexSpec> indexes) {
  auto last_seen = std::chrono::steady_clock::now();
  bool seen = false;
  while (std::chrono::steady_clock::now() - last_seen < kOutOfSightAfter) {
    if (context.cancelled && context.cancelled()) {
      return fail(ErrorCode::cancelled, "the build of indexes of " + twin.ns.text() + " was not waited for");
    }
    const auto states = context.catalog.index_states(twin.ns.database, twin.uuid);
    if (!states && !retryable(states.error())) return fail(states.error());
    if (states) {
      const auto in = [](const std::vector<std::string>& names) {
        return [&names](const IndexSpec& index) { return contains(names, index.name()); };
      };
      if (std::ranges::all_of(indexes, in(states->ready))) return Fate::ready;
      if (!std::ranges::any_of(indexes, in(states->building))) return seen ? Fate::given_up : Fate::never_seen;
      seen = true;
      last_seen = std::chrono::steady_clock::now();
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return Fate::out_of_sight;
}

Status send(const BuildContext& context, const Twin& twin, std::span<const IndexSpec> indexes) {
  if (auto confirmed = context.writers.confirm_lease(); !confirmed) return confirmed;
  auto connection = context.pool.connect();
  if (!connection) return fail(connection.error());
  auto reply = connection->run(twin.ns.database, create_indexes_command(twin, indexes).view());
  if (!reply) return fail(reply.error());
  return {};
}

Status build(const BuildContext& context, const Twin& twin, std::span<const IndexSpec> indexes) {
  for (int attempt = 1;; ++attempt) {
    Status sent = send(context, twin, indexes);
    if (sent || sent.error().code != ErrorCode::network) return sent;
    const auto fate = wait_for_build(context, twin, indexes);
    if (!fate) return fail(fate.error());
    switch (*fate) {
      case Fate::ready:
        return {};
      case Fate::given_up:
        if (attempt < kMostAttempts) break;
        return fail(ErrorCode::server, "the server gave up the build each time; its log says why");
      case Fate::never_seen:
        if (attempt < kMostAttempts) break;
        return sent;
      case Fate::out_of_sight:
        return sent;
    }
  }
}

}  // namespace

std::vector<IndexResult> build_indexes(const BuildContext& context, const Twin& twin,
                                       const std::vector<IndexSpec>& indexes) {
  std::vector<IndexResult> out;
  if (indexes.empty()) return out;
  out.reserve(indexes.size());
  const Status together = build(context, twin, indexes);
  const bool cancelled = !together && together.error().code == ErrorCode::cancelled;
  const bool is_lost = !together && together.error().code == ErrorCode::superseded;
  const bool one_by_one = !together && !cancelled && !is_lost && !retryable(together.error()) && indexes.size() > 1;
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    Status status = one_by_one ? build(context, twin, std::span(indexes).subspan(i, 1)) : together;
    out.push_back({indexes[i].name(), std::move(status)});
  }
  return out;
}

}  // namespace plm::mongo
