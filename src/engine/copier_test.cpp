#include "engine/copier.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "engine/test_seams.h"
#include "engine/working_name.h"

namespace plm {
namespace {

class CopierTest : public testing::Test {
 protected:
  void create_source(int documents, std::string_view options = "{}") {
    source_uuid_ = seams_.source_set.create(kNs, json(options).view()).value();
    for (int i = 0; i < documents; ++i) insert(i);
  }
  void insert(int id) {
    ASSERT_TRUE(seams_.source_set.insert(kNs, json("{\"_id\": " + std::to_string(id) + ", \"a\": 1}").view()));
  }
  void create_twin() {
    const Uuid uuid = seams_.target.create(kNs, {}).value();
    ref_ = collection_ref(kNs, source_uuid_, uuid);
  }
  CopyJob copy_job() {
    CopyJob job;
    job.range = {source_uuid_, 0};
    job.collection = ref_;
    job.after = seams_.source_set.now();
    job.stop = stop_;
    return job;
  }
  // The one message that comes of a job.
  template <typename Message>
  Message run(CopyJob job, int most_steps = 100) {
    jobs_.put(std::move(job));
    for (int i = 0; i < most_steps; ++i) {
      const auto step = copier_.step();
      EXPECT_TRUE(step) << (step ? "" : step.error().message);
      seams_.clock.advance(Millis(5000));
      for (RouterMessage& message : router_.take()) {
        if (auto* wanted = std::get_if<Message>(&message)) return std::move(*wanted);
        ADD_FAILURE() << "a message of another kind";
      }
    }
    ADD_FAILURE() << "no message";
    return {};
  }
  // To its end, though calls fail and replies get lost.
  void copy_through_failures(CopyJob job) {
    FaultPlan faults(seams_.random, {.before = 0.1, .after = 0.1, .partly = 0.1, .reader_dies = 0.1});
    MemorySource source(seams_.source_set, faults);
    MemoryTarget target(seams_.target_set, faults);
    Copier copier({source, target, seams_.clock, jobs_, router_, seams_.progress}, 1, 0);
    jobs_.put(std::move(job));
    std::vector<RouterMessage> messages;
    for (int i = 0; i < 1000 && messages.empty(); ++i) {
      ASSERT_TRUE(copier.step());
      seams_.clock.advance(Millis(5000));
      messages = router_.take();
    }
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(std::get<RangeEnded>(messages[0]).how, RangeEnded::How::copied);
  }
  [[nodiscard]] std::size_t on_target() { return seams_.target_set.find(kNs)->documents.size(); }

  TestSeams seams_;
  Signal signal_;
  JobQueue<CopyJob> jobs_;
  Mailbox<RouterMessage> router_{signal_};
  Copier copier_{{seams_.source, seams_.target, seams_.clock, jobs_, router_, seams_.progress}, 1, 0};
  Uuid source_uuid_;
  std::shared_ptr<const CollectionRef> ref_;
  std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
};

TEST_F(CopierTest, CopiesARange) {
  create_source(10);
  create_twin();
  CopyJob job = copy_job();
  job.bounds = {value_of("2"), value_of("7")};
  const auto out = run<RangeEnded>(job);
  EXPECT_EQ(out.how, RangeEnded::How::copied);
  EXPECT_EQ(out.copied.documents, 5);
  EXPECT_EQ(on_target(), 5U);
  EXPECT_EQ(out.read_time, seams_.source_set.now());
  EXPECT_EQ(seams_.progress.copied_documents, 5);
  EXPECT_EQ(TestSeams::document(seams_.target_set, kNs, "2"), text_of(R"({"_id": 2, "a": 1})"));
}

TEST_F(CopierTest, CopiesAnEmptyRange) {
  create_source(0);
  create_twin();
  EXPECT_EQ(run<RangeEnded>(copy_job()).how, RangeEnded::How::copied);
}

// A document that was deleted between two copies has no event behind the second
// one's start: left on the target, it would stay for ever.
TEST_F(CopierTest, ClearsWhatAnUnfinishedCopyLeft) {
  create_source(3);
  create_twin();
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 1, "a": "old", "b": 1})").view()));
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 5})").view()));
  ASSERT_TRUE(seams_.target_set.insert(kNs, json(R"({"_id": 100})").view()));
  CopyJob job = copy_job();
  job.bounds.max = value_of("10");
  job.clear_first = true;
  EXPECT_EQ(run<RangeEnded>(job).how, RangeEnded::How::copied);
  EXPECT_EQ(on_target(), 4U) << "0, 1, 2 and 100, which is another range's";
  EXPECT_EQ(TestSeams::document(seams_.target_set, kNs, "1"), text_of(R"({"_id": 1, "a": 1})"));
}

