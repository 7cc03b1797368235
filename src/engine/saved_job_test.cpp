#include "engine/saved_job.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "engine/test_seams.h"

namespace plm {
namespace {

// With the types of numbers: 1 and NumberLong(1) are not the same format.
std::string canonical(const bson::Document& document) {
  bson_t raw;
  EXPECT_TRUE(bson_init_static(&raw, document.view().data(), document.size_bytes()));
  char* text = bson_as_canonical_extended_json(&raw, nullptr);
  std::string out(text);
  bson_free(text);
  return out;
}

Collection example_collection() {
  Collection out;
  out.spec.uuid = uuid_of(1);
  out.spec.ns = {"db", "c.with.dots"};
  out.spec.options = json(R"({"validator": {"a": {"$exists": true}}, "expireAfterSeconds": {"$numberLong": "60"}})");
  out.twin_state = TwinState::ready;
  out.ref = collection_ref({"db", "other_name"}, uuid_of(1), uuid_of(2));
  out.planned = true;
  out.merges = true;
  out.ranges.resize(2);
  out.ranges[0].bounds.max = value_of(R"({"a": 5})");
  out.ranges[1].bounds.min = value_of(R"({"a": 5})");
  out.ranges[1].state = RangeState::copied;
  out.ranges_unfinished = 1;
  out.indexes = {{{json(R"({"v": 2, "key": {"a": 1}, "name": "a_1", "unique": true})")}, IndexState::built, {}},
                 {{json(R"({"v": 2, "key": {"b": 1}, "name": "b_1"})")}, IndexState::failed, "no room"},
                 {{json(R"({"v": 2, "key": {"c": 1}, "name": "c_1"})")}, IndexState::deferred, {}},
                 {{json(R"({"v": 2, "key": {"d": 1}, "name": "d_1"})")}, IndexState::waiting, {}}};
  out.estimate = {100, 5000};
  out.copied = {40, 2000};
  return out;
}

CollectionSpec example_view() {
  CollectionSpec out;
  out.kind = CollectionKind::view;
  out.ns = {"db", "v"};
  out.options = json(R"({"viewOn": "c", "pipeline": [{"$match": {"a": 1}}]})");
  return out;
}

SavedPosition example_position() {
  SavedPosition out;
  out.position = {{20, 4}, json(R"({"_data": "8264"})")};
  out.complete = {20, 3};
  out.dirty_until = {25, 1};
  out.events_read = 12;
  out.events_applied = 11;
  out.copied_and_removed = {10, 3000};
  out.clone_completed = true;
  out.sync_completed = true;
  out.clone_completed_at = {19, 1};
  out.listed_at = {5, 1};
  out.listed_later = {{"with.dot", {6, 1}}, {"$dollar", {7, 2}}};
  out.dropping = {uuid_of(3), uuid_of(4)};
  return out;
}

ParkedDocument example_parked() {
  return {uuid_of(1), {"db", "c"}, value_of(R"({"a": [1, 2]})"), "E11000 duplicate key"};
}

std::vector<bson::Document> examples() {
  const Collection collection = example_collection();
  Collection wanted;
  wanted.spec.uuid = uuid_of(7);
  wanted.spec.ns = {"db", "wanted"};
  return {to_document(collection),
          to_document(wanted),
          to_document(example_view()),
          to_document(uuid_of(1), 0, collection.ranges[0]),
          to_document(uuid_of(1), 1, collection.ranges[1]),
          to_document(example_position()),
          to_document(example_parked())};
}

// ---- The format ------------------------------------------------------------------

// A change here is a change of the format: a job that an older plm saved must
// still be understood. Change kFormatVersion, or see that old documents are read.
TEST(SavedJob, KeepsItsFormat) {
  std::ifstream file(PLM_ENGINE_TESTDATA "/saved_job.jsonl");
  ASSERT_TRUE(file) << "no golden file";
  for (const bson::Document& document : examples()) {
    std::string line;
    ASSERT_TRUE(std::getline(file, line)) << "the golden file lacks " << canonical(document);
    EXPECT_EQ(canonical(document), line);
    EXPECT_EQ(canonical(json(line)), line);
  }
  std::string rest;
  EXPECT_FALSE(std::getline(file, rest)) << "not written any more: " << rest;
}

// ---- Round trips -------------------------------------------------------------------

TEST(SavedJob, ReadsACollectionBack) {
  const Collection before = example_collection();
  const auto after = collection_from(to_document(before).view());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->spec, before.spec);
  EXPECT_EQ(after->twin_state, TwinState::ready);
  EXPECT_EQ(after->ref->twin, before.ref->twin);
  EXPECT_EQ(after->ref->source_uuid, uuid_of(1));
  EXPECT_EQ(after->ref->ns, before.spec.ns);
  EXPECT_TRUE(after->planned);
  EXPECT_EQ(after->ranges.size(), 2U);
  EXPECT_EQ(after->estimate.size_bytes, 5000);
  EXPECT_EQ(after->copied.documents, 40);
  EXPECT_TRUE(after->merges);
  ASSERT_EQ(after->indexes.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(after->indexes[i].spec, before.indexes[i].spec);
    EXPECT_EQ(after->indexes[i].state, before.indexes[i].state);
    EXPECT_EQ(after->indexes[i].reason, before.indexes[i].reason);
  }
}

// Nobody builds after a restart, so it would wait for ever.
TEST(SavedJob, AnIndexThatWasBeingBuiltWaitsAgain) {
  Collection before = example_collection();
  before.indexes[0].state = IndexState::building;
  EXPECT_EQ(collection_from(to_document(before).view())->indexes[0].state, IndexState::waiting);
}

TEST(SavedJob, ReadsACollectionWithoutTwinBack) {
  Collection before;
  before.spec.uuid = uuid_of(1);
  before.spec.ns = {"db", "c"};
  const auto after = collection_from(to_document(before).view());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->twin_state, TwinState::wanted);
  EXPECT_EQ(after->ref, nullptr);
  EXPECT_FALSE(after->planned);
}

