#include "engine/applier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/test_seams.h"

namespace plm {
namespace {

using enum OperationKind;

// The source holds collection c, the target its twin.
class ApplierTest : public testing::Test {
 protected:
  void SetUp() override { create("{}"); }
  void create(std::string_view options) {
    (void)seams_.source_set.drop(kNs);
    (void)seams_.target_set.drop(kNs);
    const Uuid source = seams_.source_set.create(kNs, json(options).view()).value();
    const Uuid target = seams_.target_set.create(kNs, json(options).view()).value();
    ref_ = collection_ref(kNs, source, target, options);
    applier_.connect(router_);
  }
  void on_source(std::string_view document) { ASSERT_TRUE(seams_.source_set.insert(kNs, json(document).view())); }
  void on_target(std::string_view document) { ASSERT_TRUE(seams_.target_set.insert(kNs, json(document).view())); }
  void unique_on_target() {
    ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"key": {"u": 1}, "name": "u", "unique": true})")}}));
  }
  void send(OperationKind kind, std::string_view id, std::string_view body = "{}") {
    Operation sent = operation(kind, ref_, id, body);
    sent.sequence = ++sent_;
    sent.time = seams_.source_set.now();
    outgoing_.push_back(std::move(sent));
  }
  // Hands over what was sent, as one batch; whether it is all acknowledged.
  bool apply() { return apply_with(applier_); }
  bool apply_with(Applier& applier) {
    applier.queue().push(outgoing_);
    const auto step = applier.step();
    EXPECT_TRUE(step) << (step ? "" : step.error().message);
    return applier.queue().acknowledged() == sent_;
  }
  [[nodiscard]] std::string target(std::string_view id) { return TestSeams::document(seams_.target_set, kNs, id); }
  [[nodiscard]] std::size_t parked() { return seams_.store.load("parked")->size(); }

  TestSeams seams_;
  Signal router_;
  Parking parking_{seams_.store, seams_.progress};
  Applier::Parts parts_{seams_.source, seams_.target, parking_, seams_.clock, seams_.progress};
  Applier applier_{parts_, 1, 100};
  std::shared_ptr<const CollectionRef> ref_;
  std::vector<Operation> outgoing_;
  std::uint64_t sent_ = 0;
};

TEST_F(ApplierTest, AppliesABatchAndAcknowledgesIt) {
  send(insert, "1", R"({"_id": 1, "a": 1})");
  send(insert, "2", R"({"_id": 2})");
  send(update, "1", R"({"u": {"a": 2}})");
  send(replace, "2", R"({"_id": 2, "b": 1})");
  send(insert, "3", R"({"_id": 3})");
  send(erase, "3");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": 2})"));
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "b": 1})"));
  EXPECT_EQ(target("3"), "");
  EXPECT_EQ(seams_.progress.events_applied, 6);
  EXPECT_EQ(applier_.step().value(), Step::waiting);
}

TEST_F(ApplierTest, AcknowledgesBatchByBatch) {
  Applier applier(parts_, 1, 2);
  applier.connect(router_);
  for (const std::string_view id : {"1", "2", "3"}) send(insert, id, "{\"_id\": " + std::string(id) + "}");
  EXPECT_FALSE(apply_with(applier));
  EXPECT_EQ(applier.queue().acknowledged(), 2U);
  EXPECT_EQ(target("3"), "");
  EXPECT_TRUE(apply_with(applier));
}

// After a restart the stream tells again what the target already has.
TEST_F(ApplierTest, AppliesTheSameAgain) {
  for (int i = 0; i < 3; ++i) {
    send(insert, "1", R"({"_id": 1, "a": 1})");
    EXPECT_TRUE(apply());
    send(update, "1", R"({"u": {"a": 2}})");
    send(insert, "2", R"({"_id": 2})");
    send(erase, "2");
    send(erase, "2");
    EXPECT_TRUE(apply());
  }
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": 2})"));
  EXPECT_EQ(target("2"), "");
}

