// Saves that fail, calls that fail, processes that end, anywhere.
#include "bson/same_fields.h"
#include "control/test_controller.h"

namespace plm {
namespace {

// ---- Saves that fail -----------------------------------------------------------------------------------

class FailingSaveTest : public ControllerTest, public testing::WithParamInterface<Trouble> {};

// The request is refused; what the store says in the end is the truth of the process.
TEST_P(FailingSaveTest, LeavesTheStateAsItWas) {
  const auto fails = [&](const std::string& what, JobState after, const std::function<Status()>& request) {
    const JobState before = controller_->status().state;
    store_.arm(of_record(after), GetParam(), 1);
    EXPECT_FALSE(request()) << what;
    EXPECT_EQ(controller_->status().state, before) << what;
    for (int i = 0; i < 100; ++i) turn();
    EXPECT_EQ(controller_->status().state, before) << what;
    EXPECT_EQ(saved_state(), before) << what;
  };
  fails("start", JobState::running, [&] { return controller_->start({}); });
  replicate();
  fails("pause", JobState::paused, [&] { return controller_->pause(); });
  ASSERT_TRUE(controller_->pause());
  fails("resume", JobState::running, [&] { return controller_->resume({}); });
  fails("finalize", JobState::finalizing, [&] { return controller_->finalize(); });
  fails("reset", JobState::idle, [&] { return controller_->reset(); });
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  expect_the_same();
}

INSTANTIATE_TEST_SUITE_P(Outcomes, FailingSaveTest, testing::Values(Trouble::fails_before, Trouble::fails_after));

// I9: whether the save that begins the conversion was done cannot be told, so
// the engine, which would replay, must not come back.
TEST_P(FailingSaveTest, TheOneThatBeginsTheConversionIsRepeatedUntilItSucceeds) {
  replicate();
  store_.arm(of_record(JobState::finalizing, true), GetParam(), 5);
  ASSERT_TRUE(controller_->finalize());
  each_turn_ = [&] {
    if (store_.happened() && swaps_ < 3) swap_values();
  };
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_EQ(swaps_, 3);
  EXPECT_EQ(target_.writes_over_real_indexes(), 0);
  EXPECT_TRUE(controller_->status().finalization->unsuccessful_indexes.empty());
}

TEST_P(FailingSaveTest, TheLastOneIsRepeatedUntilItSucceeds) {
  replicate();
  store_.arm(of_record(JobState::finalized, true), GetParam(), 5);
  ASSERT_TRUE(controller_->finalize());
  ASSERT_TRUE(comes_to(JobState::finalized)) << describe();
  EXPECT_TRUE(store_.happened());
  expect_the_same();
}

TEST_P(FailingSaveTest, AFailureIsSaidAtOnceAndSavedLater) {
  replicate();
  store_.arm(of_record(JobState::failed), GetParam(), 5);
  ASSERT_TRUE(target_set_.drop({"db", "d"}));
  ASSERT_TRUE(source_set_.insert({"db", "d"}, json(R"({"_id": "y"})").view()));
  ASSERT_TRUE(comes_to(JobState::failed)) << describe();
  ASSERT_TRUE(turn_until([&] { return saved_state() == JobState::failed; }));
}

// ---- Crashes, and failures anywhere -------------------------------------------------------------------

// One job from start to end, by a user who asks again until it is done. The n-th
// save goes wrong, for every n until there is no such save any more.
class EverySaveTest : public testing::TestWithParam<Trouble> {};

class WholeJob : public ControllerTest {
 public:
  explicit WholeJob(FaultRates rates = {}, std::uint64_t seed = 1) : ControllerTest(rates, seed) { SetUp(); }
  void TestBody() override {}

  [[nodiscard]] TroubledStore& store() { return store_; }
  void portable() { target_.set_apply_mode(ApplyMode::portable); }
  void faults_end() { faults_.switch_off(); }

  void run() {
    int turns = 0;
    bool paused = false;
    bool wrote = false;
    while (controller_->status().state != JobState::finalized) {
      ASSERT_LT(++turns, 30'000) << describe();
      if (turns == 15'000) faults_.switch_off();
      turn();
      const StatusReport report = controller_->status();
      switch (report.state) {
        case JobState::idle:
          (void)surviving([&] { return controller_->start({}).has_value(); });
          break;
        case JobState::running:
          if (!report.initial_sync.completed) break;
          if (!std::exchange(wrote, true)) swap_values();
          if (!paused) {
            paused = surviving([&] { return controller_->pause().has_value(); }).value_or(false);
          } else {
            (void)surviving([&] { return controller_->finalize().has_value(); });
          }
          break;
        case JobState::paused:
          paused = true;
          (void)surviving([&] { return controller_->resume({}).has_value(); });
          break;
        case JobState::finalizing:
          // The unique values change hands again: whoever replays this over real indexes breaks them.
          if (swaps_ < 4 && turns % 7 == 0) swap_values();
          break;
        case JobState::failed:
          FAIL() << describe();
        case JobState::finalized:
          break;
      }
    }
  }
  void check() {
    EXPECT_EQ(target_.writes_over_real_indexes(), 0) << "I9";
    const StatusReport report = controller_->status();
    ASSERT_TRUE(report.finalization);
    EXPECT_TRUE(report.finalization->unsuccessful_indexes.empty());
    EXPECT_TRUE(report.finalization->differences.empty()) << report.finalization->differences.front();
    for (const IndexSpec& wanted : {kUnique, kTtl}) {
      const auto& indexes = target_set_.find(kNs)->indexes;
      const auto found = std::ranges::find(indexes, wanted.name(), &IndexSpec::name);
      ASSERT_NE(found, indexes.end());
      EXPECT_TRUE(same_fields(found->spec.view(), wanted.spec.view())) << found->spec.view().json();
    }
    EXPECT_EQ(target_set_.find(kNs)->documents.size(), 10U);
  }
};

TEST_P(EverySaveTest, TheJobComesToItsEnd) {
  int n = 0;
  for (bool happened = true; happened;) {
    SCOPED_TRACE("save " + std::to_string(++n));
    WholeJob job;
    job.store().arm(n, GetParam());
    job.run();
    job.check();
    happened = job.store().happened();
    if (HasFailure()) return;
  }
  EXPECT_GT(n, 8);
}

INSTANTIATE_TEST_SUITE_P(Troubles, EverySaveTest,
                         testing::Values(Trouble::fails_before, Trouble::fails_after, Trouble::fails_between,
                                         Trouble::crashes_before, Trouble::crashes_after));

TEST(ControllerFaults, AnyCallMayFailOrBeTheLastOfAProcess) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    WholeJob job({.before = 0.02,
                  .after = 0.02,
                  .partly = 0.02,
                  .reader_dies = 0.02,
                  .stream_dies = 0.02,
                  .crash = seed % 2 == 0 ? 0.002 : 0.0},
                 seed);
    if (seed % 3 == 0) job.portable();
    job.run();
    job.check();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace plm
