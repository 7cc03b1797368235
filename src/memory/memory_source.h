// The source of a simulated run: seams/source.h over a MemoryDeployment. Unlike
// the seam it stands for, it may be used by one thread only.
//
// - A reader sees each document as it is when its turn comes, as a cursor does
//   that yields; never a snapshot. It dies with 175 when its collection has been
//   renamed or dropped (by then the UUID may still be good for a new one), and
//   with 136 when a capped collection has lost the document it stood on.
// - read_range and read_documents fail with not_found when the UUID is gone, and
//   with 50 when asked to wait for a time that has not come.
// - Streams return a few events at a time; a reply may end in the middle of a
//   transaction. open_stream fails with 286 when the oplog no longer reaches back
//   that far.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "memory/deployment.h"
#include "memory/faults.h"
#include "seams/source.h"

namespace plm {

class MemorySource : public Source {
 public:
  struct Options {
    std::int32_t batch_documents = 3;  // of a reader that asks for no other number
    std::int32_t batch_events = 4;     // at most, in one reply of a stream
  };
  // Both outlive the source and what it returns.
  MemorySource(MemoryDeployment& deployment, FaultPlan& faults) : MemorySource(deployment, faults, Options()) {}
  MemorySource(MemoryDeployment& deployment, FaultPlan& faults, Options options)
      : deployment_(deployment), faults_(faults), options_(options) {}

  // Called before each call takes effect and between the documents of a batch:
  // here the workload of a test writes while the engine reads.
  void set_interference(std::function<void()> interference) { interference_ = std::move(interference); }

  Result<ServerInfo> info() override;
  Status check_privileges() override;
  Result<ClusterTime> append_note(const std::string& text) override;
  Result<OplogWindow> oplog_window() override;
  Result<std::vector<std::string>> list_databases() override;
  Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases) override;
  Result<CollectionSpec> describe(const std::string& database, const Uuid& uuid) override;
  Result<std::vector<std::string>> not_carried() override { return std::vector<std::string>(); }
  Result<std::vector<Namespace>> lost_parts(const std::string& /*database*/) override {
    return std::vector<Namespace>();
  }
  Result<CollectionStats> stats(const Namespace& ns) override;
  Result<std::vector<bson::OwnedValue>> sample_ids(const Namespace& ns, int count) override;
  Result<std::int64_t> count_documents(const Namespace& ns) override;
  Result<std::size_t> natural_order(const Namespace& ns) override;
  Result<std::unique_ptr<RangeReader>> read_range(const SourceRead& read, const KeyBounds& bounds,
                                                  const RangeOptions& options) override;
  Result<ReadDocuments> read_documents(const SourceRead& read, const std::vector<bson::OwnedValue>& ids) override;
  Result<std::unique_ptr<ChangeStream>> open_stream(const Position& from, const StreamOptions& options) override;

  void interfere() {
    if (interference_) interference_();
  }

 private:
  template <typename Effect>
  auto call(Effect&& effect) {
    interfere();
    return faults_.call(std::forward<Effect>(effect));
  }
  Result<MemoryCollection*> find(const SourceRead& read);

  MemoryDeployment& deployment_;
  FaultPlan& faults_;
  Options options_;
  std::function<void()> interference_;
};

// What list_databases, list_collections, natural_order and info answer on both sides.
[[nodiscard]] std::vector<std::string> database_names(const MemoryDeployment& deployment);
[[nodiscard]] std::vector<CollectionSpec> collection_specs(const MemoryDeployment& deployment,
                                                           const std::string& database);
[[nodiscard]] std::size_t natural_order_of(const MemoryCollection* collection);
[[nodiscard]] ServerInfo server_info(const MemoryDeployment& deployment);

}  // namespace plm
