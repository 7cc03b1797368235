#include "mongo/document_array.h"

#include <cstring>

#include "base/check.h"

namespace plm::mongo {

ArraySummary summarize(bson::View documents) {
  ArraySummary out;
  const std::uint8_t* at = documents.data() + 4;
  while (*at != BSON_TYPE_EOD) {
    CHECK(*at == BSON_TYPE_DOCUMENT);
    ++at;
    while (*at != 0) ++at;  // the index, one to six digits
    ++at;
    out.last = bson::View(at);
    const std::uint32_t size = out.last.size();
    ++out.count;
    out.size_bytes += size;
    at += size;
  }
  return out;
}

}  // namespace plm::mongo
