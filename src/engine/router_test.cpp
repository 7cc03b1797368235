#include "engine/router.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/job_start.h"
#include "engine/reader.h"
#include "engine/test_seams.h"
#include "engine/working_name.h"

namespace plm {
namespace {

const Namespace kBusy{"db", "busy"};
const Namespace kOther{"db", "other"};

// A Router with its Reader and Saver on a source in memory. The test plays the
// copiers, the index builders and the one applier.
class RouterTest : public testing::Test {
 protected:
  Uuid create(const Namespace& ns, std::string_view options = "{}") {
    return seams_.source_set.create(ns, json(options).view()).value();
  }
  void insert(const Namespace& ns, std::string_view document) {
    ASSERT_TRUE(seams_.source_set.insert(ns, json(document).view()));
  }
  void begin(std::size_t memory = 1'000'000) {
    std::vector<std::string> warnings;
    auto job = begin_job(seams_.source, seams_.store, Filter(), warnings);
    ASSERT_TRUE(job) << job.error().message;
    const Position start = job->position.position;
    router_ = std::make_unique<Router>(Router::Parts{seams_.source, seams_.target, seams_.clock, seams_.progress,
                                                     parking_, preparations_, copies_, index_jobs_},
                                       Router::Settings{{4, 4, 0, 1000, 0, memory}, 2, memory, Filter()},
                                       *std::move(job), std::vector{&applier_}, 1);
    reader_ =
        std::make_unique<Reader>(seams_.source, seams_.clock, seams_.progress, start, Source::StreamOptions{true}, 2);
    events_ = std::make_unique<EventQueue>(reader_->signal(), router_->signal(), memory);
    saver_ = std::make_unique<Saver>(seams_.store, seams_.clock, router_->inbox(), seams_.progress, 3);
    reader_->connect(*events_);
    router_->connect(*events_, *saver_);
  }
  // Everything that can move without the workers, moves.
  void run() {
    for (int i = 0; i < 40; ++i) {
      for (Role* role : std::initializer_list<Role*>{reader_.get(), router_.get(), saver_.get()}) {
        if (role == saver_.get() && saver_rests_) continue;
        auto step = role->step();
        ASSERT_TRUE(step) << step.error().message;
      }
      seams_.clock.advance(Millis(100));
    }
  }
  void prepare_all(std::size_t ranges = 1, bool with_indexes = false) {
    while (auto job = preparations_.take(signal_)) {
      Prepared out;
      out.collection = job->spec.uuid;
      const Namespace name = under_working_names_ ? first_working_name(job->spec) : job->spec.ns;
      out.twin = {name, seams_.target.create(name, {}).value()};
      if (with_indexes) {
        for (const IndexSpec& index : job->indexes) out.indexes.push_back({index.name(), {}});
      }
      out.ranges.resize(1);
      for (std::size_t i = 1; i < ranges; ++i) {
        const bson::OwnedValue bound = value_of(std::to_string(i * 100));
        out.ranges.back().max = bound;
        out.ranges.push_back({bound, {}});
      }
      router_->inbox().post(std::move(out));
      run();
    }
  }
  std::vector<CopyJob> copy_jobs() {
    std::vector<CopyJob> out;
    while (auto job = copies_.take(signal_)) out.push_back(*std::move(job));
    return out;
  }
  void end(const CopyJob& job, RangeEnded::How how) {
    RangeEnded out;
    out.range = job.range;
    out.how = how;
    router_->inbox().post(out);
    run();
  }
  // What the applier got, as "insert db.c 1"; acknowledged when asked for.
  std::vector<std::string> applied(bool acknowledge = true) {
    std::vector<std::string> out;
    for (const Operation& operation : applier_.take()) {
      const std::string kind = operation.kind == OperationKind::insert ? "insert " : "other ";
      out.push_back(kind + operation.collection->twin.ns.text() + " " + bson::to_json(operation.id));
      last_sequence_ = operation.sequence;
    }
    if (acknowledge) applier_.acknowledge(last_sequence_);
    return out;
  }

