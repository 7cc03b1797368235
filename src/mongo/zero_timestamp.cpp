#include "mongo/zero_timestamp.h"

#include <set>
#include <string_view>

namespace plm::mongo {

bool has_name_twice(bson::View document) {
  std::set<std::string_view> names;
  for (const bson::Element& field : document) {
    if (!names.insert(field.key).second || has_name_twice(field.value.as_document())) return true;
  }
  return false;
}

bool has_zero_timestamp(bson::View document) {
  for (const bson::Element& field : document) {
    if (field.value.type() != BSON_TYPE_TIMESTAMP || field.value.timestamp() != 0 || field.key == "_id") continue;
    return !has_name_twice(document);
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
