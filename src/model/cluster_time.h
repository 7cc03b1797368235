// Cluster time and positions in a source's history.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "bson/document.h"

namespace plm {

// A timestamp of the source's oplog: seconds since 1970 and a counter within
// the second. Totally ordered.
struct ClusterTime {
  std::uint32_t seconds = 0;
  std::uint32_t increment = 0;

  static ClusterTime from_packed(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed >> 32U), static_cast<std::uint32_t>(packed)};
  }
  [[nodiscard]] std::uint64_t packed() const { return (std::uint64_t{seconds} << 32U) | increment; }
  [[nodiscard]] bool is_zero() const { return packed() == 0; }
  // The largest time below this one; zero stays zero.
  [[nodiscard]] ClusterTime previous() const { return from_packed(packed() == 0 ? 0 : packed() - 1); }
  // "1764000000.3", the form of the API.
  [[nodiscard]] std::string text() const { return std::to_string(seconds) + "." + std::to_string(increment); }

  auto operator<=>(const ClusterTime&) const = default;
};

// Where a change stream can go on: behind everything up to `time`. With no
// token the stream starts at `time` itself (startAtOperationTime, inclusive).
struct Position {
  ClusterTime time;
  bson::Document resume_token;  // empty: none

  [[nodiscard]] bool has_token() const { return !resume_token.empty(); }
};

}  // namespace plm
