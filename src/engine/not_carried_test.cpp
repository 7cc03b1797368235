#include "engine/not_carried.h"

#include <gtest/gtest.h>

#include "engine/test_seams.h"
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

class SourceWithLostParts : public MemorySource {
 public:
  using MemorySource::MemorySource;
  Result<std::vector<std::string>> list_databases() override { return std::vector<std::string>{"admin", "a", "b"}; }
  Result<std::vector<Namespace>> lost_parts(const std::string& database) override {
    return std::vector<Namespace>{
        {database, "system.buckets.x"}, {database, "system.buckets.y"}, {database, "y"}, {database, "z"}};
  }
};

TEST(WarningsAboutLostParts, NameThoseThatTheFilterSelects) {
  TestSeams seams;
  SourceWithLostParts source(seams.source_set, seams.faults);
  const auto lost = lost_parts(source, Filter::make({"a.*", "b.x"}, {"a.y"}).value());
  ASSERT_TRUE(lost);
  EXPECT_EQ(warnings_about_lost_parts(*lost),
            (std::vector<std::string>{"a.system.buckets.x is not replicated: there is no time-series collection a.x",
                                      "a.z is not replicated: a time-series collection without its buckets",
                                      "b.system.buckets.x is not replicated: there is no time-series collection b.x"}));
}

}  // namespace
}  // namespace plm
