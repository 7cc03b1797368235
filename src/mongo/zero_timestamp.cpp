#include "mongo/zero_timestamp.h"

namespace plm::mongo {

bool has_zero_timestamp(bson::View document) {
  for (const bson::Element& field : document) {
    if (field.value.type() == BSON_TYPE_TIMESTAMP && field.value.timestamp() == 0 && field.key != "_id") return true;
  }
  return false;
}

std::vector<std::size_t> with_zero_timestamp(bson::View documents) {
  std::vector<std::size_t> out;
  std::size_t position = 0;
  for (const bson::Element& element : documents) {
    if (has_zero_timestamp(element.value.as_document())) out.push_back(position);
    ++position;
  }
  return out;
}

}  // namespace plm::mongo
