// The twins against each other: what a source's stream says, done to a target,
// makes the target equal to the source.
#include "memory/workload.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "memory/json.h"
#include "memory/memory_source.h"
#include "memory/memory_target.h"
#include "memory/snapshot.h"

namespace plm {
namespace {

// The simplest replication there is: every event at once, in order.
class Replay {
 public:
  Replay(MemorySource& source, MemoryTarget& target, const Position& from = {})
      : target_(target), stream_(source.open_stream(from, {}).value()) {}
  // Up to a time.
  void run(ClusterTime until) {
    ClusterTime at;
    while (at < until) {
      const StreamReply reply = stream_->next().value();
      for (const bson::Element& event : reply.events) apply(event.value.document());
      at = reply.end.time;
    }
    // The reply may have ended in the middle of a transaction.
    for (StreamReply reply = stream_->next().value(); !reply.events.empty(); reply = stream_->next().value()) {
      for (const bson::Element& event : reply.events) apply(event.value.document());
    }
  }
  void set_twin(const Uuid& source, const Twin& twin) { twins_[source] = twin; }
  // Replayed onto documents of later times, diffs may meet none.
  void allow_missing() { allow_missing_ = true; }

 private:
  static Namespace named(const bson::Value& ns) {
    return {std::string(ns.as_document()["db"].as_string()), std::string(ns.as_document()["coll"].as_string())};
  }
  void drop(const Twin& twin) { EXPECT_TRUE(target_.drop(twin)); }
  void drop_view(const Namespace& ns) { EXPECT_TRUE(target_.drop_view(ns)); }
  void apply_write(TargetOperation::Kind kind, bson::View event, bson::View body) {
    const Twin& twin = twins_.at(Uuid(event["collectionUUID"]));
    const TargetOperation operation{kind, &twin, event["documentKey"].document()["_id"], body};
    const auto failures = target_.apply({&operation, 1}).value();
    const bool missing = !failures.empty() && failures[0].kind == OperationFailure::Kind::missing;
    EXPECT_TRUE(failures.empty() || (missing && allow_missing_)) << event.json() << failures[0].error.message;
  }
  void apply(bson::View event) {
    const std::string_view type = event["operationType"].string();
    if (type == "insert" || type == "replace") {
      apply_write(TargetOperation::Kind::upsert, event, event["fullDocument"].document());
    } else if (type == "update") {
      apply_write(TargetOperation::Kind::diff, event, event["rawUpdateDescription"].document());
    } else if (type == "delete") {
      apply_write(TargetOperation::Kind::erase, event, {});
    } else {
      apply_structure(type, event);
    }
  }
  void apply_structure(std::string_view type, bson::View event) {
    const Namespace ns = named(event["ns"]);
    const Uuid uuid(event["collectionUUID"]);
    const bson::View description = event["operationDescription"].as_document();
    if (type == "create") {
      const auto created = target_.create(ns, description);
      ASSERT_TRUE(created) << event.json();
      if (created->is_nil()) views_.insert(ns);
      twins_[uuid] = {ns, *created};
      return;
    }
    if (type == "dropDatabase") {
      for (const Namespace& view : views_) {
        if (view.database == ns.database) drop_view(view);
      }
      return;
    }
    const Twin twin = uuid.is_nil() ? Twin{ns, {}} : twins_.at(uuid);
    ASSERT_EQ(twin.ns, ns) << event.json();
    if (type == "rename") {
      const Uuid dropped(description["dropTarget"]);
      if (!dropped.is_nil()) drop(twins_.at(dropped));
      ASSERT_TRUE(target_.rename(twin, named(event["to"]))) << event.json();
      twins_[uuid].ns = named(event["to"]);
    } else if (type == "drop") {
      uuid.is_nil() ? drop_view(ns) : drop(twin);
    } else if (type == "modify") {
      ASSERT_TRUE(target_.modify(twin, description)) << event.json();
    } else if (type == "createIndexes") {
      for (const bson::Element& index : description["indexes"].document()) {
        ASSERT_TRUE(target_.create_indexes(twin, {{bson::Document(index.value.document())}})[0].status) << event.json();
      }
    } else {
      ASSERT_EQ(type, "dropIndexes");
      for (const bson::Element& index : description["indexes"].document()) {
        ASSERT_TRUE(target_.drop_index(twin, std::string(index.value.document()["name"].string())));
      }
    }
  }

