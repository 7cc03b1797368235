// A quick look over an array of documents as a server sends it, without
// decoding anything but lengths.
#pragma once

#include <cstdint>

#include "bson/view.h"

namespace plm::mongo {

struct ArraySummary {
  std::int64_t count = 0;
  std::int64_t size_bytes = 0;  // of the documents alone
  bson::View last;              // empty document when there is none
};

// About ten nanoseconds per document. Every element must be a document.
ArraySummary summarize(bson::View documents);

}  // namespace plm::mongo
