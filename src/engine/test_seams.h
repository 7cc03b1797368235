// What the tests of the engine share: a source, a target and a store in memory
// that never fail by themselves, and short ways to write values and operations.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/operation.h"
#include "engine/progress.h"
#include "memory/deployment.h"
#include "memory/faults.h"
#include "memory/json.h"
#include "memory/memory_source.h"
#include "memory/memory_state_store.h"
#include "memory/memory_target.h"
#include "memory/random.h"

namespace plm {

// The collection of most tests.
inline const Namespace kNs{"db", "c"};

// value_of("1.0"), value_of(R"({"a": 1})").
[[nodiscard]] inline bson::OwnedValue value_of(std::string_view text) {
  return bson::OwnedValue(json("{\"v\": " + std::string(text) + "}")["v"]);
}

[[nodiscard]] inline Uuid uuid_of(std::uint8_t number) { return Uuid({number, 1, 2, 3, 4, 5, 0x47, 8, 0x89}); }

[[nodiscard]] inline std::shared_ptr<const CollectionRef> collection_ref(const Namespace& ns, const Uuid& source,
                                                                         const Uuid& target,
                                                                         std::string_view options = "{}") {
  return make_ref({ns, CollectionKind::collection, source, json(options), {}}, {ns, target});
}

// `body` is a document, or the diff of an update without its envelope.
[[nodiscard]] inline Operation operation(OperationKind kind, const std::shared_ptr<const CollectionRef>& collection,
                                         std::string_view id, std::string_view body = "{}") {
  std::string text = "{\"i\": " + std::string(id) + ", \"b\": ";
  text += kind == OperationKind::update ? "{\"$v\": 2, \"diff\": " + std::string(body) + "}" : std::string(body);
  Operation out;
  out.bytes = std::make_shared<const bson::Document>(json(text + "}"));
  out.collection = collection;
  out.kind = kind;
  out.id = (*out.bytes)["i"];
  out.body = (*out.bytes)["b"].document();
  out.key_hash = bson::hash(out.id);
  out.size_bytes = static_cast<std::uint32_t>(out.bytes->size_bytes());
  return out;
}

struct TestSeams {
  Random random{1};
  FaultPlan faults{random, {}};
  MemoryDeployment source_set{{.set_name = "source", .seed = 1}};
  MemoryDeployment target_set{{.set_name = "target", .seed = 2, .keeps_events = false}};
  MemorySource source{source_set, faults};
  MemoryTarget target{target_set, faults};
  MemoryStateStore store{faults};
  ManualClock clock;
  Progress progress;

  // The document with this _id as JSON; empty when there is none.
  [[nodiscard]] static std::string document(MemoryDeployment& set, const Namespace& ns, std::string_view id) {
    const MemoryCollection* collection = set.find(ns);
    if (collection == nullptr) return {};
    const bson::OwnedValue key = value_of(id);
    const DocumentPtr found = collection->find(key.value());
    return found == nullptr ? "" : found->view().json();
  }
};

// The form in which document() above gives a document.
[[nodiscard]] inline std::string text_of(std::string_view document) { return json(document).view().json(); }

}  // namespace plm
