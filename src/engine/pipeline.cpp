#include "engine/pipeline.h"

namespace plm {

namespace {

// How the memory of the process is shared out. The copiers hold a reply and a
// command each (at most 16 MB twice), the appliers a command each; they are not
// in these budgets, which is why the parts do not add up to the whole. A
// budget of one of these is never lent to another: the copy has to go on while
// the events kept for it have used theirs up.
std::size_t event_queue_bytes(std::size_t memory) { return memory / 16; }
std::size_t in_flight_bytes(std::size_t memory) { return memory / 8; }
std::size_t keep_bytes(std::size_t memory) { return memory / 6; }

}  // namespace

Pipeline::Pipeline(Seams seams, const PipelineSettings& settings, SavedJob job, std::uint64_t seed)
    : parking_(seams.store, progress_) {
  progress_.events_read = job.position.events_read;
  progress_.events_applied = job.position.events_applied;
  for (const ParkedDocument& parked : job.parked) parking_.restore(parked);
  const CollectionStats copied = job.catalog.copied();
  progress_.copied_bytes = copied.size_bytes;
  progress_.copied_documents = copied.documents;
  const Position start = job.position.position;
  reader_ = std::make_unique<Reader>(seams.source, seams.clock, progress_, start,
                                     Source::StreamOptions{settings.mode == ApplyMode::exact}, seed);
  std::vector<ApplierQueue*> queues;
  for (std::size_t i = 0; i < settings.appliers; ++i) {
    appliers_.push_back(
        std::make_unique<Applier>(Applier::Parts{seams.source, seams.target, parking_, seams.clock, progress_},
                                  seed + 100 + i, settings.apply_batch_operations));
    queues.push_back(&appliers_.back()->queue());
  }
  router_ = std::make_unique<Router>(
      Router::Parts{seams.source, seams.target, seams.clock, progress_, parking_, preparations_, copies_, index_jobs_},
      Router::Settings{{settings.preparers, settings.copiers, settings.parallel_collections, settings.range_bytes,
                        settings.small_weight, keep_bytes(settings.memory_bytes)},
                       settings.index_builders,
                       in_flight_bytes(settings.memory_bytes),
                       settings.filter},
      std::move(job), std::move(queues), seed + 1);
  for (const auto& applier : appliers_) applier->connect(router_->signal());
  events_ =
      std::make_unique<EventQueue>(reader_->signal(), router_->signal(), event_queue_bytes(settings.memory_bytes));
  reader_->connect(*events_);
  saver_ = std::make_unique<Saver>(seams.store, seams.clock, router_->inbox(), progress_, seed + 2);
  router_->connect(*events_, *saver_);
  for (std::size_t i = 0; i < settings.preparers; ++i) {
    preparers_.push_back(std::make_unique<Preparer>(
        Preparer::Parts{seams.source, seams.target, seams.clock, preparations_, router_->inbox(), progress_},
        seed + 400 + i));
  }
  for (std::size_t i = 0; i < settings.copiers; ++i) {
    copiers_.push_back(std::make_unique<Copier>(
        Copier::Parts{seams.source, seams.target, seams.clock, copies_, router_->inbox(), progress_}, seed + 200 + i,
        settings.batch_bytes));
  }
  for (std::size_t i = 0; i < settings.index_builders; ++i) {
    builders_.push_back(std::make_unique<IndexBuilder>(seams.target, seams.clock, index_jobs_, router_->inbox(),
                                                       progress_, seed + 300 + i));
  }
}

std::vector<Role*> Pipeline::roles() {
  std::vector<Role*> out{reader_.get(), router_.get(), saver_.get()};
  for (const auto& role : appliers_) out.push_back(role.get());
  for (const auto& role : preparers_) out.push_back(role.get());
  for (const auto& role : copiers_) out.push_back(role.get());
  for (const auto& role : builders_) out.push_back(role.get());
  return out;
}

void Pipeline::stop_waiting() {
  for (const auto& builder : builders_) builder->stop();
}

}  // namespace plm
