#include <chrono>
#include <deque>
#include <thread>

#include "fixture.h"

namespace plm {
namespace {

using Kind = TargetOperation::Kind;

// How often, and when, a call of the target waits for the majority.
class Majority : public SeamTest {
 protected:
  void TearDown() override {
    if (target_server_) target_server_->fail_commands(R"("mode":"off")");
    SeamTest::TearDown();
  }
  // Since the server's start.
  std::int64_t waits() {
    const bson::Document status = target_server_->run("admin", R"({"serverStatus":1})");
    const bson::View metrics = status["metrics"].as_document();
    return metrics["getLastError"].as_document()["wtime"].as_document()["num"].as_int64();
  }
  // Operations of several kinds in each of the collections, which no single command can carry.
  void prepare(ApplyMode mode) {
    target_->force_mode(mode);
    ASSERT_TRUE(succeeded(target_->probe_apply_mode()));
    for (const char* name : {"a", "b", "c"}) twins_.push_back(twin(name));
    for (const Twin& each : twins_) add(Kind::insert, each);
    for (const Twin& each : twins_) add(Kind::replace, each);
    for (const Twin& each : twins_) add(Kind::erase, each);
  }
  void add(Kind kind, const Twin& twin) {
    operations_.push_back({kind, &twin, id_.value(), kind == Kind::erase ? bson::View() : document_.view()});
  }

  std::deque<Twin> twins_;
  bson::OwnedValue id_ = value("1");
  bson::Document document_ = json(R"({"_id":1,"text":"x"})");
  std::vector<TargetOperation> operations_;
};

TEST_F(Majority, IsWaitedForOnceByABatch) {
  for (const ApplyMode mode : {ApplyMode::exact, ApplyMode::portable}) {
    twins_.clear();
    operations_.clear();
    target_server_->run(database_, R"({"dropDatabase":1})");
    prepare(mode);
    const std::int64_t before = waits();
    const auto applied = target_->apply(operations_);
    ASSERT_TRUE(succeeded(applied));
    EXPECT_TRUE(applied->empty());
    EXPECT_EQ(waits() - before, 1);
  }
}

TEST_F(Majority, IsWaitedForOnceToShutOutWhatWasSentBefore) {
  prepare(ApplyMode::exact);
  ASSERT_TRUE(succeeded(target_->apply(operations_)));
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["applyOps"],"closeConnection":true,"appName":"plm"})");
  ASSERT_FALSE(target_->apply(operations_));
  const std::int64_t before = waits();
  ASSERT_TRUE(succeeded(target_->apply(operations_)));
  EXPECT_EQ(waits() - before, 2);  // that, and the batch
}

TEST_F(Majority, AnElectionInTheMiddleOfABatchMeansItIsDoneAgain) {
  prepare(ApplyMode::exact);
  ASSERT_TRUE(succeeded(target_->apply(operations_)));
  // The inserts before it have not waited.
  target_server_->fail_commands(
      R"("mode":{"times":1},"data":{"failCommands":["applyOps"],"blockConnection":true,"blockTimeMS":3000,
      "appName":"plm"})");
  std::thread election([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    target_server_->run("admin", R"({"replSetStepDown":1,"secondaryCatchUpPeriodSecs":0,"force":true})");
  });
  const auto applied = target_->apply(operations_);
  election.join();
  ASSERT_FALSE(applied);
  EXPECT_TRUE(retryable(applied.error())) << applied.error().message;
  while (!target_->apply(operations_)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

}  // namespace
}  // namespace plm