// A full disk answers: nothing is under way any more, and the name can stay.
TEST_F(CopierTest, AnInsertUnderAWorkingNameThatIsRefusedForTheMomentIsTriedAgain) {
  class FullOnce final : public MemoryTarget {
   public:
    using MemoryTarget::MemoryTarget;
    Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents, InsertFence fence) override {
      if (std::exchange(refused_, true)) return MemoryTarget::insert(twin, documents, fence);
      return fail(server_error(14031, "no space left"));
    }

   private:
    bool refused_ = false;
  };
  create_source(3);
  const Namespace name = first_working_name(seams_.source_set.find(kNs)->spec());
  const Uuid twin = seams_.target.create(name, {}).value();
  ref_ = make_ref(seams_.source_set.find(kNs)->spec(), {name, twin});
  FullOnce target(seams_.target_set, seams_.faults);
  Copier copier({seams_.source, target, seams_.clock, jobs_, router_, seams_.progress}, 1, 0);
  jobs_.put(copy_job());
  EXPECT_EQ(copier.step().value(), Step::waiting);
  EXPECT_TRUE(router_.take().empty());
  seams_.clock.advance(Millis(10'000));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(copier.step());
  const auto messages = router_.take();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(std::get<RangeEnded>(messages[0]).how, RangeEnded::How::copied);
  EXPECT_EQ(seams_.target_set.find(name)->documents.size(), 3U);
}

TEST_F(CopierTest, AStopBeforeTheClearingIsTold) {
  create_source(3);
  create_twin();
  CopyJob job = copy_job();
  job.clear_first = true;
  stop_->store(true);
  const auto out = run<RangeEnded>(job);
  EXPECT_EQ(out.how, RangeEnded::How::stopped);
  EXPECT_TRUE(out.to_clear);
}

// Sent again it would be a second one; what was sent is shut out first.
TEST_F(CopierTest, ReportsAnInsertOfUnknownOutcomeUnderAWorkingName) {
  create_source(10);
  const Namespace name = first_working_name(seams_.source_set.find(kNs)->spec());
  const Uuid twin = seams_.target.create(name, {}).value();
  ref_ = make_ref(seams_.source_set.find(kNs)->spec(), {name, twin});
  class LosesAnAnswer final : public MemoryTarget {
   public:
    using MemoryTarget::MemoryTarget;
    Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents, InsertFence fence) override {
      auto inserted = MemoryTarget::insert(twin, documents, fence);
      if (++count_ != 2) return inserted;
      return fail(ErrorCode::network, "connection lost");
    }

   private:
    int count_ = 0;
  };
  LosesAnAnswer target(seams_.target_set, seams_.faults);
  Copier copier({seams_.source, target, seams_.clock, jobs_, router_, seams_.progress}, 1, 0);
  jobs_.put(copy_job());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(copier.step());
  const auto messages = router_.take();
  ASSERT_EQ(messages.size(), 1U);
  const auto& unsure = std::get<RangeEnded>(messages[0]);
  EXPECT_EQ(unsure.how, RangeEnded::How::unsure);
  EXPECT_EQ(unsure.resume_at.value().as_int64(), 2);
  EXPECT_EQ(unsure.copied.documents, 3);
}

