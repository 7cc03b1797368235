#include "memory/memory_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "memory/json.h"

namespace plm {
namespace {

const Namespace kNs{"db", "c"};

class MemoryTargetTest : public testing::Test {
 protected:
  void SetUp() override { twin_ = {kNs, target_.create(kNs, {}).value()}; }

  static bson::Value id(const bson::Document& holder) { return holder["_id"]; }
  std::vector<OperationFailure> apply(std::initializer_list<TargetOperation> operations) {
    return target_.apply({operations.begin(), operations.size()}).value();
  }
  [[nodiscard]] std::string document(const bson::Document& holder) {
    const DocumentPtr found = deployment_.find(kNs)->find(id(holder));
    return found == nullptr ? "" : found->view().json();
  }
  [[nodiscard]] Twin stranger() const { return {kNs, Uuid({1, 2, 3})}; }
  static int code(const Status& status) { return status ? 0 : status.error().server_code; }

  Random random_{3};
  FaultPlan faults_{random_, {}};
  MemoryDeployment deployment_{{.keeps_events = false}};
  MemoryTarget target_{deployment_, faults_};
  Twin twin_;
};

TEST_F(MemoryTargetTest, AppliesOperationsInOrder) {
  const bson::Document one = json(R"({"_id": 1, "a": 1})");
  const bson::Document update = json(R"({"$v": 2, "diff": {"u": {"a": 2}}})");
  const bson::Document two = json(R"({"_id": 2})");
  const auto failures = apply({{TargetOperation::Kind::upsert, &twin_, id(one), one.view()},
                               {TargetOperation::Kind::upsert, &twin_, id(two), two.view()},
                               {TargetOperation::Kind::diff, &twin_, id(one), update.view()},
                               {TargetOperation::Kind::erase, &twin_, id(two), {}},
                               {TargetOperation::Kind::erase, &twin_, id(two), {}}});
  EXPECT_TRUE(failures.empty());
  EXPECT_EQ(document(one), json(R"({"_id": 1, "a": 2})").view().json());
  EXPECT_EQ(document(two), "");
}

TEST_F(MemoryTargetTest, ReplacesAnEqualIdOfAnotherType) {
  const bson::Document integer = json(R"({"_id": 1, "a": 1})");
  const bson::Document real = json(R"({"_id": 1.0})");
  EXPECT_TRUE(apply({{TargetOperation::Kind::upsert, &twin_, id(integer), integer.view()},
                     {TargetOperation::Kind::upsert, &twin_, id(real), real.view()}})
                  .empty());
  EXPECT_EQ(document(integer), real.view().json());
}

TEST_F(MemoryTargetTest, NamesOperationsThatFailAndAppliesTheOthers) {
  const bson::Document one = json(R"({"_id": 1, "a": 1})");
  const bson::Document same_a = json(R"({"_id": 2, "a": 1})");
  const bson::Document update = json(R"({"$v": 2, "diff": {"u": {"a": 2}}})");
  const Twin gone = stranger();
  ASSERT_TRUE(target_.create_indexes(twin_, {{json(R"({"key": {"a": 1}, "name": "u", "unique": true})")}})[0].status);
  const auto failures = apply({{TargetOperation::Kind::diff, &twin_, id(one), update.view()},
                               {TargetOperation::Kind::erase, &gone, id(one), {}},
                               {TargetOperation::Kind::upsert, &twin_, id(one), one.view()},
                               {TargetOperation::Kind::upsert, &twin_, id(same_a), same_a.view()}});
  ASSERT_EQ(failures.size(), 3U);
  EXPECT_EQ(failures[0].kind, OperationFailure::Kind::missing);
  EXPECT_EQ(failures[0].index, 0U);
  EXPECT_EQ(failures[1].index, 1U);
  EXPECT_EQ(failures[1].error.server_code, server_code::namespace_not_found);
  EXPECT_EQ(failures[1].error.code, ErrorCode::not_found);
  EXPECT_EQ(failures[2].index, 3U);
  EXPECT_EQ(failures[2].kind, OperationFailure::Kind::rejected);
  EXPECT_EQ(failures[2].error.server_code, server_code::duplicate_key);
  EXPECT_EQ(deployment_.find(kNs)->documents.size(), 1U);
}

TEST_F(MemoryTargetTest, TakesUpdatesOfThePortableMode) {
  const bson::Document one = json(R"({"_id": 1, "a": 1, "b": 1})");
  const bson::Document update = json(R"({"$set": {"a": 2, "z": 3, "c": 4}, "$unset": {"b": true}})");
  const bson::Document odd = json(R"({"$set": {"x.y": 2}})");
  const bson::Document two = json(R"({"_id": 2})");
  const auto failures = apply({{TargetOperation::Kind::upsert, &twin_, id(one), one.view()},
                               {TargetOperation::Kind::diff, &twin_, id(one), update.view()},
                               {TargetOperation::Kind::diff, &twin_, id(two), update.view()},
                               {TargetOperation::Kind::diff, &twin_, id(one), odd.view()}});
  EXPECT_EQ(document(one), json(R"({"_id": 1, "a": 2, "c": 4, "z": 3})").view().json());
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_EQ(failures[0].kind, OperationFailure::Kind::missing);
  EXPECT_EQ(failures[1].kind, OperationFailure::Kind::rejected);
}

TEST_F(MemoryTargetTest, AppliesByUuidWhateverTheName) {
  ASSERT_TRUE(target_.rename(twin_, {"db", "renamed"}));
  const bson::Document one = json(R"({"_id": 1})");
  EXPECT_TRUE(apply({{TargetOperation::Kind::upsert, &twin_, id(one), one.view()}}).empty());
  EXPECT_EQ(deployment_.find({"db", "renamed"})->documents.size(), 1U);
}

TEST_F(MemoryTargetTest, InsertsAndReplaces) {
  ASSERT_TRUE(target_.insert(twin_, json(R"({"0": {"_id": 1}, "1": {"_id": 2}})").view()));
  ASSERT_TRUE(target_.insert(twin_, json(R"({"0": {"_id": 2, "a": 1}})").view()));
  EXPECT_EQ(document(json(R"({"_id": 2})")), json(R"({"_id": 2, "a": 1})").view().json());
  EXPECT_EQ(target_.count_documents(kNs).value(), 2);
}

TEST_F(MemoryTargetTest, RefusesNamesAndUuidsThatDoNotBelongTogether) {
  constexpr int mismatch = server_code::collection_uuid_mismatch;
  EXPECT_EQ(target_.insert(stranger(), json(R"({"0": {"_id": 1}})").view()).error().server_code, mismatch);
  EXPECT_EQ(code(target_.rename(stranger(), {"db", "d"})), mismatch);
  EXPECT_EQ(code(target_.modify(stranger(), json(R"({"validationLevel": "off"})").view())), mismatch);
  EXPECT_EQ(code(target_.create_indexes(stranger(), {{json(R"({"key": {"a": 1}, "name": "a"})")}})[0].status),
            mismatch);
  EXPECT_EQ(code(target_.clear_range(stranger(), {})), mismatch);
  EXPECT_EQ(code(target_.drop_index(stranger(), "a")), mismatch);
  EXPECT_TRUE(target_.drop_index({{"db", "none"}, stranger().uuid}, "a"));
  EXPECT_EQ(target_.list_indexes(stranger()).error().code, ErrorCode::not_found);
}

TEST_F(MemoryTargetTest, DropsOnlyTheCollectionThatIsMeant) {
  EXPECT_TRUE(target_.drop(stranger())) << "what does not exist is dropped";
  EXPECT_NE(deployment_.find(kNs), nullptr);
  ASSERT_TRUE(target_.rename(twin_, {"db", "renamed"}));
  EXPECT_EQ(code(target_.drop(twin_)), server_code::collection_uuid_mismatch);
  EXPECT_TRUE(target_.list_indexes(twin_)) << "by UUID";
  EXPECT_TRUE(target_.drop({{"db", "renamed"}, twin_.uuid}));
  EXPECT_TRUE(target_.drop(twin_));
}

TEST_F(MemoryTargetTest, RefusesNamesThatAreTaken) {
  EXPECT_EQ(target_.create(kNs, {}).error().server_code, server_code::namespace_exists);
  const Twin other{{"db", "other"}, target_.create({"db", "other"}, {}).value()};
  EXPECT_EQ(code(target_.rename(other, kNs)), server_code::namespace_exists);
}

TEST_F(MemoryTargetTest, DropsNoCollectionInPlaceOfAView) {
  const Namespace series{"db", "s"};
  ASSERT_TRUE(target_.create(series, json(R"({"timeseries": {"timeField": "t"}})").view()));
  EXPECT_TRUE(target_.drop_view(kNs));
  EXPECT_TRUE(target_.drop_view(series));
  EXPECT_NE(deployment_.find(kNs), nullptr);
  EXPECT_NE(deployment_.find({"db", "system.buckets.s"}), nullptr);
}

TEST_F(MemoryTargetTest, ChangesViewsByName) {
  const Namespace view{"db", "v"};
  EXPECT_TRUE(target_.create(view, json(R"({"viewOn": "c", "pipeline": []})").view())->is_nil());
  ASSERT_TRUE(target_.modify({view, {}}, json(R"({"viewOn": "d", "pipeline": []})").view()));
  EXPECT_EQ(deployment_.find(view)->options["viewOn"].string(), "d");
  EXPECT_TRUE(target_.drop_view(view));
  EXPECT_TRUE(target_.drop_view(view));
  EXPECT_EQ(target_.modify({view, {}}, json(R"({"viewOn": "d", "pipeline": []})").view()).error().code,
            ErrorCode::not_found);
}

TEST_F(MemoryTargetTest, BuildsTheIndexesThatItCan) {
  ASSERT_TRUE(target_.insert(twin_, json(R"({"0": {"_id": 1, "a": 1}, "1": {"_id": 2, "a": 1}})").view()));
  const IndexSpec unique{json(R"({"key": {"a": 1}, "name": "u", "unique": true})")};
  const IndexSpec plain{json(R"({"key": {"a": 1}, "name": "p"})")};
  const auto results = target_.create_indexes(twin_, {unique, plain});
  EXPECT_EQ(code(results[0].status), server_code::duplicate_key);
  EXPECT_TRUE(results[1].status);
  EXPECT_TRUE(target_.create_indexes(twin_, {plain})[0].status);
  EXPECT_EQ(target_.list_indexes(twin_)->size(), 1U);
  EXPECT_TRUE(target_.drop_index(twin_, "p"));
  EXPECT_TRUE(target_.drop_index(twin_, "p"));
  EXPECT_TRUE(target_.list_indexes(twin_)->empty());
}

TEST_F(MemoryTargetTest, ClearsARangeAlone) {
  ASSERT_TRUE(target_.insert(twin_, json(R"({"0": {"_id": 1}, "1": {"_id": 2}, "2": {"_id": 3}})").view()));
  ASSERT_TRUE(target_.clear_range(
      twin_, {bson::OwnedValue(json(R"({"v": 2})")["v"]), bson::OwnedValue(json(R"({"v": 3})")["v"])}));
  EXPECT_EQ(target_.count_documents(kNs).value(), 2);
  EXPECT_EQ(document(json(R"({"_id": 2})")), "");
  ASSERT_TRUE(target_.clear_range(twin_, {}));
  EXPECT_EQ(target_.count_documents(kNs).value(), 0);
}

TEST_F(MemoryTargetTest, RemembersEverythingStrict) {
  const auto index = [&](std::string_view spec) { return target_.create_indexes(twin_, {{json(spec)}})[0].status; };
  ASSERT_TRUE(index(R"({"key": {"a": 1}, "name": "never", "expireAfterSeconds": 2147483647})"));
  EXPECT_TRUE(target_.strict_parts_seen().empty());
  ASSERT_TRUE(index(R"({"key": {"b": 1}, "name": "u", "unique": true})"));
  ASSERT_TRUE(target_.drop_index(twin_, "u"));
  EXPECT_EQ(target_.strict_parts_seen().size(), 1U);
  ASSERT_TRUE(target_.modify(twin_, json(R"({"index": {"name": "never", "expireAfterSeconds": 5}})").view()));
  EXPECT_EQ(target_.strict_parts_seen().size(), 2U);
  ASSERT_TRUE(target_.create({"db", "clustered"}, json(R"({"expireAfterSeconds": 5})").view()));
  EXPECT_EQ(target_.strict_parts_seen().size(), 3U);
}

TEST_F(MemoryTargetTest, MayHaveDoneAPartOfWhatFailed) {
  FaultPlan faults(random_, {.before = 0.1, .after = 0.1, .partly = 0.3});
  MemoryTarget target(deployment_, faults);
  const bson::Document documents = json(R"({"0": {"_id": 1}, "1": {"_id": 2}, "2": {"_id": 3}})");
  std::array<int, 4> failed_with{};
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(target_.clear_range(twin_, {}));
    const auto inserted = target.insert(twin_, documents.view());
    const auto count = deployment_.find(kNs)->documents.size();
    if (inserted) {
      EXPECT_EQ(count, 3U);
    } else {
      EXPECT_TRUE(retryable(inserted.error()));
      ++failed_with[count];
    }
  }
  for (const int times : failed_with) EXPECT_GT(times, 0);
}

// ---- Writes of the past (I6) ----------------------------------------------------

class LateWritesTest : public testing::Test {
 protected:
  // Its writes are held back while there are faults.
  MemoryTarget process(LateWrites& late, Epoch epoch) {
    MemoryTarget out(deployment_, faults_, &late);
    EXPECT_TRUE(out.take_over(epoch));
    return out;
  }
  Status put(MemoryTarget& target, const char* document) {
    const bson::Document whole = json(document);
    const TargetOperation operation{TargetOperation::Kind::upsert, &twin_, whole["_id"], whole.view()};
    const auto done = target.apply({&operation, 1});
    return done ? Status() : fail(done.error());
  }
  [[nodiscard]] std::string document() {
    const bson::Document key = json(R"({"_id": 1})");
    const DocumentPtr found = deployment_.find(kNs)->find(key["_id"]);
    return found == nullptr ? "" : found->view().json();
  }
  void SetUp() override {
    faults_.switch_off();
    twin_ = {kNs, deployment_.create(kNs, {}).value()};
  }