TEST_F(ApplierTest, AnEqualIdOfAnotherTypeReplacesTheDocument) {
  send(insert, "1", R"({"_id": 1})");
  send(erase, "1.0");
  send(insert, R"({"$numberLong": "1"})", R"({"_id": {"$numberLong": "1"}, "a": 1})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(seams_.target_set.find(kNs)->documents.size(), 1U);
  EXPECT_EQ(seams_.target_set.find(kNs)->documents.begin()->second.document->view()["_id"].type(), BSON_TYPE_INT64);
}

// What was folded is as new as its last part: so is what is read for it.
TEST_F(ApplierTest, ReadsADocumentAgainWhoseFoldedInsertMeetsAnother) {
  on_source(R"({"_id": 1, "a": 3})");
  on_target(R"({"_id": 1, "x": 9})");
  send(insert, "1", R"({"_id": 1, "a": 1})");
  send(update, "1", R"({"u": {"a": 2}})");
  send(update, "1", R"({"u": {"a": 3}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": 3})"));
  EXPECT_EQ(seams_.progress.events_applied, 3);
}

// ---- Reading again -----------------------------------------------------------------

// A diff cannot be applied to nothing. To skip it would lose the document.
TEST_F(ApplierTest, ReadsADocumentAgainWhoseDiffFindsNone) {
  on_source(R"({"_id": 1, "a": 2, "b": 3})");
  send(update, "1", R"({"u": {"a": 2}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": 2, "b": 3})"));
  // Documents read now are newer than the stream's position: it is said, so
  // that nobody takes the two sides for equal before the stream is there.
  EXPECT_EQ(seams_.progress.read_ahead.get(), seams_.source_set.now());
}

TEST_F(ApplierTest, ADocumentThatIsGoneFromTheSourceIsErased) {
  on_target(R"({"_id": 1})");
  send(reread, "1");
  send(update, "2", R"({"u": {"a": 2}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), "");
  EXPECT_EQ(target("2"), "");
}

TEST_F(ApplierTest, LaterUpdatesFollowAReread) {
  on_source(R"({"_id": 1, "a": 1})");
  send(reread, "1");
  send(update, "1", R"({"u": {"a": 2}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": 2})"));
}

// An older view of a freshly elected primary may not have the document yet:
// taken for deleted, it would be lost for good.
TEST_F(ApplierTest, NeverReadsFromBeforeTheEvent) {
  on_source(R"({"_id": 1})");
  send(reread, "1");
  outgoing_.back().time = {seams_.source_set.now().seconds + 10, 1};
  EXPECT_FALSE(apply());
  EXPECT_EQ(seams_.progress.retries, 1);
  for (int i = 0; i < 200; ++i) seams_.source_set.append_note();
  seams_.clock.advance(Millis(10'000));
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1})"));
}

// By name it would be another collection's document, or none.
TEST_F(ApplierTest, ReadsByUuidNotByName) {
  on_source(R"({"_id": 1, "a": "right"})");
  ASSERT_TRUE(seams_.source_set.rename(kNs, {"db", "renamed"}));
  on_source(R"({"_id": 1, "a": "wrong"})");
  send(reread, "1");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": "right"})"));
}

TEST_F(ApplierTest, LeavesACollectionAloneThatIsGoneAheadOfTheStream) {
  on_target(R"({"_id": 1})");
  send(reread, "1");
  ASSERT_TRUE(seams_.source_set.drop(kNs));
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1})")) << "its drop will come with the stream";
}

// ---- Parking -----------------------------------------------------------------------

// The stream shows a moment at which the target's own index is violated; the
// source's present state is not in its way.
TEST_F(ApplierTest, WhatIsRejectedIsWrittenAsTheSourceHasIt) {
  unique_on_target();
  on_target(R"({"_id": 1, "u": "x"})");
  on_source(R"({"_id": 2, "u": "y"})");
  send(insert, "2", R"({"_id": 2, "u": "x"})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "u": "y"})"));
  EXPECT_EQ(parked(), 0U);
}

