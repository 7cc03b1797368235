// The source replica set through the C driver.
#pragma once

#include <memory>
#include <string>

#include "seams/source.h"

namespace plm {

class MongoSource final : public Source {
 public:
  // Needs no server: only the URI is read. Errors: invalid_argument.
  static Result<std::unique_ptr<MongoSource>> connect(const std::string& uri);
  ~MongoSource() override;
  MongoSource(const MongoSource&) = delete;
  MongoSource& operator=(const MongoSource&) = delete;
  MongoSource(MongoSource&&) = delete;
  MongoSource& operator=(MongoSource&&) = delete;

  Result<ServerInfo> info() override;
  Status check_privileges() override;
  Result<ClusterTime> append_note(const std::string& text) override;
  Result<OplogWindow> oplog_window() override;

  Result<std::vector<std::string>> list_databases() override;
  Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases) override;
  Result<CollectionSpec> describe(const std::string& database, const Uuid& uuid) override;
  Result<std::vector<std::string>> not_carried() override;
  Result<std::vector<Namespace>> lost_parts(const std::string& database) override;

  Result<CollectionStats> stats(const Namespace& ns) override;
  Result<std::vector<bson::OwnedValue>> sample_ids(const Namespace& ns, int count) override;
  Result<std::int64_t> count_documents(const Namespace& ns) override;
  Result<std::size_t> natural_order(const Namespace& ns) override;

  Result<std::unique_ptr<RangeReader>> read_range(const SourceRead& read, const KeyBounds& bounds,
                                                  const RangeOptions& options) override;
  Result<ReadDocuments> read_documents(const SourceRead& read, const std::vector<bson::OwnedValue>& ids) override;
  Result<std::unique_ptr<ChangeStream>> open_stream(const Position& from, const StreamOptions& options) override;

 private:
  struct Parts;
  explicit MongoSource(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace plm