  Random random_{3};
  FaultPlan faults_{random_, {.held = 1}};
  MemoryDeployment deployment_{{.keeps_events = false}};
  Twin twin_;
};

TEST_F(LateWritesTest, AHeldWriteIsShutOutByTheNext) {
  LateWrites late;
  MemoryTarget target = process(late, 1);
  faults_.switch_on();
  EXPECT_EQ(put(target, R"({"_id": 1, "a": 1})").error().code, ErrorCode::network);
  faults_.switch_off();
  EXPECT_TRUE(put(target, R"({"_id": 1, "a": 2})"));
  late.deliver_all(random_);
  EXPECT_EQ(document(), json(R"({"_id": 1, "a": 2})").view().json());
}

TEST_F(LateWritesTest, WithoutFencesItLandsLate) {
  LateWrites late(LateWrites::Fences::are_missing);
  MemoryTarget target = process(late, 1);
  faults_.switch_on();
  EXPECT_FALSE(put(target, R"({"_id": 1, "a": 1})"));
  faults_.switch_off();
  EXPECT_TRUE(put(target, R"({"_id": 1, "a": 2})"));
  late.deliver_all(random_);
  EXPECT_EQ(document(), json(R"({"_id": 1, "a": 1})").view().json());
}

TEST_F(LateWritesTest, TakingOverEndsWhatTheOneBeforeSends) {
  LateWrites late;
  MemoryTarget first = process(late, 1);
  faults_.switch_on();
  EXPECT_FALSE(put(first, R"({"_id": 1})"));
  faults_.switch_off();
  MemoryTarget second = process(late, 2);
  late.deliver_all(random_);
  EXPECT_EQ(document(), "");
  EXPECT_EQ(put(first, R"({"_id": 1})").error().code, ErrorCode::superseded);
  EXPECT_EQ(first.drop(twin_).error().code, ErrorCode::superseded);
  EXPECT_EQ(first.take_over(1).error().code, ErrorCode::superseded);
  EXPECT_TRUE(put(second, R"({"_id": 1})"));
}

}  // namespace
}  // namespace plm
