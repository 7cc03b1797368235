#include "engine/not_carried.h"

#include <gtest/gtest.h>

#include "memory/json.h"

namespace plm {
namespace {

std::string warning(const char* options, const std::vector<std::string>& include) {
  const CollectionSpec view{{"shop", "v"}, CollectionKind::view, {}, json(options), {}};
  return warning_about_view(view, Filter::make(include, {}).value());
}

TEST(WarningAboutView, IsEmptyWhenAllThatItReadsIsSelected) {
  EXPECT_EQ(warning(R"({"viewOn": "a", "pipeline": [{"$lookup": {"from": "b"}}]})", {}), "");
  EXPECT_EQ(warning(R"({"viewOn": "a"})", {"shop.a", "shop.v"}), "");
}

TEST(WarningAboutView, NamesTheCollectionThatItIsOn) {
  EXPECT_EQ(warning(R"({"viewOn": "a"})", {"shop.v"}), "view shop.v reads what is not replicated: shop.a");
}

TEST(WarningAboutView, NamesTheCollectionsOfItsStagesAndOfPipelinesInside) {
  EXPECT_EQ(warning(R"({"viewOn": "a", "pipeline": [
                        {"$lookup": {"from": "b", "pipeline": [{"$unionWith": "c"}, {"$unionWith": {"coll": "d"}}]}},
                        {"$facet": {"x": [{"$graphLookup": {"from": "e"}}]}},
                        {"$lookup": {"pipeline": [{"$documents": [{"from": "f"}]}]}}]})",
                    {"shop.a", "shop.b", "shop.v"}),
            "view shop.v reads what is not replicated: shop.c, shop.d, shop.e");
}

TEST(WarningAboutView, NamesWhatBelongsToTheServer) {
  EXPECT_EQ(warning(R"({"viewOn": "system.profile"})", {}),
            "view shop.v reads what is not replicated: shop.system.profile");
}

}  // namespace
}  // namespace plm
