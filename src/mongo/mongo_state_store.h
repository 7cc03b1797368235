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
  // One transaction, whose first statement touches the lease.
  Status save(std::span<const StoreChange> changes) override;
  Status clear() override;

  Result<LeaseSight> look_at_lease() override;
  Result<Epoch> take_lease(const LeaseOwner& owner, Epoch seen) override;
  Status renew_lease() override;
  Status release_lease() override;

 private:
  Status save_under_lease(std::span<const bson::Document> statements);

  struct Parts;
  explicit MongoStateStore(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace plm