// Acknowledged first, a crash behind it would forget the document in silence.
TEST_F(ApplierTest, ParksDurablyBeforeItAcknowledges) {
  unique_on_target();
  on_target(R"({"_id": 1, "u": "x"})");
  on_source(R"({"_id": 2, "u": "x"})");
  send(insert, "2", R"({"_id": 2, "u": "x"})");
  send(insert, "3", R"({"_id": 3, "u": "z"})");

  FaultPlan failing(seams_.random, {.before = 1});
  MemoryStateStore full(failing);
  Parking refusing(full, seams_.progress);
  Applier applier({seams_.source, seams_.target, refusing, seams_.clock, seams_.progress}, 1, 100);
  applier.connect(router_);
  std::vector<Operation> copy = outgoing_;
  EXPECT_FALSE(apply_with(applier)) << "nothing may be acknowledged before it is parked";
  EXPECT_EQ(applier.queue().acknowledged(), 0U);

  outgoing_ = std::move(copy);
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("3"), text_of(R"({"_id": 3, "u": "z"})")) << "others do not wait";
  ASSERT_EQ(parked(), 1U);
  const auto entry = parked_from(seams_.store.load("parked")->front().view());
  EXPECT_EQ(entry->collection, ref_->source_uuid);
  EXPECT_EQ(entry->id.value().as_int64(), 2);
  EXPECT_NE(entry->reason.find("E11000"), std::string::npos);
  EXPECT_EQ(seams_.progress.parked, 1);
  ASSERT_EQ(seams_.progress.parked_sample().size(), 1U);
  EXPECT_EQ(seams_.progress.parked_sample()[0].find("db.c 2: "), 0U) << seams_.progress.parked_sample()[0];
}

// A diff on the stale version of a parked document would make a document that
// the source never held.
TEST_F(ApplierTest, AParkedDocumentIsReadAgainForEveryEvent) {
  unique_on_target();
  on_target(R"({"_id": 1, "u": "x"})");
  on_target(R"({"_id": 2, "u": "stale"})");
  on_source(R"({"_id": 2, "u": "x"})");
  send(replace, "2", R"({"_id": 2, "u": "x"})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(parked(), 1U);
  send(update, "2.0", R"({"i": {"b": 1}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "u": "stale"})"));
  EXPECT_EQ(parked(), 1U);
  EXPECT_EQ(seams_.progress.parked, 1) << "it is parked once";
}

TEST_F(ApplierTest, ReleasesAParkedDocumentThatCanBeWritten) {
  unique_on_target();
  on_target(R"({"_id": 1, "u": "x"})");
  on_source(R"({"_id": 2, "u": "x"})");
  send(insert, "2", R"({"_id": 2, "u": "x"})");
  EXPECT_TRUE(apply());
  ASSERT_EQ(parked(), 1U);
  send(erase, "1");
  EXPECT_TRUE(apply());
  send(update, "2", R"({"i": {"b": 1}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "u": "x"})"));
  EXPECT_EQ(parked(), 0U);
  EXPECT_EQ(seams_.progress.parked, 0);
  EXPECT_TRUE(seams_.progress.parked_sample().empty());
  send(update, "2", R"({"i": {"b": 1}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "u": "x", "b": 1})")) << "events are applied again";
}

TEST_F(ApplierTest, WhatAnEarlierProcessParkedIsStillParked) {
  on_source(R"({"_id": 2, "a": "now"})");
  on_target(R"({"_id": 2, "a": "stale"})");
  const ParkedDocument entry{ref_->source_uuid, kNs, value_of("2"), "an old reason"};
  const StoreChange change = park(entry);
  ASSERT_TRUE(seams_.store.save({&change, 1}));
  parking_.restore(entry);
  send(update, R"({"$numberLong": "2"})", R"({"i": {"b": 1}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "a": "now"})"));
  EXPECT_EQ(parked(), 0U);
}

// Events of the past may hold two arrays where an index of the present allows
// one: the batch behind such a document must not wait for it.
TEST_F(ApplierTest, ADocumentThatAnIndexCannotTakeStopsNobody) {
  ASSERT_TRUE(seams_.target_set.create_indexes(kNs, {{json(R"({"key": {"a": 1, "b": 1}, "name": "ab"})")}}));
  on_source(R"({"_id": 1, "a": 1, "b": 2})");
  send(replace, "1", R"({"_id": 1, "a": [1], "b": [2]})");
  send(replace, "2", R"({"_id": 2})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target("1"), text_of(R"({"_id": 1, "a": 1, "b": 2})"));
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2})"));
  EXPECT_EQ(parked(), 0U);
}