TEST(SavedJob, KeepsTheStrictOrderOfACollection) {
  Collection before = example_collection();
  before.spec.options = json(R"({"capped": true, "size": 100})");
  EXPECT_TRUE(collection_from(to_document(before).view())->ref->strictly_ordered());
}

TEST(SavedJob, ReadsAViewBack) { EXPECT_EQ(view_from(to_document(example_view()).view()).value(), example_view()); }

// Anything between "pending" and "copied" read back as copied would leave
// documents missing for good.
TEST(SavedJob, OnlyACopiedRangeIsReadBackAsCopied) {
  for (const RangeState state :
       {RangeState::pending, RangeState::copying, RangeState::confirming, RangeState::copied}) {
    Range before;
    before.bounds = {value_of("1.5"), value_of(R"("z")")};
    before.state = state;
    const auto after = range_from(to_document(uuid_of(3), 7, before).view());
    ASSERT_TRUE(after);
    EXPECT_EQ(after->collection, uuid_of(3));
    EXPECT_EQ(after->index, 7U);
    EXPECT_EQ(after->range.state, state == RangeState::copied ? RangeState::copied : RangeState::pending);
    EXPECT_EQ(bson::to_json(after->range.bounds.min.value()), "1.5");
    EXPECT_EQ(bson::to_json(after->range.bounds.max.value()), R"("z")");
    EXPECT_TRUE(after->range.touched) << "documents of an unfinished copy may be on the target";
  }
}

TEST(SavedJob, ReadsThePositionBack) {
  const SavedPosition before = example_position();
  const auto after = position_from(to_document(before).view());
  ASSERT_TRUE(after);
  EXPECT_EQ(canonical(to_document(*after)), canonical(to_document(before)));
  EXPECT_EQ(after->listed_later, before.listed_later);
  EXPECT_EQ(after->dropping, before.dropping);
  EXPECT_EQ(after->position.resume_token, before.position.resume_token);
  EXPECT_EQ(after->dirty_until, before.dirty_until);
  EXPECT_EQ(after->copied_and_removed.documents, 10);
  EXPECT_EQ(after->copied_and_removed.size_bytes, 3000);
}

