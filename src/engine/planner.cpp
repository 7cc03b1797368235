#include "engine/planner.h"

#include <algorithm>

#include "bson/order.h"

namespace plm {

namespace {

constexpr std::int64_t kMostRanges = 100'000;
// A document costs the servers about as much as so many bytes do (measured:
// cut by bytes alone, a collection of 50-byte documents was the one long range
// that everybody waited for).
constexpr std::int64_t kBytesPerDocument = 500;

}  // namespace

std::int64_t weight_of(const CollectionStats& stats) { return stats.size_bytes + stats.documents * kBytesPerDocument; }

int bounds_wanted(const CollectionSpec& spec, const CollectionStats& stats, std::int64_t range_bytes) {
  if (spec.is_strictly_ordered()) return 0;
  const std::int64_t ranges = std::min(weight_of(stats) / range_bytes, kMostRanges);
  return static_cast<int>(std::max<std::int64_t>(ranges, 0));
}

std::vector<KeyBounds> cut(std::vector<bson::OwnedValue> bounds) {
  std::erase_if(bounds, [](const bson::OwnedValue& bound) {
    return bound.value().type() == BSON_TYPE_MINKEY || bound.value().type() == BSON_TYPE_MAXKEY;
  });
  std::ranges::sort(bounds, [](const bson::OwnedValue& left, const bson::OwnedValue& right) {
    return bson::compare(left.value(), right.value()) < 0;
  });
  const auto repeated = std::ranges::unique(bounds, [](const bson::OwnedValue& left, const bson::OwnedValue& right) {
    return bson::compare(left.value(), right.value()) == 0;
  });
  bounds.erase(repeated.begin(), repeated.end());

  std::vector<KeyBounds> out(1);
  for (bson::OwnedValue& bound : bounds) {
    out.back().max = bound;
    out.push_back({std::move(bound), {}});
  }
  return out;
}

}  // namespace plm