// ---- Collations ---------------------------------------------------------------------

// For this collation "a" and "A" are one key; only the server knows.
TEST_F(ApplierTest, UnderACollationTheOrderDecides) {
  create(R"({"collation": {"locale": "en", "strength": 2}})");
  send(insert, R"("a")", R"({"_id": "a"})");
  send(erase, R"("a")");
  send(insert, R"("A")", R"({"_id": "A", "n": 2})");
  send(update, R"("A")", R"({"u": {"n": 3}})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(target(R"("a")"), text_of(R"({"_id": "A", "n": 3})"));
  EXPECT_EQ(seams_.target_set.find(kNs)->documents.size(), 1U);
}

TEST_F(ApplierTest, UnderACollationARereadTakesWhatTheSourceTakesForTheKey) {
  create(R"({"collation": {"locale": "en", "strength": 2}})");
  on_source(R"({"_id": "A", "n": 2})");
  on_source(R"({"_id": "b", "n": 5})");
  on_target(R"({"_id": "a", "n": 1})");
  for (const std::string_view id : {R"("a")", R"("B")", R"("c")"}) send(reread, id);
  EXPECT_TRUE(apply());
  EXPECT_EQ(target(R"("a")"), text_of(R"({"_id": "A", "n": 2})"));
  EXPECT_EQ(target(R"("b")"), text_of(R"({"_id": "b", "n": 5})"));
  EXPECT_EQ(target(R"("c")"), "");
}

// ---- Capped collections ----------------------------------------------------------------

class CappedApplierTest : public ApplierTest {
 protected:
  void SetUp() override {
    ApplierTest::SetUp();
    create(R"({"capped": true, "size": 100000})");
  }
  void send_insert(int id, const std::string& fields = "") {
    const std::string text = std::to_string(id);
    send(insert, text, "{\"_id\": " + text + fields + "}");
  }
  void both(int id) {
    const std::string text = "{\"_id\": " + std::to_string(id) + "}";
    on_source(text);
    on_target(text);
  }
  // Of the target, the _ids in natural order.
  std::vector<std::int64_t> order() {
    std::vector<std::int64_t> out;
    for (const MemoryDocument& stored : seams_.target_set.find(kNs)->natural_order())
      out.push_back((*stored.document)["_id"].as_int64());
    return out;
  }
  using Order = std::vector<std::int64_t>;
};

TEST_F(CappedApplierTest, KeepsTheOrderOfInsertions) {
  for (const int id : {3, 1, 2}) send_insert(id);
  send(update, "3", R"({"u": {"a": 2}})");
  send(erase, "1");
  send_insert(1);
  EXPECT_TRUE(apply());
  EXPECT_EQ(order(), (Order{3, 2, 1}));
}

// As after a restart (I5): the target is ahead of what is told again.
TEST_F(CappedApplierTest, ToldAgainItComesToTheSameOrder) {
  for (int time = 0; time < 3; ++time) {
    for (const int id : {1, 2, 3}) send_insert(id);
    send(erase, "1");
    send_insert(1);
    send_insert(4);
    EXPECT_TRUE(apply());
    EXPECT_EQ(order(), (Order{2, 3, 1, 4})) << time;
  }
}

// The copy read it before the event was met.
TEST_F(CappedApplierTest, AnInsertionOfADocumentThatIsThereMovesItToTheEnd) {
  for (const int id : {1, 2, 3}) both(id);
  send_insert(1);
  send(replace, "2", R"({"_id": 2, "a": 1})");
  EXPECT_TRUE(apply());
  EXPECT_EQ(order(), (Order{2, 3, 1}));
}

TEST_F(CappedApplierTest, WhatStandsForInsertionsIsReadInTheirOrder) {
  for (const int id : {7, 1, 2, 3, 4, 5, 6}) both(id);
  for (const std::string_view id : {"6", "9", "2", "5", "4", "3"}) {
    send(reread, id);
    outgoing_.back().newest = true;
  }
  send(reread, "1");
  EXPECT_TRUE(apply());
  EXPECT_EQ(order(), (Order{7, 1, 6, 2, 5, 4, 3}));
}

// An older version may break an index of today; what comes behind it must not overtake.
TEST_F(CappedApplierTest, ARefusedInsertionKeepsItsPlace) {
  unique_on_target();
  on_target(R"({"_id": 0, "u": 1})");
  for (const int id : {1, 2, 3, 4})
    on_source("{\"_id\": " + std::to_string(id) + ", \"u\": " + std::to_string(10 * id) + "}");
  send_insert(1, ", \"u\": 10");
  send_insert(2, ", \"u\": 1");
  send_insert(3, ", \"u\": 1");
  send_insert(4, ", \"u\": 40");
  EXPECT_TRUE(apply());
  EXPECT_EQ(order(), (Order{0, 1, 2, 3, 4}));
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2, "u": 20})"));
  EXPECT_EQ(parked(), 0U);
}

