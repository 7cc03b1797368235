#include "engine/range_merge.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/test_seams.h"

namespace plm {
namespace {

// Documents as JSON, in the order of _id.
using Side = std::vector<std::string>;

DocumentBatch batch_of(std::span<const std::string> documents, bool exhausted) {
  bson::Builder holder;
  DocumentBatch out;
  for (const std::string& text : documents) {
    const bson::Document document = json(text);
    holder.append(std::to_string(out.count++), document);
  }
  out.bytes = std::make_shared<const bson::Document>(holder.take());
  out.documents = out.bytes->view();
  out.exhausted = exhausted;
  return out;
}

// A side that is read in batches of one size. The end may come with the last
// document, or alone.
class Reading {
 public:
  Reading(Side documents, std::size_t batch, bool ends_alone)
      : documents_(std::move(documents)), batch_(batch), ends_alone_(ends_alone) {}
  DocumentBatch next() {
    const std::span rest = std::span(documents_).subspan(done_);
    const auto now = rest.first(std::min(batch_, rest.size()));
    done_ += now.size();
    return batch_of(now, now.empty() || (!ends_alone_ && done_ == documents_.size()));
  }

 private:
  Side documents_;
  std::size_t batch_;
  bool ends_alone_;
  std::size_t done_ = 0;
};

// What was found, as text: "+" missing, "~" different, "-" surplus.
struct Outcome {
  std::vector<std::string> found;
  std::int64_t compared = 0;
  std::string last_id;
  int rounds = 0;
};

Outcome merge(Reading source, Reading target) {
  RangeMerge merge;
  Outcome out;
  while (!merge.done() && ++out.rounds < 1000) {
    if (merge.source_needs_batch()) merge.add_source(source.next());
    if (merge.target_needs_batch()) merge.add_target(target.next());
    const RangeMerge::Differences found = merge.next();
    for (const bson::View& document : found.missing) out.found.push_back("+" + document.json());
    for (const bson::View& document : found.different) out.found.push_back("~" + document.json());
    for (const bson::Value& id : found.surplus) out.found.push_back("-" + bson::to_json(id));
    out.compared += found.compared.documents;
    if (found.last_id) out.last_id = bson::to_json(found.last_id.value());
  }
  std::ranges::sort(out.found);
  return out;
}

Side with_ids(std::vector<int> ids) {
  Side out;
  for (const int id : ids) out.push_back("{\"_id\": " + std::to_string(id) + "}");
  return out;
}

std::string text(char mark, std::string_view document) { return mark + text_of(document); }

TEST(RangeMerge, FindsNothingWhereBothAreEqual) {
  const Side side = {R"({"_id": 1, "a": 1})", R"({"_id": 2, "a": [1, {"b": 2}]})"};
  const Outcome out = merge({side, 10, false}, {side, 10, false});
  EXPECT_TRUE(out.found.empty());
  EXPECT_EQ(out.compared, 2);
  EXPECT_EQ(out.last_id, "2");
}

TEST(RangeMerge, FindsWhatIsMissingDifferentAndSurplus) {
  const Outcome out = merge({{R"({"_id": 1})", R"({"_id": 2, "a": 1, "b": 1})", R"({"_id": 4})"}, 10, false},
                            {{R"({"_id": 2, "b": 1, "a": 1})", R"({"_id": 3})", R"({"_id": 4})"}, 10, false});
  EXPECT_EQ(out.found,
            (std::vector<std::string>{text('+', R"({"_id": 1})"), "-3", text('~', R"({"_id": 2, "a": 1, "b": 1})")}))
      << "the order of the fields counts, too";
}

// 1 and 1.0 are one key, and not the same bytes.
TEST(RangeMerge, TakesEqualNumbersOfDifferentTypesForOneId) {
  const Outcome out = merge({{R"({"_id": 1})", R"({"_id": {"a": 2.0}})"}, 10, false},
                            {{R"({"_id": 1.0})", R"({"_id": {"a": {"$numberLong": "2"}}})"}, 10, false});
  ASSERT_EQ(out.found.size(), 2U);
  EXPECT_EQ(out.found[0].front(), '~');
  EXPECT_EQ(out.found[1].front(), '~');
  EXPECT_EQ(out.compared, 2);
}

TEST(RangeMerge, EmptySidesEnd) {
  EXPECT_TRUE(merge({{}, 1, false}, {{}, 1, true}).found.empty());
  EXPECT_EQ(merge({with_ids({1, 2}), 1, true}, {{}, 1, false}).found.size(), 2U);
  const Outcome out = merge({{}, 1, false}, {with_ids({1, 2, 3}), 1, true});
  EXPECT_EQ(out.found, (std::vector<std::string>{"-1", "-2", "-3"}));
  EXPECT_EQ(out.compared, 0);
  EXPECT_EQ(out.last_id, "3");
}

// Neither side waits for the other's batches, wherever they end.
TEST(RangeMerge, BatchesMayEndAnywhere) {
  const std::vector<std::vector<int>> sides = {{}, {1}, {1, 2, 3, 4, 5, 6, 7}, {2, 4, 6}, {5, 6, 7, 8, 9}, {9, 10}};
  for (const auto& source : sides) {
    for (const auto& target : sides) {
      std::vector<std::string> wanted;
      for (const int id : source) {
        if (!std::ranges::count(target, id)) wanted.push_back(text('+', "{\"_id\": " + std::to_string(id) + "}"));
      }
      for (const int id : target) {
        if (!std::ranges::count(source, id)) wanted.push_back("-" + std::to_string(id));
      }
      std::ranges::sort(wanted);
      for (int shape = 0; shape < 36; ++shape) {
        const auto size = [](int n) { return static_cast<std::size_t>(n % 3 + 1); };
        const Outcome out =
            merge({with_ids(source), size(shape), shape % 2 == 0}, {with_ids(target), size(shape / 3), shape < 18});
        EXPECT_EQ(out.found, wanted) << shape;
        EXPECT_EQ(out.compared, std::ssize(source));
        EXPECT_LT(out.rounds, 1000);
      }
    }
  }
}

// Behind the last one that both sides know of, nothing is said yet.
TEST(RangeMerge, GoesNoFurtherThanTheBatchesOfBoth) {
  RangeMerge merge;
  merge.add_source(batch_of(with_ids({1, 5, 9}), false));
  merge.add_target(batch_of(with_ids({1, 2}), false));
  const RangeMerge::Differences found = merge.next();
  EXPECT_TRUE(found.missing.empty()) << "5 may follow on the target";
  EXPECT_EQ(found.surplus.size(), 1U);
  EXPECT_EQ(found.last_id.value().as_int64(), 2);
  EXPECT_FALSE(merge.source_needs_batch());
  EXPECT_TRUE(merge.target_needs_batch());
  EXPECT_FALSE(merge.next().last_id.exists());
}

TEST(RangeMerge, AnEmptyBatchIsNotTheEnd) {
  RangeMerge merge;
  merge.add_source(batch_of({}, false));
  EXPECT_TRUE(merge.source_needs_batch());
  merge.add_target(batch_of({}, true));
  EXPECT_FALSE(merge.target_needs_batch());
  EXPECT_FALSE(merge.done());
}

}  // namespace
}  // namespace plm
