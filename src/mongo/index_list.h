// The indexes of a collection, those that are being built included.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "bson/view.h"
#include "model/uuid.h"
#include "mongo/connection.h"

namespace plm::mongo {

struct ListedIndex {
  bson::View spec;
  std::optional<int> build;  // a number for each build that is not finished; one may make several indexes

  // One that the collection has by its nature.
  [[nodiscard]] bool is_inherent() const { return spec["name"].as_string() == "_id_" || spec["clustered"].as_bool(); }
};

// Hands each to `visit`; the view lives only during that call. Errors: not_found.
Status visit_indexes(Connection& connection, const std::string& database, const Uuid& uuid,
                     const std::function<void(const ListedIndex&)>& visit);

}  // namespace plm::mongo
