#include "engine/watermark.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/planted_bug.h"

namespace plm {

std::uint64_t Watermark::send(std::size_t applier) {
  const std::uint64_t number = ++last_sent_;
  auto& runs = outstanding_[applier];
  // A run spans numbers of other appliers, too: only its ends matter. It is cut
  // at 256 numbers so that acknowledgements free it piece by piece.
  if (!runs.empty() && number - runs.back().first < 256) {
    runs.back().last = number;
  } else {
    runs.push_back({number, number});
  }
  return number;
}

void Watermark::acknowledge(std::size_t applier, std::uint64_t through) {
  auto& runs = outstanding_[applier];
  while (!runs.empty() && runs.front().last <= through) runs.pop_front();
  if (!runs.empty() && runs.front().first <= through) runs.front().first = through + 1;
}

void Watermark::pass(Position position, ClusterTime complete) {
  if (!checkpoints_.empty() && checkpoints_.back().sent == last_sent_) {
    checkpoints_.back() = {last_sent_, std::move(position), complete};
  } else {
    checkpoints_.push_back({last_sent_, std::move(position), complete});
  }
}

std::uint64_t Watermark::low() const {
  std::uint64_t low = last_sent_;
  for (const auto& runs : outstanding_) {
    if (!runs.empty()) low = std::min(low, runs.front().first - 1);
  }
  return low;
}

const Checkpoint& Watermark::safe() {
  const std::uint64_t acknowledged = planted_bug("position-too-early") ? last_sent_ : low();
  while (!checkpoints_.empty() && checkpoints_.front().sent <= acknowledged) {
    CHECK(checkpoints_.front().position.time >= safe_.position.time);
    safe_ = std::move(checkpoints_.front());
    checkpoints_.pop_front();
  }
  return safe_;
}

}  // namespace plm
