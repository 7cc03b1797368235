#include "fixture.h"
#include "mongo/lease_document.h"
#include "mongo/named_session.h"

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
    ASSERT_TRUE(succeeded(take_lease(*store_)));
    ASSERT_TRUE(succeeded(store_->clear()));
  }
  void TearDown() override {
    if (store_) {
      EXPECT_TRUE(succeeded(store_->clear()));
    }
    SeamTest::TearDown();
  }

  // Whoever has it.
  static Result<Epoch> take_lease(StateStore& store, const std::string& id = "test") {
    auto seen = store.look_at_lease();
    if (!seen) return fail(seen.error());
    return store.take_lease({id, "host", "machine", 1}, seen->epoch);
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
  for (int i = 0; i < 1800; ++i) {
    changes.push_back(
        put("ranges", std::to_string(i), "{\"_id\":" + std::to_string(i) + ",\"text\":\"" + text + "\"}"));
  }
  ASSERT_TRUE(succeeded(store_->save(changes)));
  EXPECT_THAT(*store_->load("ranges"), SizeIs(1800));
}

TEST_F(Store, ClearRemovesEverything) {
  ASSERT_TRUE(succeeded(store_->save(std::vector<StoreChange>{put("state", "1", R"({"_id":1})")})));
  ASSERT_TRUE(succeeded(store_->clear()));
  EXPECT_THAT(*store_->load("state"), IsEmpty());
  ASSERT_TRUE(succeeded(store_->clear()));
}

// A server forgets a session half an hour after its last use, and with it which numbers are taken.
TEST_F(Store, KeepsTheSessionsOfItsWritersAlive) {
  auto fresh = MongoStateStore::connect(target_uri());
  ASSERT_TRUE(succeeded(fresh));
  ASSERT_TRUE(succeeded(take_lease(**fresh)));
  const auto pool = mongo::Pool::open(target_uri());
  auto connection = (*pool)->connect();
  const auto lease = mongo::read_lease(*connection);
  bson::Builder list;
  list.append("aggregate", "system.sessions");
  {
    auto pipeline = list.array("pipeline");
    pipeline.append(json(R"({"$listSessions":{"allUsers":true}})"));
    auto stage = pipeline.document();
    auto match = stage->document("$match");
    mongo::session_of((*lease)->key.sessions, mongo::kStateWriter).append_to(*match, "_id.id");
  }
  list.append("cursor", bson::View());
  const bson::Document command = list.take();
  const auto last_use = [&] {
    target_server_->run("admin", R"({"refreshLogicalSessionCacheNow":1})");
    const bson::Document reply = target_server_->run("config", command);
    return reply["cursor"].as_document()["firstBatch"].as_document()["0"].as_document().json();
  };
  const std::string used = last_use();
  EXPECT_THAT(used, testing::HasSubstr("lastUse"));
  EXPECT_EQ(last_use(), used);
  ASSERT_TRUE(succeeded((*fresh)->renew_lease()));
  EXPECT_NE(last_use(), used);
  ASSERT_TRUE(succeeded(take_lease(*store_)));
}

// C4: what a frozen process saves when it wakes up.
TEST_F(Store, SavesNothingUnderALostLease) {
  auto second = MongoStateStore::connect(target_uri());
  ASSERT_TRUE(succeeded(second));
  const std::vector<StoreChange> changes = {put("state", "1", R"({"_id":1})")};
  ASSERT_TRUE(succeeded(store_->save(changes)));
  ASSERT_TRUE(succeeded(store_->renew_lease()));
  ASSERT_TRUE(succeeded(take_lease(**second, "second")));
  EXPECT_EQ(store_->save(changes).error().code, ErrorCode::superseded);
  EXPECT_EQ(store_->clear().error().code, ErrorCode::superseded);
  EXPECT_EQ(store_->renew_lease().error().code, ErrorCode::superseded);
  EXPECT_TRUE(succeeded(store_->release_lease()));
  const auto seen = (*second)->look_at_lease();
  ASSERT_TRUE(succeeded(seen));
  ASSERT_TRUE(seen->owner);
  EXPECT_EQ(seen->owner->id, "second");
  EXPECT_THAT(*(*second)->load("state"), SizeIs(1));
  ASSERT_TRUE(succeeded((*second)->release_lease()));
  EXPECT_FALSE(store_->look_at_lease()->owner);
  ASSERT_TRUE(succeeded(take_lease(*store_)));
}

// Sessions, and so the numbers that shut out what came before, are each user's own.
TEST_F(Store, SavesNothingUnderALeaseThatAnotherUserTook) {
  auto second = MongoStateStore::connect(target_admin_uri());
  ASSERT_TRUE(succeeded(second));
  ASSERT_TRUE(succeeded(take_lease(**second, "second")));
  const std::vector<StoreChange> changes = {put("state", "1", R"({"_id":1})")};
  EXPECT_EQ(store_->save(changes).error().code, ErrorCode::superseded);
  EXPECT_THAT(*(*second)->load("state"), IsEmpty());
  ASSERT_TRUE(succeeded(take_lease(*store_)));
}

TEST_F(Store, OneOfTwoWhoAreEquallyFastTakesTheLease) {
  auto second = MongoStateStore::connect(target_uri());
  ASSERT_TRUE(succeeded(second));
  const auto seen = store_->look_at_lease();
  ASSERT_TRUE(succeeded(seen));
  ASSERT_TRUE(succeeded((*second)->take_lease({"second", "host", "machine", 1}, seen->epoch)));
  EXPECT_EQ(store_->take_lease({"first", "host", "machine", 1}, seen->epoch).error().code, ErrorCode::superseded);
  EXPECT_EQ(store_->look_at_lease()->owner->id, "second");
  ASSERT_TRUE(succeeded(take_lease(*store_)));
}

// It was killed in the middle, and what it left open has the number that the next one begins with.
TEST_F(Store, AProcessThatDiedTakingTheLeaseIsInNobodysWay) {
  auto dying = MongoStateStore::connect(target_uri());
  ASSERT_TRUE(succeeded(dying));
  auto seen = (*dying)->look_at_lease();
  ASSERT_TRUE(succeeded(seen));
  target_server_->run("admin", R"({"configureFailPoint":"failCommand","mode":{"times":1},
      "data":{"failCommands":["commitTransaction"],"closeConnection":true,"appName":"plm"}})");
  const auto lost = (*dying)->take_lease({"dying", "host", "machine", 1}, seen->epoch);
  target_server_->run("admin", R"({"configureFailPoint":"failCommand","mode":"off"})");
  ASSERT_FALSE(lost);
  auto next = MongoStateStore::connect(target_uri());
  ASSERT_TRUE(succeeded(next));
  ASSERT_TRUE(succeeded((*next)->look_at_lease()));
  const auto taken = (*next)->take_lease({"next", "host", "machine", 2}, seen->epoch);
  ASSERT_TRUE(succeeded(taken));
  EXPECT_EQ(*taken, seen->epoch + 1);
  ASSERT_TRUE(succeeded(take_lease(*store_)));  // for the tests that follow
}

TEST_F(Store, ARenewalShowsThatTheOwnerLives) {
  const auto before = store_->look_at_lease();
  ASSERT_TRUE(succeeded(store_->renew_lease()));
  const auto after = store_->look_at_lease();
  EXPECT_EQ(before->epoch, after->epoch);
  EXPECT_GT(after->renewals, before->renewals);
}

}  // namespace
}  // namespace plm
