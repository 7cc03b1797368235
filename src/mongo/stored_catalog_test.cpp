#include "mongo/stored_catalog.h"

#include <gtest/gtest.h>

#include "bson/test_values.h"

namespace plm::mongo {
namespace {

CollectionSpec stored_spec(const char* name, const char* options = "{}", std::vector<IndexSpec> indexes = {}) {
  return {{"db", name}, CollectionKind::collection, Uuid({1}), bson::from_json(options), std::move(indexes)};
}

IndexSpec stored_index(const char* text) { return {bson::from_json(text)}; }

TEST(StoredCatalog, IsShownWhateverTheOrder) {
  const auto a = stored_spec("a", R"({"capped": true, "size": 5})",
                             {stored_index(R"({"name": "x", "sparse": 1.0})"), stored_index(R"({"name": "y"})")});
  const auto listed = stored_spec("a", R"({"size": 5, "capped": true})",
                                  {stored_index(R"({"name": "y"})"), stored_index(R"({"sparse": true, "name": "x"})")});
  EXPECT_TRUE(shows({listed, stored_spec("b")}, {stored_spec("b"), a}));
  EXPECT_TRUE(shows({}, {}));
}

TEST(StoredCatalog, IsNotShownByAListingThatLacksAChange) {
  const auto plain = stored_spec("a");
  CollectionSpec other = plain;
  other.uuid = Uuid({2});
  EXPECT_FALSE(shows({}, {plain})) << "created";
  EXPECT_FALSE(shows({plain}, {})) << "dropped";
  EXPECT_FALSE(shows({plain}, {stored_spec("b")})) << "renamed";
  EXPECT_FALSE(shows({plain}, {other})) << "created anew";
  EXPECT_FALSE(shows({plain}, {stored_spec("a", R"({"validator": {"x": 1}})")})) << "collMod";
  EXPECT_FALSE(shows({plain}, {stored_spec("a", "{}", {stored_index(R"({"name": "x"})")})})) << "createIndexes";
  EXPECT_FALSE(shows({stored_spec("a", "{}", {stored_index(R"({"name": "x", "hidden": true})")})},
                     {stored_spec("a", "{}", {stored_index(R"({"name": "x"})")})}))
      << "collMod of an index";
}

}  // namespace
}  // namespace plm::mongo