TEST_F(CopierTest, StopsAtABatchAndGoesOnThere) {
  create_source(10);
  create_twin();
  jobs_.put(copy_job());
  ASSERT_TRUE(copier_.step());
  stop_->store(true);
  ASSERT_TRUE(copier_.step());
  const auto messages = router_.take();
  ASSERT_EQ(messages.size(), 1U);
  const auto& stopped = std::get<RangeEnded>(messages[0]);
  EXPECT_EQ(stopped.how, RangeEnded::How::stopped);
  EXPECT_EQ(stopped.resume_at.value().as_int64(), 2) << "the source gives three documents a batch";
  EXPECT_EQ(on_target(), 3U);

  stop_->store(false);
  CopyJob again = copy_job();
  again.resume_at = stopped.resume_at;
  EXPECT_EQ(run<RangeEnded>(again).how, RangeEnded::How::copied);
  EXPECT_EQ(on_target(), 10U);
}

TEST_F(CopierTest, GoesOnNowhereBehindMaxKey) {
  create_source(3);
  create_twin();
  CopyJob job = copy_job();
  job.resume_at = value_of(R"({"$maxKey": 1})");
  EXPECT_EQ(run<RangeEnded>(job).how, RangeEnded::How::copied);
  EXPECT_EQ(on_target(), 0U);
}

// The reads of a range may not lie before its start: an older view of a freshly
// elected primary would lack documents whose events were dropped as "will be copied".
TEST_F(CopierTest, WaitsForTheTimeOfItsStart) {
  create_source(3);
  create_twin();
  CopyJob job = copy_job();
  job.after.seconds += 1000;
  jobs_.put(job);
  EXPECT_EQ(copier_.step().value(), Step::waiting);
  EXPECT_EQ(on_target(), 0U);
  EXPECT_EQ(seams_.progress.retries, 1);
}

// A rename kills the cursor and leaves the UUID good: the copy goes on under
// the UUID, by itself, and waits for nobody.
TEST_F(CopierTest, GoesOnByUuidWhenTheCollectionIsRenamed) {
  create_source(10);
  create_twin();
  jobs_.put(copy_job());
  ASSERT_TRUE(copier_.step());
  ASSERT_TRUE(seams_.source_set.rename(kNs, {"db", "renamed"}));
  ASSERT_TRUE(seams_.source_set.insert(kNs, json(R"({"_id": 77, "another": "collection"})").view()));
  bool ended = false;
  for (int i = 0; i < 20 && !ended; ++i) {
    ASSERT_TRUE(copier_.step());
    seams_.clock.advance(Millis(5000));
    for (const RouterMessage& message : router_.take()) {
      EXPECT_EQ(std::get<RangeEnded>(message).how, RangeEnded::How::copied);
      ended = true;
    }
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(on_target(), 10U);
  EXPECT_EQ(TestSeams::document(seams_.target_set, kNs, "77"), "");
}

// A collection that is gone ahead of the stream is no failure, and no reason to
// retry for ever: its drop will come.
TEST_F(CopierTest, ReportsACollectionThatIsGone) {
  create_source(10);
  create_twin();
  jobs_.put(copy_job());
  ASSERT_TRUE(copier_.step());
  ASSERT_TRUE(seams_.source_set.drop(kNs));
  RangeEnded ended;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(copier_.step());
    seams_.clock.advance(Millis(5000));
    for (RouterMessage& message : router_.take()) ended = std::get<RangeEnded>(std::move(message));
  }
  EXPECT_EQ(ended.how, RangeEnded::How::gone);
}

