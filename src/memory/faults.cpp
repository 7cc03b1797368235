#include "memory/faults.h"

#include <string>

namespace plm {

namespace {

constexpr int kNotWritablePrimary = 10107;
constexpr int kPrimarySteppedDown = 189;
constexpr int kWriteConcernFailed = 64;

Error network_error() { return {ErrorCode::network, 0, {}, "connection lost"}; }

}  // namespace

Error server_error(int code, std::string message) {
  const auto kind = code == server_code::namespace_not_found ? ErrorCode::not_found : ErrorCode::server;
  return {kind, code, {}, std::move(message)};
}

std::optional<Error> FaultPlan::before() {
  maybe_crash();
  if (!happens(rates_.before)) return std::nullopt;
  return random_.chance(0.5) ? network_error() : server_error(kNotWritablePrimary, "not primary");
}

std::optional<Error> FaultPlan::after() {
  maybe_crash();
  if (!happens(rates_.after)) return std::nullopt;
  return random_.chance(0.25) ? server_error(kWriteConcernFailed, "waiting for replication timed out") : interrupted();
}

Error FaultPlan::interrupted() {
  return random_.chance(0.5) ? network_error() : server_error(kPrimarySteppedDown, "operation was interrupted");
}

std::size_t FaultPlan::writes_done(std::size_t count) {
  if (count == 0 || !happens(rates_.partly)) return count;
  return random_.below(count);
}

void FaultPlan::maybe_crash() {
  if (happens(rates_.crash)) throw SimulatedCrash();
}

}  // namespace plm
