// What a server holds: databases, collections, indexes, counts. The same for
// source and target.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/collection.h"
#include "mongo/connection.h"
#include "seams/source.h"

namespace plm::mongo {

// Halves of time-series collections, which two creations of one name, or one and a
// drop, leave behind. Buckets without their view still stand behind the name:
// whoever has it now loses measurements that are inserted, indexes that are
// created, and whatever else goes by name, to them. A view without its buckets
// takes the name and answers with errors.
enum class LostParts { left_out, listed };

// Any thread; every call borrows its own client.
class CatalogReader {
 public:
  explicit CatalogReader(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

  Result<ServerInfo> info() const;
  Result<std::vector<std::string>> list_databases() const;
  // Without temporary collections and the server's own "system." ones. Of a
  // time-series collection its buckets are listed, not its view. Asks over several
  // connections at a time: each collection's indexes are a question of their own.
  Result<std::vector<CollectionSpec>> list_collections(const std::vector<std::string>& databases, LostParts lost) const;
  // The same, not older than what had been acknowledged before: a listing alone may
  // be (stored_catalog.h). Where a server does not tell what it has stored, or this
  // never agrees with the listing, one that was begun two seconds later.
  Result<std::vector<std::string>> list_stored_databases() const;
  Result<std::vector<CollectionSpec>> list_stored_collections(const std::vector<std::string>& databases) const;
  // The names of lost halves alone.
  Result<std::vector<Namespace>> lost_parts(const std::string& database) const;
  // Errors: not_found.
  Result<CollectionSpec> describe(const std::string& database, const Uuid& uuid) const;
  // The UUID that a name has now; nil for a view. Errors: not_found.
  Result<Uuid> uuid_of(const Namespace& ns) const;
  // Whether the name is that of a view, and not of time-series whose buckets are there.
  Result<bool> is_view(const Namespace& ns) const;
  // Ready ones, without those of _id. Errors: not_found.
  Result<std::vector<IndexSpec>> list_indexes(const std::string& database, const Uuid& uuid) const;

  struct IndexStates {
    std::vector<std::string> ready;
    std::vector<std::string> building;
  };
  Result<IndexStates> index_states(const std::string& database, const Uuid& uuid) const;
  // The names of the indexes of each build that is running.
  Result<std::vector<std::vector<std::string>>> running_builds(const std::string& database, const Uuid& uuid) const;

  Result<CollectionStats> stats(const Namespace& ns) const;
  // Counted along the index of _id, not taken from the metadata, which an
  // unclean shutdown leaves wrong. In steps of bounded time, so not of one
  // instant while the collection is written.
  Result<std::int64_t> count_documents(const Namespace& ns) const;
  Result<std::size_t> natural_order(const Namespace& ns) const;

 private:
  std::shared_ptr<Pool> pool_;
};

}  // namespace plm::mongo