// Behind a lost cursor of a capped collection nobody knows where it stood.
TEST_F(CopierTest, ACappedCollectionThatRolledOverIsCopiedAnew) {
  create_source(6, R"({"capped": true, "size": 100000, "max": 6})");
  create_twin();
  CopyJob job = copy_job();
  job.natural_order = true;
  jobs_.put(job);
  ASSERT_TRUE(copier_.step());
  for (int i = 10; i < 16; ++i) insert(i);
  ASSERT_TRUE(copier_.step());
  const auto messages = router_.take();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(std::get<RangeEnded>(messages[0]).how, RangeEnded::How::broken);
}

// They are not lost: the Router has them read again and, at worst, parked.
TEST_F(CopierTest, NamesTheDocumentsThatTheTargetRejects) {
  create_source(5);
  create_twin();
  ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"key": {"a": 1}, "name": "u", "unique": true})")}}));
  jobs_.put(copy_job());
  std::vector<std::int64_t> rejected;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(copier_.step());
    for (const RouterMessage& message : router_.take()) {
      if (const auto* named = std::get_if<Rejected>(&message)) {
        for (const bson::OwnedValue& id : named->ids) rejected.push_back(id.value().as_int64());
      }
    }
  }
  EXPECT_EQ(rejected, (std::vector<std::int64_t>{1, 2, 3, 4})) << "named batch by batch, also when the job stops";
}

TEST_F(CopierTest, NeverCreatesItsTwinByWriting) {
  create_source(5);
  create_twin();
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  jobs_.put(copy_job());
  EXPECT_FALSE(copier_.step());
  EXPECT_EQ(seams_.target_set.find(kNs), nullptr);
}

TEST_F(CopierTest, CopiesEverythingThroughFailures) {
  create_source(40);
  create_twin();
  copy_through_failures(copy_job());
  EXPECT_EQ(on_target(), 40U);
  EXPECT_GT(seams_.progress.retries, 0);
}

// ---- What merges ---------------------------------------------------------------------

class MergingCopierTest : public CopierTest {
 protected:
  // The target holds some of it, something else and something more.
  void create_both_sides() {
    create_source(20);
    create_twin();
    for (int i = 0; i < 20; i += 2) put(i, R"("a": 1)");
    put(4, R"("a": "old")");
    for (int i = 100; i < 110; ++i) put(i, R"("a": 1)");
  }
  void put(int id, const std::string& rest) {
    const bson::Document document = json("{\"_id\": " + std::to_string(id) + ", " + rest + "}");
    ASSERT_TRUE(seams_.target_set.put(*seams_.target_set.find(kNs), document.view()));
  }
  CopyJob merge_job() {
    CopyJob job = copy_job();
    job.merge = true;
    return job;
  }
  void expect_the_same() {
    const MemoryDocuments& wanted = seams_.source_set.find(kNs)->documents;
    const MemoryDocuments& found = seams_.target_set.find(kNs)->documents;
    ASSERT_EQ(found.size(), wanted.size());
    for (const auto& [id, stored] : wanted) EXPECT_EQ(*found.at(id).document, *stored.document);
  }
};

// Counts what is written.
class CountingTarget final : public MemoryTarget {
 public:
  using MemoryTarget::MemoryTarget;
  Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents, InsertFence fence) override {
    for ([[maybe_unused]] const bson::Element& document : documents) ++written;
    by_name |= fence == InsertFence::name;
    return MemoryTarget::insert(twin, documents, fence);
  }
  Result<std::vector<OperationFailure>> apply(std::span<const TargetOperation> operations) override {
    written += operations.size();
    return MemoryTarget::apply(operations);
  }
  std::size_t written = 0;
  bool by_name = false;
};

TEST_F(MergingCopierTest, WritesWhatDiffersAndNothingElse) {
  create_both_sides();
  CountingTarget target(seams_.target_set, seams_.faults);
  Copier copier({seams_.source, target, seams_.clock, jobs_, router_, seams_.progress}, 1, 0);
  jobs_.put(merge_job());
  std::vector<RouterMessage> messages;
  for (int i = 0; i < 100 && messages.empty(); ++i) {
    ASSERT_TRUE(copier.step());
    messages = router_.take();
  }
  ASSERT_EQ(messages.size(), 1U);
  const auto& ended = std::get<RangeEnded>(messages[0]);
  EXPECT_EQ(ended.how, RangeEnded::How::copied);
  EXPECT_EQ(ended.copied.documents, 20);
  EXPECT_EQ(ended.read_time, seams_.source_set.now());
  EXPECT_EQ(target.written, 10U + 1U + 10U) << "missing, different, surplus";
  expect_the_same();
}

