#include "memory/update_description.h"

#include <gtest/gtest.h>

#include "memory/json.h"

namespace plm {
namespace {

TEST(UpdateDescription, NamesPaths) {
  const bson::Document description = public_update_description(json(R"({"d": {"x": false}, "u": {"y": 1}, "i": {"n": 2},
               "ss": {"d": {"u": false}, "u": {"t": 5}}, "sarr": {"a": true, "l": 2, "s0": {"u": {"q": 7}}, "u1": 3}})")
                                                                   .view());
  EXPECT_EQ(description.view().json(), json(R"({"updatedFields": {"y": 1, "n": 2, "s.t": 5, "arr.0.q": 7, "arr.1": 3},
                                                "removedFields": ["x", "s.u"],
                                                "truncatedArrays": [{"field": "arr", "newSize": 2}]})")
                                           .view()
                                           .json());
}

}  // namespace
}  // namespace plm