TEST_F(CappedApplierTest, WhatCannotBeInsertedIsParked) {
  unique_on_target();
  on_target(R"({"_id": 0, "u": 1})");
  on_source(R"({"_id": 1, "u": 1})");
  send_insert(1, ", \"u\": 1");
  send_insert(2);
  EXPECT_TRUE(apply());
  EXPECT_EQ(order(), (Order{0, 2}));
  EXPECT_EQ(parked(), 1U);
}

TEST_F(CappedApplierTest, ComesToTheOrderThroughFailures) {
  FaultPlan faults(seams_.random, {.before = 0.2, .after = 0.2, .partly = 0.2});
  MemorySource source(seams_.source_set, faults);
  MemoryTarget target(seams_.target_set, faults);
  Applier applier({source, target, parking_, seams_.clock, seams_.progress}, 1, 7);
  applier.connect(router_);
  for (int i = 0; i < 40; ++i) {
    if (i >= 10) send(erase, std::to_string(i % 10));
    send_insert(i % 10);
  }
  bool done = false;
  for (int i = 0; i < 2000 && !done; ++i) {
    done = apply_with(applier);
    seams_.clock.advance(Millis(5000));
  }
  ASSERT_TRUE(done);
  EXPECT_EQ(order(), (Order{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

// ---- Failures ------------------------------------------------------------------------

TEST_F(ApplierTest, RetriesTheWholeBatchUntilItIsDone) {
  FaultPlan faults(seams_.random, {.before = 0.2, .after = 0.2, .partly = 0.2});
  MemorySource source(seams_.source_set, faults);
  MemoryTarget target(seams_.target_set, faults);
  Applier applier({source, target, parking_, seams_.clock, seams_.progress}, 1, 7);
  applier.connect(router_);
  for (int i = 0; i < 50; ++i) {
    const std::string id = std::to_string(i % 10);
    send(insert, id, "{\"_id\": " + id + ", \"a\": " + std::to_string(i) + "}");
    send(update, id, R"({"u": {"a": )" + std::to_string(i + 1000) + "}}");
  }
  bool done = false;
  for (int i = 0; i < 2000 && !done; ++i) {
    done = apply_with(applier);
    seams_.clock.advance(Millis(5000));
  }
  ASSERT_TRUE(done);
  EXPECT_GT(seams_.progress.retries, 0);
  for (int id = 0; id < 10; ++id) {
    const std::string text = std::to_string(id);
    EXPECT_EQ(this->target(text), text_of("{\"_id\": " + text + ", \"a\": " + std::to_string(1040 + id) + "}"));
  }
}

TEST_F(ApplierTest, WaitsBetweenTwoTries) {
  FaultPlan failing(seams_.random, {.before = 1});
  MemoryTarget target(seams_.target_set, failing);
  Applier applier({seams_.source, target, parking_, seams_.clock, seams_.progress}, 1, 7);
  applier.connect(router_);
  send(insert, "1", R"({"_id": 1})");
  EXPECT_FALSE(apply_with(applier));
  EXPECT_EQ(seams_.progress.retries, 1);
  EXPECT_FALSE(apply_with(applier));
  EXPECT_EQ(seams_.progress.retries, 1) << "no time has passed";
  EXPECT_NE(seams_.progress.last_retry(), "");
}

// Refuses everything that is sent together with document 2, so many times.
class TargetWithASmallCache final : public MemoryTarget {
 public:
  TargetWithASmallCache(MemoryDeployment& deployment, FaultPlan& faults, int refusals)
      : MemoryTarget(deployment, faults), refusals_(refusals) {}
  Result<std::vector<OperationFailure>> insert(const Twin& twin, bson::View documents, InsertFence fence) override {
    const bool too_large = std::ranges::any_of(
        documents, [](const bson::Element& document) { return document.value.as_document()["_id"].as_int64() == 2; });
    if (too_large && refusals_-- > 0) return refuse();
    return MemoryTarget::insert(twin, documents, fence);
  }
  Result<std::vector<OperationFailure>> apply(std::span<const TargetOperation> operations) override {
    const bool too_large =
        std::ranges::any_of(operations, [](const TargetOperation& operation) { return operation.id.as_int64() == 2; });
    if (too_large && refusals_-- > 0) return refuse();
    return MemoryTarget::apply(operations);
  }

 private:
  static tl::unexpected<Error> refuse() {
    return tl::unexpected<Error>(
        Error{ErrorCode::server, server_code::transaction_too_large_for_cache, {}, "too large for the cache"});
  }
  int refusals_;
};

class SmallCacheTest : public ApplierTest {
 protected:
  // Whether five documents come to be acknowledged by a target that refuses so often.
  bool apply_to_one_that_refuses(int refusals) {
    TargetWithASmallCache target(seams_.target_set, seams_.faults, refusals);
    Applier applier({seams_.source, target, parking_, seams_.clock, seams_.progress}, 1, 100);
    applier.connect(router_);
    for (int id = 0; id < 5; ++id) {
      const std::string text = std::to_string(id);
      on_source("{\"_id\": " + text + "}");
      send(insert, text, "{\"_id\": " + text + "}");
    }
    for (int i = 0; i < 100; ++i) {
      if (apply_with(applier)) return true;
      seams_.clock.advance(Millis(6000));
    }
    return false;
  }
};

TEST_F(SmallCacheTest, ACacheThatIsFullForAWhileIsWaitedFor) {
  EXPECT_TRUE(apply_to_one_that_refuses(3));
  EXPECT_EQ(parked(), 0U);
  EXPECT_EQ(target("2"), text_of(R"({"_id": 2})"));
}

TEST_F(SmallCacheTest, WhatIsRefusedAloneAsOftenIsParkedAndHoldsNobodyUp) {
  EXPECT_TRUE(apply_to_one_that_refuses(1000));
  ASSERT_EQ(parked(), 1U);
  EXPECT_EQ(parked_from(seams_.store.load("parked")->front().view())->id.value().as_int64(), 2);
  EXPECT_EQ(target("2"), "");
  for (const std::string_view other : {"0", "1", "3", "4"}) EXPECT_NE(target(other), "") << other;
}

// Written by name it would create or hit another collection.
TEST_F(ApplierTest, NeverWritesToAnotherCollectionOfTheName) {
  ASSERT_TRUE(seams_.target_set.drop(kNs));
  ASSERT_TRUE(seams_.target_set.create(kNs, {}));
  for (const OperationKind kind : {insert, replace, erase}) {
    Applier applier(parts_, 1, 7);
    applier.connect(router_);
    send(kind, "1", R"({"_id": 1})");
    applier.queue().push(outgoing_);
    const auto step = applier.step();
    ASSERT_FALSE(step);
    EXPECT_NE(step.error().message.find("somebody else removed or replaced db.c"), std::string::npos)
        << step.error().message;
  }
  EXPECT_TRUE(seams_.target_set.find(kNs)->documents.empty());
  EXPECT_EQ(parked(), 0U);
}

}  // namespace
}  // namespace plm
