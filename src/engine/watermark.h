// How far the target has acknowledged what was sent: the source of every
// position that is saved or reported (invariants I3 and I8).
//
// Every operation sent to an applier has a sequence number, counted from 1 in
// the order of sending. An applier acknowledges in its own order, in steps:
// "everything of mine up to n". A checkpoint says: "the stream was processed up
// to this position when n operations had been sent". The position is safe as
// soon as all operations up to n are acknowledged; operations that were kept
// for a range get their numbers when they are sent, later, and until then the
// range itself, not saved as copied, answers for them.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "model/cluster_time.h"

namespace plm {

struct Checkpoint {
  std::uint64_t sent = 0;
  Position position;
  // The newest time of which everything is included: in the middle of a
  // transaction one tick less than the position's own.
  ClusterTime complete;
};

class Watermark {
 public:
  Watermark(std::size_t appliers, Checkpoint start) : outstanding_(appliers), safe_(std::move(start)) {}

  // The next sequence number, given to an operation for this applier.
  std::uint64_t send(std::size_t applier);
  // The applier has acknowledged everything of its own up to `through`.
  void acknowledge(std::size_t applier, std::uint64_t through);
  // The stream was processed up to here.
  void pass(Position position, ClusterTime complete);

  [[nodiscard]] std::uint64_t last_sent() const { return last_sent_; }
  // Everything up to this number is acknowledged.
  [[nodiscard]] std::uint64_t low() const;
  [[nodiscard]] bool idle() const { return low() == last_sent_; }
  // The newest safe checkpoint.
  const Checkpoint& safe();

 private:
  struct Run {  // consecutive numbers of one applier
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };
  std::uint64_t last_sent_ = 0;
  std::vector<std::deque<Run>> outstanding_;
  std::deque<Checkpoint> checkpoints_;
  Checkpoint safe_;
};

}  // namespace plm
