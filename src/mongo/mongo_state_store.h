// The saved state as collections of the state database on the target.
#pragma once

#include <memory>
#include <string>

#include "seams/state_store.h"

namespace plm {

// Any thread.
class MongoStateStore final : public StateStore {
 public:
  // Needs no server: only the URI is read. Errors: invalid_argument.
  static Result<std::unique_ptr<MongoStateStore>> connect(const std::string& uri);
  ~MongoStateStore() override;
  MongoStateStore(const MongoStateStore&) = delete;
  MongoStateStore& operator=(const MongoStateStore&) = delete;
  MongoStateStore(MongoStateStore&&) = delete;
  MongoStateStore& operator=(MongoStateStore&&) = delete;

  Result<std::vector<bson::Document>> load(const std::string& set) override;
  Status save(std::span<const StoreChange> changes) override;
  // Drops the collections one by one: the right to drop a whole database is not
  // among those that the documented roles grant.
  Status clear() override;

 private:
  struct Parts;
  explicit MongoStateStore(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace plm