  TestSeams seams_;
  Parking parking_{seams_.store, seams_.progress};
  JobQueue<PrepareJob> preparations_;
  JobQueue<CopyJob> copies_;
  JobQueue<IndexJob> index_jobs_;
  Signal signal_;  // of a worker
  Signal applier_signal_;
  ApplierQueue applier_{applier_signal_};
  std::unique_ptr<Router> router_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<EventQueue> events_;
  std::unique_ptr<Saver> saver_;
  std::uint64_t last_sequence_ = 0;
  bool saver_rests_ = false;
  bool under_working_names_ = false;
};

using Lines = std::vector<std::string>;

// I1, I2: dropped before the copy's start, kept during it, sent after it.
TEST_F(RouterTest, TreatsAnEventByTheStateOfItsRange) {
  create(kNs);
  begin();
  insert(kNs, R"({"_id": 1})");
  run();
  prepare_all();
  const auto jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 1U);
  insert(kNs, R"({"_id": 2})");
  run();
  EXPECT_EQ(applied(), Lines{});
  end(jobs[0], RangeEnded::How::copied);
  insert(kNs, R"({"_id": 3})");
  run();
  EXPECT_EQ(applied(), (Lines{"insert db.c 2", "insert db.c 3"}));
}

// I4: what was kept has to be acknowledged before the copy counts.
TEST_F(RouterTest, ACopyCountsWhenItsKeptEventsAreAcknowledged) {
  create(kNs);
  begin();
  run();
  prepare_all();
  const auto jobs = copy_jobs();
  insert(kNs, R"({"_id": 2})");
  run();
  end(jobs[0], RangeEnded::How::copied);
  (void)applied(false);
  run();
  EXPECT_EQ(router_->view().collections_copied, 0);
  (void)applied();
  run();
  EXPECT_EQ(router_->view().collections_copied, 1);
  EXPECT_TRUE(router_->view().clone_completed);
}

// A restart must not take back what was said.
TEST_F(RouterTest, ThatTheCopyIsCompleteIsSaidWhenItIsSaved) {
  create(kNs);
  begin();
  run();
  prepare_all();
  const auto jobs = copy_jobs();
  saver_rests_ = true;
  end(jobs[0], RangeEnded::How::copied);
  EXPECT_EQ(router_->view().collections_copied, 1);
  EXPECT_FALSE(router_->view().clone_completed);
  saver_rests_ = false;
  run();
  EXPECT_TRUE(router_->view().clone_completed);
}

// ---- Working names -----------------------------------------------------------------

TEST_F(RouterTest, ATwinGetsItsNameWhenItIsCopied) {
  under_working_names_ = true;
  create(kNs);
  begin();
  run();
  prepare_all(2);
  const auto jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 2U);
  insert(kNs, R"({"_id": 2})");
  run();
  end(jobs[0], RangeEnded::How::copied);
  EXPECT_EQ(seams_.target_set.find(kNs), nullptr);
  const std::string working_name = jobs[0].collection->twin.ns.text();
  EXPECT_EQ(applied(), Lines{"insert " + working_name + " 2"});
  end(jobs[1], RangeEnded::How::copied);
  EXPECT_EQ(seams_.target_set.find(kNs)->uuid, jobs[0].collection->twin.uuid);
  insert(kNs, R"({"_id": 3})");
  run();
  EXPECT_EQ(applied(), Lines{"insert db.c 3"});
  run();
  EXPECT_TRUE(router_->view().clone_completed);
}

TEST_F(RouterTest, AfterAnInsertOfUnknownOutcomeATwinGetsAnotherWorkingName) {
  under_working_names_ = true;
  create(kNs);
  begin();
  run();
  prepare_all(2);
  auto jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 2U);
  const Twin before = jobs[0].collection->twin;
  end(jobs[0], RangeEnded::How::unsure);
  EXPECT_TRUE(jobs[1].stop->load()) << "it inserts under the old name";
  EXPECT_TRUE(copy_jobs().empty()) << "before what was sent is shut out";
  end(jobs[1], RangeEnded::How::copied);
  jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].range.index, 0U);
  EXPECT_EQ(jobs[0].collection->twin, (Twin{next_working_name(before.ns), before.uuid}));
  EXPECT_EQ(seams_.target_set.find(before.ns), nullptr);
}

TEST_F(RouterTest, ATwinThatTheSourceRenamedNeedsNoOtherNameAnyMore) {
  under_working_names_ = true;
  create(kNs);
  begin();
  run();
  prepare_all();
  auto jobs = copy_jobs();
  ASSERT_TRUE(seams_.source_set.rename(kNs, kOther, false));
  run();
  end(jobs[0], RangeEnded::How::unsure);
  EXPECT_NE(seams_.target_set.find(kOther), nullptr);
  jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].collection->twin.ns, kOther);
  end(jobs[0], RangeEnded::How::copied);
  EXPECT_NE(seams_.target_set.find(kOther), nullptr);
}

// ---- Changes of structure ------------------------------------------------------------

// A change waits for what was sent, not for what is kept for a range, which
// waits for the change.
TEST_F(RouterTest, ARenameDuringTheCopyWaitsForNothingThatIsKept) {
  create(kNs);
  begin();
  run();
  prepare_all();
  auto jobs = copy_jobs();
  insert(kNs, R"({"_id": 2})");
  ASSERT_TRUE(seams_.source_set.rename(kNs, kOther, false));
  run();
  EXPECT_TRUE(jobs[0].stop->load());
  EXPECT_NE(seams_.target_set.find(kNs), nullptr);
  end(jobs[0], RangeEnded::How::stopped);
  EXPECT_NE(seams_.target_set.find(kOther), nullptr);
  jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 1U) << "the copy goes on";
  end(jobs[0], RangeEnded::How::copied);
  EXPECT_EQ(applied(), Lines{"insert db.other 2"});
}