TEST(SavedJob, APositionOfAnOlderPlmSaysNothingOfRemovedCollections) {
  const bson::Document position = to_document(example_position());
  bson::Builder old;
  for (const bson::Element& field : position.view()) {
    if (!field.key.starts_with("removed")) old.append(field.key, field.value);
  }
  const auto read = position_from(old.view());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->copied_and_removed.documents, 0);
  EXPECT_EQ(read->events_read, 12);
}

TEST(SavedJob, APositionMayLackAToken) {
  SavedPosition before = example_position();
  before.position.resume_token = {};
  EXPECT_FALSE(position_from(to_document(before).view())->position.has_token());
}

TEST(SavedJob, ReadsAParkedDocumentBack) {
  const auto after = parked_from(to_document(example_parked()).view());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->collection, uuid_of(1));
  EXPECT_EQ(after->ns, (Namespace{"db", "c"}));
  EXPECT_EQ(bson::to_json(after->id.value()), bson::to_json(example_parked().id.value()));
  EXPECT_EQ(after->reason, "E11000 duplicate key");
  EXPECT_EQ(after->text(), example_parked().text());
}

// ---- Documents that cannot be trusted ----------------------------------------------

bson::Document with(const bson::Document& document, std::string_view key, std::string_view value) {
  bson::Builder out;
  const bson::OwnedValue replacement = value.empty() ? bson::OwnedValue() : value_of(value);
  for (const bson::Element& field : document.view()) {
    if (field.key != key) {
      out.append(field.key, field.value);
    } else if (replacement) {
      out.append(key, replacement.value());
    }
  }
  return out.take();
}

template <typename T>
void expect_refused(const Result<T>& result, std::string_view word) {
  ASSERT_FALSE(result) << "expected: " << word;
  EXPECT_EQ(result.error().code, ErrorCode::stored_format);
  EXPECT_NE(result.error().message.find(word), std::string::npos) << result.error().message;
}

template <typename Reader>
void expect_versions_checked(const bson::Document& document, Reader reader) {
  expect_refused(reader(with(document, "v", "2").view()), "newer plm (format 2");
  expect_refused(reader(with(document, "v", "0").view()), "no format version");
  expect_refused(reader(with(document, "v", "").view()), "no format version");
  expect_refused(reader(with(document, "v", R"("1")").view()), "no format version");
}

TEST(SavedJob, RefusesOtherVersions) {
  expect_versions_checked(to_document(example_collection()), collection_from);
  expect_versions_checked(to_document(example_view()), view_from);
  expect_versions_checked(to_document(uuid_of(1), 0, Range()), range_from);
  expect_versions_checked(to_document(example_position()), position_from);
  expect_versions_checked(to_document(example_parked()), parked_from);
}

