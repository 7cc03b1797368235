#include "control/final_approach.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/not_carried.h"

namespace plm {

namespace {

constexpr Millis kRestLimit{15'000};
constexpr Millis kParkedTime{10'000};
constexpr int kMostMoves = 20;
constexpr std::size_t kSampleBytes = 500;
constexpr ClusterTime kNow{0, 1};  // every event lies behind it

}  // namespace

Result<std::string> retry_parked(Engine& engine, StateStore& store) {
  auto job = load_job(store);
  if (!job) return fail(std::move(job.error()));
  std::string sample;
  if (!*job || (*job)->parked.empty()) return sample;
  for (const ParkedDocument& parked : (*job)->parked) {
    if (sample.size() < kSampleBytes) sample += (sample.empty() ? "" : "; ") + parked.text();
  }
  engine.pipeline().router().inbox().post(RetryParked{std::move((*job)->parked)});
  return sample;
}

std::string parked_words(const std::string& parked) {
  return "documents could not be written to the target (finalize with waiveParked goes on without them): " + parked;
}

Result<bool> FinalApproach::step(Engine& engine) {
  if (end_.is_zero()) return move_end(engine);
  const RouterView view = engine.pipeline().router().view();
  if (!view.reached_limit || view.limit != end_ || view.indexes_unfinished > 0) return false;
  if (is_short(engine, view)) return move_end(engine);
  if (is_hindered(engine)) return settle_parked(engine);
  parked_until_.reset();
  if (!engine.pause(kRestLimit)) {
    engine.resume();
    return fail(ErrorCode::network, "the target did not acknowledge what was sent to it");
  }
  // The view was a moment old: what was read meanwhile shows now.
  if (is_short(engine, view) || is_hindered(engine)) {
    engine.resume();
    return false;
  }
  if (auto noted = note_waived(); !noted) return fail(std::move(noted.error()));
  fell_short_ = std::max(view.ahead, engine.pipeline().progress().read_ahead.get()) > end_;
  return true;
}

bool FinalApproach::is_short(const Engine& engine, const RouterView& view) const {
  return moves_ <= kMostMoves && std::max(view.ahead, engine.pipeline().progress().read_ahead.get()) > end_;
}

bool FinalApproach::is_hindered(const Engine& engine) const {
  return engine.pipeline().progress().parked > 0 && !gave_up_parked_;
}

// No event is begun while the source is listed. So all that were begun lie before
// the listing's note, and what is applied in the end is what lies before it.
Result<bool> FinalApproach::move_end(Engine& engine) {
  if (end_.is_zero()) engine.pipeline().router().stop_at(kNow);
  auto listing = list_at_one_time(parts_.source, filter_);
  if (!listing) return fail(listing.error().within("listing the source"));
  auto lost = warnings_about_lost_parts(parts_.source, filter_);
  if (!lost) return fail(lost.error().within("looking for halves of time-series collections"));
  listing_ = *std::move(listing);
  warnings_ = *std::move(lost);
  end_ = listing_.as_of;
  ++moves_;
  engine.pipeline().router().stop_at(end_);
  log::info("finalizing: everything up to this time is applied", {{"clusterTime", end_.text()}});
  return false;
}

Result<bool> FinalApproach::settle_parked(Engine& engine) {
  const SteadyTime now = parts_.clock.steady_now();
  if (!parked_until_) {
    auto parked = retry_parked(engine, parts_.store);
    if (!parked) return fail(std::move(parked.error()));
    parked_ = *std::move(parked);
    parked_until_ = now + kParkedTime;
  }
  if (now < *parked_until_) return false;
  if (options_.waive_parked) {
    gave_up_parked_ = true;
    return false;
  }
  return fail(ErrorCode::wrong_state, parked_words(parked_));
}

// The engine is at rest: what is parked stays so.
Status FinalApproach::note_waived() {
  waived_.clear();
  if (!gave_up_parked_) return {};
  auto job = load_job(parts_.store);
  if (!job) return fail(std::move(job.error()));
  if (*job) waived_ = std::move((*job)->parked);
  return {};
}

}  // namespace plm