// A range that stops while a change of another collection is under way must not
// be forgotten: nobody would copy it, and the first sync would never end.
TEST_F(RouterTest, ARangeThatStopsDuringAChangeOfAnotherCollectionGoesOn) {
  create(kBusy);
  create(kOther);
  begin();
  run();
  prepare_all();
  auto jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 2U);
  if (jobs[0].collection->twin.ns != kBusy) std::swap(jobs[0], jobs[1]);
  ASSERT_TRUE(seams_.source_set.drop(kOther));
  run();
  EXPECT_TRUE(jobs[1].stop->load());
  end(jobs[0], RangeEnded::How::stopped);
  EXPECT_TRUE(copy_jobs().empty()) << "while a change is under way nothing is begun";
  end(jobs[1], RangeEnded::How::stopped);
  jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].collection->twin.ns, kBusy);
  EXPECT_EQ(seams_.target_set.find(kOther), nullptr);
}

// What waits for room at the appliers takes messages all the same.
TEST_F(RouterTest, FullAppliersDoNotKeepARangeFromEnding) {
  create(kNs);
  create(kOther);
  begin(2000);
  run();
  prepare_all();
  const auto jobs = copy_jobs();
  ASSERT_EQ(jobs.size(), 2U);
  end(jobs[0], RangeEnded::How::copied);
  const Namespace& copied = jobs[0].collection->twin.ns;
  for (int i = 0; i < 100; ++i) insert(copied, "{\"_id\": " + std::to_string(i) + "}");
  run();
  EXPECT_TRUE(router_->view().stream_waits);
  end(jobs[1], RangeEnded::How::copied);
  EXPECT_EQ(router_->view().copying, Lines{});
}

// A TTL that changes on the source is no reason to stop a copy: while the job
// runs the target has none.
TEST_F(RouterTest, AChangeThatTheTargetDoesNotGetStopsNoWork) {
  create(kNs);
  ASSERT_TRUE(seams_.source_set.create_indexes(
      kNs, {{json(R"({"v": 2, "key": {"a": 1}, "name": "a_1", "expireAfterSeconds": 60})")}}));
  begin();
  run();
  prepare_all();
  const auto jobs = copy_jobs();
  end(jobs[0], RangeEnded::How::copied);
  const auto build = index_jobs_.take(signal_);
  ASSERT_TRUE(build);
  ASSERT_TRUE(seams_.source_set.modify(kNs, json(R"({"index": {"name": "a_1", "expireAfterSeconds": 70}})").view()));
  insert(kNs, R"({"_id": 1})");
  run();
  EXPECT_FALSE(build->stop->load());
  EXPECT_EQ(applied(), Lines{"insert db.c 1"}) << "the stream went on";
}

// Nobody could repair it: finalize would be refused for ever.
TEST_F(RouterTest, ADroppedCollectionTakesItsParkedDocumentsAlong) {
  const Uuid uuid = create(kNs);
  begin();
  run();
  prepare_all();
  end(copy_jobs().at(0), RangeEnded::How::copied);
  parking_.restore({uuid, kNs, value_of("1"), "E11000"});
  ASSERT_TRUE(seams_.source_set.drop(kNs));
  run();
  EXPECT_EQ(seams_.progress.parked, 0);
}

TEST_F(RouterTest, APauseComesToRestAndGoesOn) {
  create(kNs);
  begin();
  run();
  prepare_all();
  auto jobs = copy_jobs();
  router_->pause();
  run();
  EXPECT_TRUE(jobs[0].stop->load());
  EXPECT_FALSE(router_->view().paused);
  end(jobs[0], RangeEnded::How::stopped);
  EXPECT_TRUE(router_->view().paused);
  EXPECT_TRUE(copy_jobs().empty());
  router_->resume();
  run();
  EXPECT_FALSE(router_->view().paused);
  EXPECT_EQ(copy_jobs().size(), 1U);
}

TEST_F(RouterTest, AnIndexThatCameWithTheTwinIsNotBuiltAgain) {
  const Uuid uuid = create(kOther);
  ASSERT_TRUE(seams_.source_set.create_indexes(kOther, {{json(R"({"v": 2, "key": {"a": 1}, "name": "a_1"})")}}));
  begin();
  run();
  prepare_all(1, true);
  EXPECT_EQ(router_->catalog().find(uuid)->find_index("a_1")->state, IndexState::built);
  for (const CopyJob& job : copy_jobs()) end(job, RangeEnded::How::copied);
  EXPECT_FALSE(index_jobs_.take(signal_));
}

}  // namespace
}  // namespace plm
