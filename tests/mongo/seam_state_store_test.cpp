#include "fixture.h"

namespace plm {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class Store : public SeamTest {
 protected:
  void SetUp() override {
    SeamTest::SetUp();
    if (IsSkipped()) return;
    auto store = MongoStateStore::connect(target_uri());
    ASSERT_TRUE(succeeded(store));
    store_ = std::move(*store);
    ASSERT_TRUE(succeeded(store_->clear()));
  }
  void TearDown() override {
    if (store_) {
      EXPECT_TRUE(succeeded(store_->clear()));
    }
    SeamTest::TearDown();
  }

  static StoreChange put(const std::string& set, const std::string& id, const std::string& document) {
    return {set, value(id), json(document)};
  }
  static StoreChange remove(const std::string& set, const std::string& id) { return {set, value(id), std::nullopt}; }

  std::unique_ptr<MongoStateStore> store_;
};

TEST_F(Store, IsEmptyAtFirst) {
  auto loaded = store_->load("state");
  ASSERT_TRUE(succeeded(loaded));
  EXPECT_THAT(*loaded, IsEmpty());
}

TEST_F(Store, LoadsWhatWasSavedLast) {
  const std::vector<StoreChange> changes = {
      put("ranges", R"({"c":1,"n":1})", R"({"_id":{"c":1,"n":1},"s":"pending"})"),
      put("ranges", R"({"c":1,"n":2})", R"({"_id":{"c":1,"n":2},"s":"pending"})"),
      put("ranges", R"({"c":1,"n":1})", R"({"_id":{"c":1,"n":1},"s":"copied"})"),
      remove("ranges", R"({"c":1,"n":2})"),
      put("state", R"("job")", R"({"_id":"job","v":1})"),
  };
  ASSERT_TRUE(succeeded(store_->save(changes)));
  ASSERT_TRUE(succeeded(store_->save(changes)));
  auto ranges = store_->load("ranges");
  ASSERT_TRUE(succeeded(ranges));
  ASSERT_THAT(*ranges, SizeIs(1));
  EXPECT_EQ(ranges->front()["s"].as_string(), "copied");
  EXPECT_THAT(*store_->load("state"), SizeIs(1));
}

TEST_F(Store, HoldsMoreThanOneCommandCanCarry) {
  std::vector<StoreChange> changes;
  const std::string text(10'000, 'x');
  for (int i = 0; i < 2500; ++i) {
    changes.push_back(
        put("ranges", std::to_string(i), "{\"_id\":" + std::to_string(i) + ",\"text\":\"" + text + "\"}"));
  }
  ASSERT_TRUE(succeeded(store_->save(changes)));
  EXPECT_THAT(*store_->load("ranges"), SizeIs(2500));
}

TEST_F(Store, ClearRemovesEverything) {
  ASSERT_TRUE(succeeded(store_->save(std::vector<StoreChange>{put("state", "1", R"({"_id":1})")})));
  ASSERT_TRUE(succeeded(store_->clear()));
  EXPECT_THAT(*store_->load("state"), IsEmpty());
  ASSERT_TRUE(succeeded(store_->clear()));
}

}  // namespace
}  // namespace plm