TEST(SavedJob, RefusesTornDocuments) {
  const bson::Document collection = to_document(example_collection());
  expect_refused(collection_from(with(collection, "_id", "5").view()), "no UUID");
  expect_refused(collection_from(with(collection, "ns", "").view()), "no name");
  expect_refused(collection_from(with(collection, "twin", R"({"ns": {"db": "a", "coll": "b"}})").view()),
                 "twin without UUID");
  expect_refused(collection_from(with(collection, "indexes", R"([{"spec": {"name": "a"}, "state": "melted"}])").view()),
                 "index");
  expect_refused(collection_from(with(collection, "indexes", R"([{"state": "built"}])").view()), "index");
  for (const char* count : {"-1", R"({"$numberLong": "9223372036854775807"})", "1e300", "1000001"}) {
    expect_refused(collection_from(with(collection, "ranges", count).view()), "number of ranges");
  }
  expect_refused(view_from(with(to_document(example_view()), "ns", "").view()), "no name");
  const bson::Document range = to_document(uuid_of(1), 0, Range());
  expect_refused(range_from(with(range, "state", "").view()), "range");
  expect_refused(range_from(with(range, "state", R"("copyied")").view()), "range");
  expect_refused(range_from(with(range, "_id", R"({"n": 1})").view()), "range");
  const std::string uuid = R"({"u": {"$binary": {"base64": "AQECAwQFRwiJAAAAAAAAAA==", "subType": "04"}})";
  // A second name of range 0 would count as another range.
  for (const char* number : {"-1", "0.5", R"("0")", "null", R"({"$numberLong": "0"})"}) {
    expect_refused(range_from(with(range, "_id", fmt::format("{}, \"n\": {}}}", uuid, number)).view()),
                   "without number");
  }
  expect_refused(position_from(with(to_document(example_position()), "time", "").view()), "position without time");
  const bson::Document parked = to_document(example_parked());
  expect_refused(parked_from(with(parked, "_id", "1").view()), "parked document");
}

// ---- The whole job -----------------------------------------------------------------

class SavedJobTest : public testing::Test {
 protected:
  void save(const std::vector<StoreChange>& changes) { ASSERT_TRUE(seams_.store.save(changes)); }
  void save_catalog(const std::optional<SavedPosition>& position = example_position()) {
    save(changes_to_save(catalog_, catalog_.take_changes(), position));
  }
  [[nodiscard]] SavedJob load() {
    auto job = load_job(seams_.store);
    EXPECT_TRUE(job) << (job ? "" : job.error().message);
    EXPECT_TRUE(job && *job);
    return job && *job ? **std::move(job) : SavedJob();
  }
  [[nodiscard]] std::size_t saved(const std::string& set) { return seams_.store.load(set)->size(); }

  TestSeams seams_;
  Catalog catalog_;
};

TEST_F(SavedJobTest, IsNoneUntilAPositionIsSaved) {
  EXPECT_FALSE(load_job(seams_.store).value());
  catalog_.add(example_collection());
  save_catalog(std::nullopt);
  EXPECT_FALSE(load_job(seams_.store).value()) << "the first save did not come to its end";
}

TEST_F(SavedJobTest, IsReadBackWhole) {
  catalog_.add(example_collection());
  catalog_.put_view(example_view());
  save_catalog();
  save({park(example_parked())});
  SavedJob job = load();
  Collection* collection = job.catalog.find(uuid_of(1));
  ASSERT_NE(collection, nullptr);
  EXPECT_EQ(collection->ranges_unfinished, 1U);
  EXPECT_EQ(collection->ranges[0].state, RangeState::pending);
  EXPECT_EQ(collection->ranges[1].state, RangeState::copied);
  EXPECT_NE(job.catalog.find_view({"db", "v"}), nullptr);
  ASSERT_EQ(job.parked.size(), 1U);
  EXPECT_FALSE(job.catalog.has_changes()) << "nothing of it has to be saved again";
  save({unpark(uuid_of(1), example_parked().id.value())});
  EXPECT_TRUE(load().parked.empty());
}

// The position says that everything before it is on the target or in the other
// documents. Written first, a crash behind it would lose what they say: ranges
// put back to pending would still be read as copied.
TEST_F(SavedJobTest, ThePositionIsSavedLast) {
  catalog_.add(example_collection());
  catalog_.put_view(example_view());
  const auto changes = changes_to_save(catalog_, catalog_.take_changes(), example_position());
  ASSERT_EQ(changes.size(), 5U);
  EXPECT_EQ(changes.back().set, "state");
  for (std::size_t i = 0; i + 1 < changes.size(); ++i) EXPECT_NE(changes[i].set, "state");
}

