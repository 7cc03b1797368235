// The target replica set through the C driver.
#pragma once

#include <memory>
#include <string>

#include "seams/target.h"

namespace plm {

class MongoTarget final : public Target {
 public:
  // Needs no server: only the URI is read. Errors: invalid_argument.
  static Result<std::unique_ptr<MongoTarget>> connect(const std::string& uri);
  ~MongoTarget() override;
  MongoTarget(const MongoTarget&) = delete;
  MongoTarget& operator=(const MongoTarget&) = delete;
  MongoTarget(MongoTarget&&) = delete;
  MongoTarget& operator=(MongoTarget&&) = delete;

  // From here on changes are applied this way, whatever probes find. Without it:
  // as the last probe found; exact before the first.
  void force_mode(ApplyMode mode);

  Status take_over(Epoch epoch) override;
  Result<ServerInfo> info() override;
  Status check_privileges() override;
  Result<ApplyMode> probe_apply_mode() override;

  Result<std::vector<std::string>> list_databases() override;
  Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases) override;
  Result<std::int64_t> count_documents(const Namespace& ns) override;
  Result<std::size_t> natural_order(const Namespace& ns) override;

  Result<Uuid> create(const Namespace& ns, bson::View options) override;
  Status drop(const Twin& twin) override;
  Status drop_view(const Namespace& ns) override;
  Status rename(const Twin& from, const Namespace& to) override;
  Status modify(const Twin& twin, bson::View change) override;
  std::vector<IndexResult> create_indexes(const Twin& twin, const std::vector<IndexSpec>& indexes,
                                          const Cancelled& cancelled = {}) override;
  Status drop_index(const Twin& twin, const std::string& name) override;
  Result<int> processors() override;
  Status abort_builds(const Twin& twin) override;
  Result<std::vector<IndexSpec>> list_indexes(const Twin& twin) override;

  Result<std::unique_ptr<RangeReader>> read_range(const Twin& twin, const KeyBounds& bounds,
                                                  std::int64_t batch_bytes) override;
  Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents,
                                               InsertFence fence = InsertFence::number) override;
  Result<std::vector<OperationFailure>> apply(std::span<const TargetOperation> operations) override;
  Status clear_range(const Twin& twin, const KeyBounds& bounds) override;

 private:
  struct Parts;
  explicit MongoTarget(std::unique_ptr<Parts> parts);
  Status drop_stored_functions(const Twin& twin);
  Result<std::vector<OperationFailure>> insert_by_number(const Twin& twin, bson::View documents);
  std::unique_ptr<Parts> parts_;
};

}  // namespace plm
