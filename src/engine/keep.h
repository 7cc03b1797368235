// The events of one range while it is being copied: kept in order; what
// overflows the budget is reduced to the set of its keys, whose documents are
// read from the source again when the range is done, so that a long copy never
// stops the stream. Of a capped collection the set keeps the order of the last
// insertions.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bson/order.h"
#include "engine/operation.h"

namespace plm {

// Bytes kept by all ranges together.
struct KeepBudget {
  std::size_t limit_bytes = 0;
  std::size_t used_bytes = 0;
  [[nodiscard]] bool has_room(std::size_t bytes) const { return used_bytes + bytes <= limit_bytes; }
};

class Keep {
 public:
  explicit Keep(std::shared_ptr<KeepBudget> budget) : budget_(std::move(budget)) {}
  ~Keep() { clear(); }
  Keep(const Keep&) = delete;
  Keep& operator=(const Keep&) = delete;
  Keep(Keep&&) = delete;
  Keep& operator=(Keep&&) = delete;

  // Takes an operation in, as a copy that owns its bytes; once reduced, its key.
  // False: there is no room; nothing was taken. Then some keep has to be reduced
  // or given up (CopyScheduler::keep).
  [[nodiscard]] bool add(const Operation& operation);

  // Everything that was kept, in order; after an overflow one reread for each
  // key, not before `now`. The keep is empty afterwards, its bytes given back.
  [[nodiscard]] std::vector<Operation> release(const std::shared_ptr<const CollectionRef>& collection, ClusterTime now);

  [[nodiscard]] std::size_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] bool reduced() const { return reduced_; }
  // Gives up the operations for the set of their keys.
  void reduce();

 private:
  struct Key {
    bson::OwnedValue id;
    std::size_t hash = 0;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return key.hash; }
  };
  struct KeyEqual {
    bool operator()(const Key& left, const Key& right) const {
      return left.hash == right.hash && bson::compare(left.id.value(), right.id.value()) == 0;
    }
  };
  // By key: the number of its last insertion that moves it to the end; 0 for none.
  using Keys = std::unordered_map<Key, std::uint64_t, KeyHash, KeyEqual>;
  void add_key(const Operation& operation);
  void clear();

  std::shared_ptr<KeepBudget> budget_;
  std::vector<Operation> operations_;
  Keys keys_;
  std::uint64_t insertions_ = 0;
  std::size_t used_bytes_ = 0;
  bool reduced_ = false;
};

}  // namespace plm
