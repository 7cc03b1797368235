#include "mongo/index_builder.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <thread>

#include "mongo/write_command.h"

namespace plm::mongo {
namespace {

using std::chrono::seconds;

// How long a server may stay away, or show neither a finished nor a running
// build, before the build counts as lost.
constexpr seconds kLostAfter{30};
constexpr seconds kPollInterval{1};

bson::Document create_indexes_command(const Twin& twin, std::span<const IndexSpec> indexes) {
  bson::Builder command;
  command.append("createIndexes", twin.ns.collection);
  {
    auto array = command.array("indexes");
    for (const IndexSpec& index : indexes) array.append(index.spec);
  }
  if (!twin.uuid.is_nil()) twin.uuid.append_to(command, "collectionUUID");
  {
    auto concern = command.document("writeConcern");
    concern->append("w", "majority");
  }
  return command.take();
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// After a broken connection the build may be finished, going on, or given up:
// only the server's list tells. `lost` when it is not there any more.
Status wait_for_build(const CatalogReader& catalog, const Twin& twin, std::span<const IndexSpec> indexes,
                      const Error& lost) {
  auto last_seen = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - last_seen < kLostAfter) {
    const auto states = catalog.index_states(twin.ns.database, twin.uuid);
    if (!states && !retryable(states.error())) return fail(states.error());
    if (states) {
      const auto in = [](const std::vector<std::string>& names) {
        return [&names](const IndexSpec& index) { return contains(names, index.name()); };
      };
      if (std::ranges::all_of(indexes, in(states->ready))) return {};
      if (!std::ranges::any_of(indexes, in(states->building))) return fail(lost);
      last_seen = std::chrono::steady_clock::now();
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return fail(lost);
}

Status build(Pool& patient, const CatalogReader& catalog, const Twin& twin, std::span<const IndexSpec> indexes) {
  auto connection = patient.connect();
  if (!connection) return fail(connection.error());
  auto reply = connection->run(twin.ns.database, create_indexes_command(twin, indexes).view());
  if (reply) return {};
  if (reply.error().code != ErrorCode::network) return fail(reply.error());
  return wait_for_build(catalog, twin, indexes, reply.error());
}

}  // namespace

std::vector<IndexResult> build_indexes(Pool& patient, const CatalogReader& catalog, const Twin& twin,
                                       const std::vector<IndexSpec>& indexes) {
  std::vector<IndexResult> out;
  if (indexes.empty()) return out;
  out.reserve(indexes.size());
  const Status together = build(patient, catalog, twin, indexes);
  const bool one_by_one = !together && !retryable(together.error()) && indexes.size() > 1;
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    Status status = one_by_one ? build(patient, catalog, twin, std::span(indexes).subspan(i, 1)) : together;
    out.push_back({indexes[i].name(), std::move(status)});
  }
  return out;
}

}  // namespace plm::mongo
