#include "control/standstill.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/log.h"

namespace plm {

namespace {

constexpr Millis kTroubleLasts{60'000};  // without another failure; the longest call takes less

long long whole_seconds(SteadyTime::duration time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

}  // namespace

void Standstill::failed(const std::string& reason, SteadyTime now) {
  if (!trouble_ || now - trouble_->latest > kTroubleLasts) trouble_ = {now, now, {}};
  trouble_->latest = now;
  trouble_->reason = reason;
}

std::string Standstill::tried_in_vain(SteadyTime now) {
  if (trouble_ && now - trouble_->latest > kTroubleLasts) trouble_.reset();
  if (!trouble_ || now - trouble_->since < kStallAfter) return {};
  return fmt::format("nothing has moved for {} s though there is work; last failure: {}",
                     whole_seconds(now - trouble_->since), trouble_->reason);
}

std::string Standstill::nothing_moves(const EngineSeen& engine, SteadyTime now) {
  const auto stall = detector_.look(engine.work, now);
  if (!stall) return {};
  return fmt::format("nothing has moved in {} for {} s though there is work{}{}", stall->what,
                     whole_seconds(stall->lasting),
                     engine.last_failure.empty() ? "" : "; last failure: ", engine.last_failure);
}

const std::string& Standstill::look(const std::optional<EngineSeen>& engine, SteadyTime now) {
  std::string text;
  if (engine) text = nothing_moves(*engine, now);
  if (std::string vain = tried_in_vain(now); !vain.empty()) text = std::move(vain);
  if (told_.empty() && !text.empty()) log::error("the job stands still", {{"reason", text}});
  told_ = std::move(text);
  return told_;
}

}  // namespace plm