// The collection says how many ranges it has: after a crash between the two it
// must not count on ranges that are not there.
TEST_F(SavedJobTest, RangesAreSavedBeforeAndRemovedAfterTheirCollection) {
  catalog_.add(example_collection());
  auto changes = changes_to_save(catalog_, catalog_.take_changes(), std::nullopt);
  EXPECT_EQ(changes.front().set, "ranges");
  EXPECT_EQ(changes.back().set, "collections");
  save(changes);
  catalog_.remove(uuid_of(1));
  changes = changes_to_save(catalog_, catalog_.take_changes(), std::nullopt);
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes.front().set, "collections");
  EXPECT_EQ(changes.back().set, "ranges");
}

TEST_F(SavedJobTest, EveryPartOfASaveCanBeReadBack) {
  catalog_.add(example_collection());
  save_catalog();
  catalog_.remove(uuid_of(1));
  Collection other = example_collection();
  other.spec.uuid = uuid_of(5);
  catalog_.add(std::move(other));
  const auto changes = changes_to_save(catalog_, catalog_.take_changes(), example_position());
  for (const StoreChange& change : changes) {
    save({change});
    const auto job = load_job(seams_.store);
    ASSERT_TRUE(job) << job.error().message;
  }
  const SavedJob job = load();
  EXPECT_EQ(job.catalog.collections().size(), 1U);
  EXPECT_EQ(saved("ranges"), 2U);
}

TEST_F(SavedJobTest, RemovesWhatIsGone) {
  catalog_.add(example_collection());
  catalog_.put_view(example_view());
  save_catalog();
  catalog_.remove(uuid_of(1));
  catalog_.remove_view({"db", "v"});
  save_catalog();
  EXPECT_EQ(saved("collections"), 0U);
  EXPECT_EQ(saved("ranges"), 0U);
}

TEST_F(SavedJobTest, ACollectionThatComesBackIsSavedAnew) {
  catalog_.add(example_collection());
  save_catalog();
  catalog_.remove(uuid_of(1));
  Collection again = example_collection();
  again.ranges.pop_back();
  again.ranges[0].bounds = {};
  catalog_.add(std::move(again));
  save_catalog();
  SavedJob job = load();
  EXPECT_EQ(job.catalog.find(uuid_of(1))->ranges.size(), 1U);
  EXPECT_EQ(saved("ranges"), 1U);
}

TEST_F(SavedJobTest, SavesOnlyWhatChanged) {
  Collection& collection = catalog_.add(example_collection());
  save_catalog();
  catalog_.touch(collection, collection.ranges[1]);
  const auto changes = changes_to_save(catalog_, catalog_.take_changes(), std::nullopt);
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].set, "ranges");
}

// Taken for nothing, a lost range would be missing on the target in silence.
TEST_F(SavedJobTest, MissingRangesAreAnErrorThatNamesTheCollection) {
  catalog_.add(example_collection());
  auto changes = changes_to_save(catalog_, catalog_.take_changes(), example_position());
  std::erase_if(changes, [](const StoreChange& change) {
    return change.set == "ranges" && change.id.value().as_document()["n"].as_int64() == 1;
  });
  save(changes);
  const auto job = load_job(seams_.store);
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, ErrorCode::stored_format);
  EXPECT_NE(job.error().message.find("db.c.with.dots lacks ranges"), std::string::npos) << job.error().message;
}

TEST_F(SavedJobTest, OneNewerDocumentRefusesTheJob) {
  catalog_.add(example_collection());
  save_catalog();
  StoreChange newer = park(example_parked());
  newer.document = with(*newer.document, "v", "2");
  save({newer});
  expect_refused(load_job(seams_.store), "newer plm");
}

// The _ids 1 and 1.0 are one document; "1" is another.
TEST_F(SavedJobTest, ParksEachDocumentOnce) {
  for (const std::string_view id : {"1", "1.0", R"("1")"})
    save({park({uuid_of(1), {"db", "c"}, value_of(id), "reason"})});
  EXPECT_EQ(saved("parked"), 2U);
}

}  // namespace
}  // namespace plm