TEST_F(MergingCopierTest, KeepsToItsRange) {
  create_both_sides();
  CopyJob job = merge_job();
  job.bounds = {value_of("4"), value_of("8")};
  EXPECT_EQ(run<RangeEnded>(job).copied.documents, 4);
  EXPECT_EQ(on_target(), 10U + 2U + 10U);
}

// The number shuts out what a lost insert may still do, before the target is read
// again; the name would not.
TEST_F(MergingCopierTest, InsertsByNumberUnderAWorkingName) {
  create_source(10);
  const CollectionSpec spec = seams_.source_set.find(kNs)->spec();
  const Namespace name = first_working_name(spec);
  ref_ = make_ref(spec, {name, seams_.target.create(name, {}).value()});
  CountingTarget target(seams_.target_set, seams_.faults);
  Copier copier({seams_.source, target, seams_.clock, jobs_, router_, seams_.progress}, 1, 0);
  jobs_.put(merge_job());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(copier.step());
  EXPECT_EQ(target.written, 10U);
  EXPECT_FALSE(target.by_name);
}

TEST_F(MergingCopierTest, StopsAtABatchAndGoesOnThere) {
  create_both_sides();
  jobs_.put(merge_job());
  ASSERT_TRUE(copier_.step());
  stop_->store(true);
  ASSERT_TRUE(copier_.step());
  const auto messages = router_.take();
  ASSERT_EQ(messages.size(), 1U);
  const auto& stopped = std::get<RangeEnded>(messages[0]);
  EXPECT_EQ(stopped.how, RangeEnded::How::stopped);
  EXPECT_EQ(stopped.resume_at.value().as_int64(), 2);
  stop_->store(false);
  CopyJob again = merge_job();
  again.resume_at = stopped.resume_at;
  EXPECT_EQ(run<RangeEnded>(again).how, RangeEnded::How::copied);
  expect_the_same();
}

TEST_F(MergingCopierTest, ATwinThatIsGoneIsNoCollectionThatIsGone) {
  create_both_sides();
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  jobs_.put(merge_job());
  const auto step = copier_.step();
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, ErrorCode::wrong_state);
  EXPECT_NE(step.error().message.find("somebody else removed db.c"), std::string::npos) << step.error().message;
}

TEST_F(MergingCopierTest, ReportsACollectionThatIsGone) {
  create_both_sides();
  ASSERT_TRUE(seams_.source_set.drop(kNs));
  EXPECT_EQ(run<RangeEnded>(merge_job()).how, RangeEnded::How::gone);
}

TEST_F(MergingCopierTest, NamesTheDocumentsThatTheTargetRejects) {
  create_source(3);
  create_twin();
  put(1, R"("a": 2)");
  ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"key": {"a": 1}, "name": "u", "unique": true})")}}));
  jobs_.put(merge_job());
  std::vector<std::int64_t> rejected;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(copier_.step());
    for (const RouterMessage& message : router_.take()) {
      if (const auto* named = std::get_if<Rejected>(&message)) {
        for (const bson::OwnedValue& id : named->ids) rejected.push_back(id.value().as_int64());
      }
    }
  }
  EXPECT_EQ(rejected, (std::vector<std::int64_t>{2, 1})) << "an insert and a replacement";
}

TEST_F(MergingCopierTest, ComesToTheSameThroughFailures) {
  create_both_sides();
  copy_through_failures(merge_job());
  expect_the_same();
}

}  // namespace
}  // namespace plm
