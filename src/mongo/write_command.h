// The parts that all write commands share.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "bson/document.h"
#include "model/collection.h"
#include "model/namespace.h"
#include "mongo/connection.h"
#include "seams/target.h"

namespace plm::mongo {

class DataConnection;

inline const std::string& state_database() {
  static const std::string name(kStateDatabase);
  return name;
}

// Bounded below the socket's time limit, so that a lagging majority is told
// apart from a dead server.
inline void append_majority_write(bson::Builder& command) {
  auto concern = command.document("writeConcern");
  concern->append("w", "majority").append("wtimeout", 20'000);
}

// For what something later of the same term waits for (mongo/term.h).
inline void append_primary_write(bson::Builder& command) {
  auto concern = command.document("writeConcern");
  concern->append("w", 1);
}

// Neighbouring operations of one call that go to the server in one way.
struct OperationRun {
  std::span<const TargetOperation> operations;
  std::size_t first_position = 0;  // in the call
  bool is_last = true;             // nothing is sent behind it
};

// Returns once everything that the server has written so far is acknowledged
// by a majority: a write that changes nothing waits for just that.
// Returns the server's time behind it.
Result<ClusterTime> wait_for_majority(Connection& connection);

[[nodiscard]] bool has_dollar_field(bson::View document);

// What an `update` makes of a whole document that is to be stored: a replacement,
// or a pipeline where that would not leave it as it is.
void append_replacement(bson::Builder& statement, bson::View document);

// Deletes by key and inserts again: for replacements that the server refuses
// because the stored _id is equal but not identical (collations, 66 and 13596).
Status erase_and_insert(DataConnection& connection, const Twin& twin, const bson::Value& id, bson::View document);

// The error of the first element of writeErrors, or nothing.
Status first_write_error(bson::View reply);

[[nodiscard]] inline OperationFailure rejected(std::size_t index, Error error) {
  return {index, OperationFailure::Kind::rejected, std::move(error)};
}
[[nodiscard]] inline OperationFailure missing(std::size_t index) {
  return {index, OperationFailure::Kind::missing, {}};
}

}  // namespace plm::mongo
