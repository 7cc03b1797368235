// What the daemon itself spends on an event or a document, without servers:
// decoding a reply of the stream, hashing and comparing _ids, leaving out what
// is superfluous of an applier's batch. Times are per event or per value.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "bson/document.h"
#include "bson/order.h"
#include "engine/coalesce.h"
#include "engine/decoder.h"

namespace plm {
namespace {

constexpr std::int32_t kEvents = 1000;
constexpr std::array<std::uint8_t, 16> kUuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

bson::Document from_json(std::string_view json) {
  auto* parsed = bson_new_from_json(reinterpret_cast<const std::uint8_t*>(json.data()),
                                    static_cast<ssize_t>(json.size()), nullptr);
  CHECK(parsed != nullptr);
  bson::Document out{bson::View(bson_get_data(parsed))};
  bson_destroy(parsed);
  return out;
}

// An event as a 6.0 server sends it, of a document of about 300 bytes.
bson::Document event(std::string_view kind, std::int32_t id) {
  bson::Builder out;
  out.append("_id", from_json(R"({"_data": ")" + std::string(120, '8') + R"("})"));
  out.append("operationType", kind).append_timestamp("clusterTime", std::uint64_t{1'700'000'000} << 32 | 7U);
  out.append_binary("collectionUUID", 4, kUuid);
  out.append("wallTime", std::int64_t{1'700'000'000'000});
  bson::Builder document;
  document.append("_id", id).append("k", id * 7).append("s", "some words").append("pad", std::string(240, 'x'));
  if (kind == "insert" || kind == "replace") out.append("fullDocument", document.view());
  out.append("ns", from_json(R"({"db": "shop", "coll": "orders"})"));
  out.append("documentKey", bson::Builder().append("_id", id).take());
  if (kind == "update") {
    out.append("rawUpdateDescription",
               from_json(R"({"$v": 2, "diff": {"u": {"k": 5, "n": 3}, "ssub": {"u": {"a": 0.5}}}})"));
  }
  return out.take();
}

// 40 % insertions, 40 % updates, 10 % replacements, 10 % deletions, each document changed about twice.
StreamReply reply() {
  constexpr std::array<std::string_view, 10> kinds = {"insert", "update", "insert",  "update", "insert",
                                                      "update", "insert", "replace", "update", "delete"};
  bson::Builder out;
  {
    auto events = out.array("events");
    for (std::int32_t i = 0; i < kEvents; ++i) {
      events.append(event(kinds[static_cast<std::size_t>(i) % kinds.size()], i * 271 % (kEvents / 2)).view());
    }
  }
  StreamReply made;
  made.bytes = std::make_shared<const bson::Document>(out.take());
  made.events = (*made.bytes)["events"].as_document();
  return made;
}

void decode_events(benchmark::State& state) {
  const auto made = reply();
  for (auto _ : state) {
    auto batch = decode(made);
    CHECK(batch.has_value() && batch->events.size() == kEvents);
    benchmark::DoNotOptimize(batch);
  }
  state.SetItemsProcessed(state.iterations() * kEvents);
}
BENCHMARK(decode_events);

// Of an event of a document.
OperationKind kind_of(EventKind kind) {
  if (kind == EventKind::insert) return OperationKind::insert;
  if (kind == EventKind::replace) return OperationKind::replace;
  if (kind == EventKind::update) return OperationKind::update;
  return OperationKind::erase;
}

void coalesce_operations(benchmark::State& state) {
  const auto batch = decode(reply());
  CHECK(batch.has_value());
  const auto collection = std::make_shared<const CollectionRef>();
  std::vector<Operation> operations;
  for (const auto& e : batch->events) {
    Operation operation;
    operation.collection = collection;
    operation.kind = kind_of(e.kind);
    operation.id = e.document_id;
    operation.body = e.kind == EventKind::update ? e.raw_update : e.full_document;
    operation.key_hash = bson::hash(e.document_id);
    operations.push_back(operation);
  }
  for (auto _ : state) benchmark::DoNotOptimize(coalesce(operations));
  state.SetItemsProcessed(state.iterations() * kEvents);
}
BENCHMARK(coalesce_operations);

// Two neighbours of each kind of _id that is common.
constexpr std::array<std::string_view, 5> kIds = {
    R"({"a": 1234567, "b": 1234568})",
    R"({"a": {"$numberLong": "1234567890123"}, "b": {"$numberDouble": "1234567890124.0"}})",
    R"({"a": {"$oid": "64b7f1d2c3a4b5968778695a"}, "b": {"$oid": "64b7f1d2c3a4b5968778695b"}})",
    R"({"a": "customer-000123456", "b": "customer-000123457"})",
    R"({"a": {"tenant": 17, "name": "north"}, "b": {"tenant": 17, "name": "south"}})"};
constexpr std::array<std::string_view, 5> kIdNames = {"int32", "int64 and double", "ObjectId", "string", "document"};

void hash_id(benchmark::State& state) {
  const auto index = static_cast<std::size_t>(state.range(0));
  const auto ids = from_json(kIds[index]);
  const auto id = ids["a"];
  for (auto _ : state) benchmark::DoNotOptimize(bson::hash(id));
  state.SetLabel(std::string(kIdNames[index]));
}
BENCHMARK(hash_id)->DenseRange(0, kIds.size() - 1);

void compare_ids(benchmark::State& state) {
  const auto index = static_cast<std::size_t>(state.range(0));
  const auto ids = from_json(kIds[index]);
  const auto left = ids["a"], right = ids["b"];
  CHECK(bson::compare(left, right) < 0);
  for (auto _ : state) benchmark::DoNotOptimize(bson::compare(left, right));
  state.SetLabel(std::string(kIdNames[index]));
}
BENCHMARK(compare_ids)->DenseRange(0, kIds.size() - 1);

}  // namespace
}  // namespace plm

BENCHMARK_MAIN();
