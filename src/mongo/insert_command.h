// Bulk insertion of an array of documents, as one or a few insert commands.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mongo/connection.h"
#include "seams/target.h"

namespace plm::mongo {

struct InsertOutcome {
  // Positions, in ascending order, of what was not stored as it is: documents whose
  // _id exists already, and those with a timestamp that the server changes.
  std::vector<std::size_t> not_stored;
  std::vector<OperationFailure> failures;  // refused for another reason, by position
};

// Sends one command to a database, waiting for a majority behind the last one at the latest.
enum class InsertPlace { before_others, last };
using SendInsert = std::function<Result<Reply>(const std::string& database, bson::Builder& command, InsertPlace place)>;

// Both unordered: what fails does not stop the others. Errors: those of a whole
// command, and server code 361 when the collection is not the one that is meant.
Result<InsertOutcome> insert_documents(const SendInsert& send, const Twin& twin, bson::View documents);
// All of one collection.
Result<InsertOutcome> insert_documents(const SendInsert& send, std::span<const TargetOperation> operations);

// An operation of this kind for each document of an array.
[[nodiscard]] std::vector<TargetOperation> operations_of(TargetOperation::Kind kind, const Twin& twin,
                                                         bson::View documents);

}  // namespace plm::mongo
