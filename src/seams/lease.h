// The lease: which of several processes works on a target (I6). It lives in the
// saved state, see seams/state_store.h; control/lease_keeper.h decides who may
// take it. Times of different machines are never compared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace plm {

// Grows with each taking of the lease; 0: nobody ever had it.
using Epoch = std::int64_t;

// One life of a process.
struct LeaseOwner {
  std::string id;       // random, of this process alone
  std::string host;     // for people
  std::string machine;  // where `pid` means something; empty: not known
  std::int64_t pid = 0;
  std::int64_t started = 0;  // of the process, since the machine's start; tells apart who had the number before

  [[nodiscard]] std::string name() const { return host + " (process " + std::to_string(pid) + ")"; }
};

// The lease as it is at one moment.
struct LeaseSight {
  Epoch epoch = 0;
  std::optional<LeaseOwner> owner;  // none: it is free
  std::int64_t renewals = 0;        // its owner lives while this, or `epoch`, changes
};

}  // namespace plm
