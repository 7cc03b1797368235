// Commands to a replica set's primary. A Pool is one URI; a Connection is a
// client borrowed from it. Nothing here retries.
#pragma once

#include <mongoc/mongoc.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "bson/document.h"
#include "model/cluster_time.h"
#include "model/uuid.h"
#include "mongo/deposed_primaries.h"
#include "mongo/handles.h"

namespace plm::mongo {

// The bytes of a server's reply, as the driver handed them over.
class Reply {
 public:
  Reply() = default;
  // Takes the bytes out of an initialised bson_t and destroys it.
  explicit Reply(bson_t* reply);

  [[nodiscard]] bson::View view() const { return bytes_ ? bson::View(bytes_.get()) : bson::View(); }
  bson::Value operator[](std::string_view key) const { return view().find(key); }
  [[nodiscard]] ClusterTime operation_time() const;

  // A holder that keeps `reply` alive, in the form that the seams ask for. The
  // document it points to is empty: views go into the reply itself.
  static std::shared_ptr<const bson::Document> keep(Reply reply);

 private:
  BytesHandle bytes_;
};

class Connection;

// Any thread.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // How long a single command may take before the connection counts as broken.
  enum class Patience {
    ordinary,  // 30 s, or the URI's socketTimeoutMS
    an_hour,   // what reads a whole index before it answers
  };

  // Needs no server. Errors: invalid_argument for a bad URI.
  static Result<std::shared_ptr<Pool>> open(const std::string& uri, Patience patience = Patience::ordinary);

  // Errors: network when all clients stay in use for 30 s.
  Result<Connection> connect();

 private:
  friend class Connection;
  explicit Pool(PoolHandle pool) : pool_(std::move(pool)) { deposed_primaries_.watch(pool_.get()); }
  DeposedPrimaries deposed_primaries_;
  PoolHandle pool_;
};

// One thread at a time. Keeps its pool alive.
class Connection {
 public:
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // From here on all commands go to the server that is primary now, with one
  // session of their own: what cursors need.
  Status pin();

  // Sends a command to the primary and waits for its reply. ok:0 and a
  // writeConcernError are errors; writeErrors are the caller's to read.
  Result<Reply> run(const std::string& database, bson::View command);
  // Also gives the reply of a command that the server refused (ok:0), for
  // those that say in it how far they came. Fails when there is no reply.
  struct Outcome {
    Reply reply;
    Status status;
  };
  Outcome attempt(const std::string& database, bson::View command);
  // The same in the session of this name, of which the driver knows nothing.
  // `command` says itself which number it has there.
  Result<Reply> run_in_session(const Uuid& session, const std::string& database, bson::View command);
  Outcome attempt_in_session(const Uuid& session, const std::string& database, bson::View command);

  [[nodiscard]] mongoc_client_t* client() const { return client_; }

 private:
  friend class Pool;
  Connection(std::shared_ptr<Pool> pool, mongoc_client_t* client) : pool_(std::move(pool)), client_(client) {}
  void release();
  Outcome attempt(mongoc_client_session_t* session, const std::string& database, bson::View command);

  std::shared_ptr<Pool> pool_;
  mongoc_client_t* client_ = nullptr;
  SessionHandle session_;
  std::uint32_t server_id_ = 0;
};

// An explicit session without causal consistency: reads say themselves what
// they stand behind.
Result<SessionHandle> start_session(mongoc_client_t* client);

}  // namespace plm::mongo
