// The Router: one thread that reads the stream in order and decides what each
// event means for the target. It owns the catalog, so it is also the one that
// hands out ranges, index builds and saves, and that carries out DDL.
//
// A document's event, by the range that its _id lies in:
//   pending      dropped: the copy will read at afterClusterTime >= the position
//                at which the Router starts the range (I1)
//   copying      kept, in order, until the range is copied; then sent
//   confirming,
//   copied       sent to the applier of hash(_id); per key the order holds (I2)
//
// Why nothing is lost between copy and stream:
//   1. The Router starts a range at its position p. Every read of the copy sees
//      all writes up to p; events up to p were dropped.
//   2. Every event of the range behind p is kept, or sent after the copy's last
//      insert was acknowledged. So it reaches the target after the copy did.
//   3. The copy may have read documents newer than p; replaying the events in
//      between over them ends in the same documents (I5).
//   4. The range is saved as copied only when its kept events are acknowledged
//      (I4); until then a restart clears it and copies it again.
//   5. A saved position is a checkpoint of the Watermark, taken before the range
//      states of the same save (I3).
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/mailbox.h"
#include "engine/catalog.h"
#include "engine/copy_scheduler.h"
#include "engine/event_queue.h"
#include "engine/index_scheduler.h"
#include "engine/job_saves.h"
#include "engine/messages.h"
#include "engine/parking.h"
#include "engine/progress.h"
#include "engine/role.h"
#include "engine/saved_job.h"
#include "engine/saver.h"
#include "engine/schema_changer.h"
#include "engine/sender.h"
#include "model/filter.h"
#include "seams/source.h"
#include "seams/target.h"

namespace plm {

// What the outside sees of the Router; refreshed several times a second.
struct RouterView {
  ClusterTime replicated;  // everything up to here is acknowledged (I8)
  Position safe_position;
  bool clone_completed = false;
  bool sync_completed = false;
  bool reached_limit = false;  // see Router::stop_at
  ClusterTime limit;           // that this view speaks of; zero: none
  // Until the stream has passed this, the target may hold documents newer than
  // the stream's position: read from the source anew, or written before a crash.
  ClusterTime ahead;
  bool paused = false;        // see Router::pause
  bool stream_waits = false;  // an event is held up: by room, or by a DDL
  std::int64_t collections_total = 0;
  std::int64_t collections_copied = 0;
  std::vector<std::string> copying;
  std::int64_t estimated_bytes = 0;
  std::int64_t indexes_total = 0;
  std::int64_t indexes_built = 0;
  std::int64_t indexes_unfinished = 0;  // waiting or building
  std::vector<std::string> building;
  std::vector<std::string> failed_indexes;  // some of them, with the reasons
  std::vector<std::string> warnings;
};

class Router final : public Role {
 public:
  struct Parts {  // all outlive the Router
    Source& source;
    Target& target;
    Clock& clock;
    Progress& progress;
    Parking& parking;
    JobQueue<PrepareJob>& preparations;
    JobQueue<CopyJob>& copies;
    JobQueue<IndexJob>& index_jobs;
  };
  struct Settings {
    CopyScheduler::Settings copying;
    std::size_t index_workers = 2;
    std::size_t in_flight_bytes = 0;
    Filter filter;
  };
  Router(Parts parts, Settings settings, SavedJob job, std::vector<ApplierQueue*> appliers, std::uint64_t seed);
  // Before the first step; both outlive the Router.
  void connect(EventQueue& input, Saver& saver) { input_ = &input, saves_.connect(saver); }

  Result<Step> step() override;
  [[nodiscard]] Mailbox<RouterMessage>& inbox() { return inbox_; }

  // ---- Any thread ----
  [[nodiscard]] RouterView view() const;
  // Nothing newer than `limit` is processed; view().reached_limit says when
  // everything up to view().limit is applied. A later call may move the limit
  // on: it has to when view().ahead is beyond it.
  void stop_at(ClusterTime limit) { limit_.store(limit.packed()), signal().raise(); }
  // No event is processed and no job handed out any more; when everything sent
  // is acknowledged and saved, view().paused is true. Ranges keep their place.
  void pause() { pause_.store(true), signal().raise(); }
  void resume() { pause_.store(false), signal().raise(); }

  // ---- After the Router's thread has ended ----
  [[nodiscard]] Catalog& catalog() { return catalog_; }

 private:
  Result<bool> receive();
  Status on(const Prepared& message);
  Status on(const RangeEnded& message);
  Status on(const Rejected& message);
  Status on(const IndexesBuilt& message);
  Status on(const Saved& message);
  Status on(const RetryParked& message);
  Status on(const RetryIndexes& message);

  Result<bool> create_startup_views();
  Result<bool> route();
  void event_done(const ChangeEvent& event);
  void checkpoint();
  [[nodiscard]] bool next_batch();
  void finish_batch();
  [[nodiscard]] bool at_limit(ClusterTime time) const { return limit_.load() != 0 && time.packed() > limit_.load(); }
  void route_document(const ChangeEvent& event);
  [[nodiscard]] ClusterTime listed_at(std::string_view database) const;

  bool hand_out_work();
  bool come_to_rest();
  void publish();
  void warn(const std::string& text);

  Parts parts_;
  Settings settings_;
  Catalog catalog_;
  Sender sender_;
  CopyScheduler copying_;
  IndexScheduler indexing_;
  JobSaves saves_;
  SchemaChanger changer_;
  bool event_is_changers_ = false;  // that at next_event_
  Mailbox<RouterMessage> inbox_;
  EventQueue* input_ = nullptr;
  Backoff backoff_;  // of what the Router itself asks of the servers

  // The stream.
  std::optional<EventBatch> batch_;
  std::size_t next_event_ = 0;
  std::size_t since_checkpoint_ = 0;
  ClusterTime time_;  // of the last event processed, or of the end of a batch
  std::vector<Namespace> startup_views_;

  std::uint64_t pause_save_ = 0;  // the save that pausing ends with; 0: not paused
  std::atomic<std::uint64_t> limit_{0};
  std::atomic<bool> pause_{false};
  SteadyTime next_publish_{};
  std::vector<std::string> warnings_;
  mutable std::mutex view_mutex_;
  RouterView view_;
};

}  // namespace plm
