// The Router's side of the way to the appliers: who gets what, how much may be
// under way, and what is acknowledged.
#pragma once

#include <deque>
#include <vector>

#include "engine/applier_queue.h"
#include "engine/operation.h"
#include "engine/watermark.h"

namespace plm {

// One thread, the Router's.
class Sender {
 public:
  Sender(std::vector<ApplierQueue*> appliers, Checkpoint start, std::size_t in_flight_limit_bytes);

  // Hands an operation to the applier of its key; a strictly ordered collection
  // has one applier for all of it. It goes out with the next flush().
  void send(Operation operation);
  void flush();
  // The stream was processed up to here; see Watermark.
  void pass(Position position, ClusterTime complete) { watermark_.pass(std::move(position), complete); }

  // Replies of the stream stay in memory while any operation of theirs is under
  // way; their bytes count from begin_batch() until everything sent before
  // end_batch() is acknowledged.
  void begin_batch(std::size_t bytes) { in_flight_bytes_ += bytes; }
  void end_batch(std::size_t bytes) { batches_.push_back({watermark_.last_sent(), bytes}); }
  [[nodiscard]] bool has_room() const { return in_flight_bytes_ < in_flight_limit_bytes_; }

  // Takes in what the appliers have acknowledged. True when anything moved.
  bool poll();
  [[nodiscard]] std::uint64_t last_sent() const { return watermark_.last_sent(); }
  [[nodiscard]] std::uint64_t low() const { return low_; }
  [[nodiscard]] bool idle() const { return low_ == watermark_.last_sent(); }
  const Checkpoint& safe() { return watermark_.safe(); }

 private:
  struct Batch {
    std::uint64_t last_sent = 0;
    std::size_t bytes = 0;
  };
  std::vector<ApplierQueue*> appliers_;
  std::vector<std::vector<Operation>> outgoing_;
  Watermark watermark_;
  std::uint64_t low_ = 0;
  std::deque<Batch> batches_;
  std::size_t in_flight_bytes_ = 0;
  std::size_t in_flight_limit_bytes_;
};

}  // namespace plm
