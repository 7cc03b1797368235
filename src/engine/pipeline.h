// All roles of one running job, wired together, without threads:
//
//   Reader ─► EventQueue ─► Router ─► ApplierQueue ─► Applier 1..K
//                             │ ├───► JobQueue ─────► Preparer 1..P, Copier 1..M, IndexBuilder 1..N
//                             │ └───► Saver
//                             └◄──── Mailbox (prepared, range ended, indexes built, saved)
#pragma once

#include <memory>
#include <vector>

#include "engine/applier.h"
#include "engine/copier.h"
#include "engine/index_builder.h"
#include "engine/parking.h"
#include "engine/preparer.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/saver.h"
#include "seams/state_store.h"

namespace plm {

struct PipelineSettings {
  Filter filter;
  ApplyMode mode = ApplyMode::exact;
  std::size_t preparers = 16;
  std::size_t copiers = 4;
  std::size_t appliers = 4;
  std::size_t index_builders = 2;
  std::size_t parallel_collections = 0;
  std::int64_t range_bytes = 64'000'000;
  std::int64_t small_weight = 1'000'000;
  std::int64_t batch_bytes = 0;            // of a read while copying; 0: the source's choice
  std::size_t apply_batch_operations = 0;  // 0: as many as are written in about two seconds
  std::size_t memory_bytes = 512U << 20U;  // for the whole process
};

class Pipeline {
 public:
  struct Seams {  // all outlive the pipeline
    Source& source;
    Target& target;
    StateStore& store;
    Clock& clock;
  };
  Pipeline(Seams seams, const PipelineSettings& settings, SavedJob job, std::uint64_t seed);

  // Any thread: no role waits for an index build any more.
  void stop_waiting();
  // Every role, for whoever drives them.
  [[nodiscard]] std::vector<Role*> roles();
  [[nodiscard]] Router& router() { return *router_; }
  [[nodiscard]] const Router& router() const { return *router_; }
  [[nodiscard]] Progress& progress() { return progress_; }
  [[nodiscard]] const Progress& progress() const { return progress_; }

 private:
  // In the order of construction; what is used later outlives its users.
  Progress progress_;
  Parking parking_;
  JobQueue<PrepareJob> preparations_;
  JobQueue<CopyJob> copies_;
  JobQueue<IndexJob> index_jobs_;
  std::unique_ptr<Reader> reader_;
  std::vector<std::unique_ptr<Applier>> appliers_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<EventQueue> events_;
  std::unique_ptr<Saver> saver_;
  std::vector<std::unique_ptr<Preparer>> preparers_;
  std::vector<std::unique_ptr<Copier>> copiers_;
  std::vector<std::unique_ptr<IndexBuilder>> builders_;
};

}  // namespace plm
