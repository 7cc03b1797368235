// Bulk insertion of an array of documents, as one or a few insert commands.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "mongo/connection.h"
#include "seams/target.h"

namespace plm::mongo {

struct InsertOutcome {
  std::vector<std::size_t> duplicates;     // positions of documents whose _id exists already
  std::vector<OperationFailure> failures;  // refused for another reason, by position
};

// Sends one command to a database.
using SendInsert = std::function<Result<Reply>(const std::string& database, bson::Builder& command)>;

// Unordered: what fails does not stop the others. Errors: those of the whole
// command, and server code 361 when the collection is not the one that is meant.
Result<InsertOutcome> insert_documents(const SendInsert& send, const Twin& twin, bson::View documents);

}  // namespace plm::mongo
