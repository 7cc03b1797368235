// Commands that change the target's structure: create, drop, rename, collMod,
// dropIndexes. A server takes neither a number nor a fence with them. So the lease
// is confirmed before each; and while the outcome of one is unknown, no other is
// sent before the server works on it no more. One that has not even reached the
// server by then may still land late (docs/design/fencing.md).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "bson/document.h"
#include "mongo/connection.h"
#include "mongo/writers.h"

namespace plm::mongo {

// Any thread.
class StructureCommands {
 public:
  StructureCommands(Pool& pool, Writers& writers) : pool_(pool), writers_(writers) {}

  // Waits for a majority. Errors: superseded, and those of the server; after one of
  // the network the outcome is unknown.
  Status run(const std::string& database, bson::Builder& command);
  // For what may take longer than a command may, as long as `patient` allows: not
  // waited for by the next; the caller waits for its end by other means.
  Status run_long(Pool& patient, const std::string& database, bson::Builder& command);

 private:
  Result<std::string> settled_comment();

  Pool& pool_;
  Writers& writers_;
  std::mutex mutex_;
  std::int64_t generation_ = 0;  // of the comments; the next one when an outcome is unknown
  bool unsettled_ = false;       // some of this generation are of unknown outcome
};

}  // namespace plm::mongo
