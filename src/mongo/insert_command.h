// Bulk insertion of an array of documents, as one or a few insert commands.
#pragma once

#include <cstddef>
#include <cstdint>
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

// Of an insert command: at most so many documents, and so large an array of several.
// A server that finds every document of a command a duplicate answers with an error
// for each, key included; a reply beyond 16 MB makes it drop the connection. So a
// command stays well below what the server would take.
inline constexpr std::int64_t kMaxInsertDocuments = 20'000;
inline constexpr std::size_t kMaxInsertBytes = 8U << 20U;

// Sends one command to a database, waiting for a majority.
using SendInsert = std::function<Result<Reply>(const std::string& database, bson::Builder& command)>;

// Unordered: what fails does not stop the others. Errors: those of the whole
// command, and server code 361 when the collection is not the one that is meant.
Result<InsertOutcome> insert_documents(const SendInsert& send, const Twin& twin, bson::View documents);

// Positions, in ascending order, of what an insert did not store as it is: documents
// that exist already, and those with a timestamp that the server changes.
[[nodiscard]] std::vector<std::size_t> not_stored(InsertOutcome& outcome, bson::View documents);

}  // namespace plm::mongo