  MemoryTarget& target_;
  std::unique_ptr<ChangeStream> stream_;
  std::map<Uuid, Twin> twins_;
  std::set<Namespace> views_;
  bool allow_missing_ = false;
};

struct Sides {
  explicit Sides(std::uint64_t seed) : random(seed), source_deployment({.seed = seed}) {}

  Random random;
  FaultPlan faults{random, {}};
  MemoryDeployment source_deployment;
  MemoryDeployment target_deployment{{.seed = 99, .keeps_events = false}};
  MemorySource source{source_deployment, faults};
  MemoryTarget target{target_deployment, faults};
};

TEST(Workload, IsRepeatedOnAnotherDeploymentByItsEvents) {
  std::set<std::string> kinds;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Sides sides(seed);
    Workload workload(sides.source_deployment, sides.random,
                      {.mix = {.transactions = 0.1, .structure = 0.15, .databases = 0.1, .compound = 0.3}});
    workload.fill();
    for (int i = 0; i < 300; ++i) workload.step();
    Replay(sides.source, sides.target).run(sides.source_deployment.now());
    ASSERT_EQ(first_difference(take_snapshot(sides.source_deployment), take_snapshot(sides.target_deployment)), "")
        << "seed " << seed;
    const MemoryOplog& oplog = sides.source_deployment.oplog();
    for (const OplogEvent* event = oplog.after({}); event != nullptr; event = oplog.after(event->place)) {
      kinds.emplace(event->event["operationType"].string());
    }
  }
  EXPECT_EQ(kinds.size(), 11U) << "the workload makes every kind of event";
}

// Documents copied at any moment converge when all events are replayed on them.
TEST(Workload, ConvergesOnDocumentsCopiedAtRandomMoments) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Sides sides(seed);
    const Namespace ns{"db0", "c0"};
    const Uuid uuid = sides.source_deployment.create(ns, {}).value();
    const Twin twin{ns, sides.target.create(ns, {}).value()};
    const Position start{sides.source_deployment.append_note(), {}};
    Workload workload(sides.source_deployment, sides.random,
                      {.databases = 1, .collections = 1, .ids = 40, .mix = {.transactions = 0.1, .structure = 0}});
    for (int i = 0; i < 100; ++i) workload.step();
    sides.source.set_interference([&] { workload.step(); });
    const auto reader = sides.source.read_range({"db0", uuid, start.time}, {}, {}).value();
    for (bool more = true; more;) {
      const DocumentBatch batch = reader->next().value();
      ASSERT_TRUE(sides.target.insert(twin, batch.documents));
      more = !batch.exhausted;
    }
    sides.source.set_interference(nullptr);
    Replay replay(sides.source, sides.target, start);
    replay.set_twin(uuid, twin);
    replay.allow_missing();
    replay.run(sides.source_deployment.now());
    ASSERT_EQ(first_difference(take_snapshot(sides.source_deployment), take_snapshot(sides.target_deployment)), "")
        << "seed " << seed;
  }
}

TEST(Workload, ConvertsToCappedAndKeepsGoing) {
  Sides sides(5);
  Workload workload(sides.source_deployment, sides.random,
                    {.mix = {.structure = 0.3, .capped = 0.5, .databases = 0.2}});
  workload.fill();
  int capped = 0;
  for (int i = 0; i < 2000; ++i) {
    workload.step();
    for (const auto& [ns, collection] : sides.source_deployment.collections()) {
      EXPECT_EQ(ns, collection->ns);
      capped += collection->spec().is_capped() ? 1 : 0;
    }
  }
  EXPECT_GT(capped, 100);
}

}  // namespace
}  // namespace plm
