// What finalize has to tell: what the target does not have as the source does.
#pragma once

#include <string>
#include <vector>

#include "bson/document.h"
#include "model/namespace.h"

namespace plm {

// An index of the source that the target does not have in the end.
struct FailedIndex {
  enum class Kind {
    failed,
    incomplete,  // the source itself was still building it
  };
  Kind kind = Kind::failed;
  Namespace ns;
  std::string name;
  bson::Document keys;
  std::string reason;
};

struct FinalReport {
  std::vector<FailedIndex> failed_indexes;
  std::vector<std::string> differences;  // of both sides, after everything; a line each
};

}  // namespace plm
