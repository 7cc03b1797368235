// The sessions in which plm writes. They have names that are kept with the lease,
// one for each writer, and the numbers of their retryable writes and transactions begin with the
// epoch of the lease. A server refuses a number that is lower than the newest it
// has seen in a session (225): so whoever has written with a higher one has shut
// out everything that was sent before, by himself or by an owner of the past
// (I6). A session belongs to the user who is logged in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bson/document.h"
#include "model/uuid.h"
#include "mongo/connection.h"
#include "mongo/lease_document.h"
#include "seams/lease.h"

namespace plm::mongo {

// Writer 0 saves the state; the others write data.
using WriterNumber = std::int32_t;
inline constexpr WriterNumber kStateWriter = 0;

// Of the state database: {_id: writer, epoch: of its last use}.
inline constexpr const char* kSessions = "sessions";

// The writers that are known to the state database, this process's and earlier ones'.
Result<std::vector<WriterNumber>> known_writers(Connection& connection);

// A server forgets a session, and its numbers, that nobody used for half an hour.
Status refresh_sessions(Connection& connection, const LeaseKey& key);

// `sessions`: the lease's.
[[nodiscard]] Uuid session_of(const Uuid& sessions, WriterNumber writer);

// One process's use of a session. One thread at a time.
class NamedSession {
 public:
  explicit NamedSession(WriterNumber writer) : writer_(writer) {}

  // The numbers from here on are higher than all of older epochs.
  void begin_epoch(const LeaseKey& key) {
    uuid_ = session_of(key.sessions, writer_);
    epoch_ = key.epoch;
  }
  // A higher number than before: what used a lower one has no effect any more.
  void advance() { ++counter_; }

  // Sends a command as a retryable write of its own.
  Connection::Outcome write(Connection& connection, const std::string& database, bson::Builder& command) {
    advance();
    append_number(command);
    return connection.attempt_in_session(uuid_, database, command.view());
  }
  // Sends a command as a part of the transaction that advance() has begun.
  enum class Place { first, later };
  Result<Reply> run_in_transaction(Connection& connection, const std::string& database, bson::Builder& command,
                                   Place place) const {
    append_number(command);
    command.append("autocommit", false);
    if (place == Place::first) command.append("startTransaction", true);
    return connection.run_in_session(uuid_, database, command.view());
  }

 private:
  static constexpr unsigned kCounterBits = 40;

  void append_number(bson::Builder& command) const { command.append("txnNumber", (epoch_ << kCounterBits) | counter_); }

  WriterNumber writer_;
  Uuid uuid_;
  Epoch epoch_ = 0;
  std::int64_t counter_ = 0;
};

}  // namespace plm::mongo
