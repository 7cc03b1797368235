#include "model/collection.h"

#include <gtest/gtest.h>

#include "bson/test_values.h"

namespace plm {
namespace {

using bson::from_json;

IndexSpec index(const char* json) { return {from_json(json)}; }

CollectionSpec collection(const char* options) {
  CollectionSpec out;
  out.options = from_json(options);
  return out;
}

TEST(IndexSpec, TellsNameKeysAndProperties) {
  const IndexSpec spec = index(R"({"v": 2, "key": {"a": 1, "b": -1}, "name": "a_1_b_-1", "unique": true, "hidden": 1,
                                   "prepareUnique": true, "expireAfterSeconds": 0})");
  EXPECT_EQ(spec.name(), "a_1_b_-1");
  EXPECT_TRUE(spec.keys() == from_json(R"({"a": 1, "b": -1})").view());
  EXPECT_TRUE(spec.is_unique());
  EXPECT_TRUE(spec.is_hidden());
  EXPECT_TRUE(spec.is_prepare_unique());
  EXPECT_TRUE(spec.is_ttl());
  EXPECT_FALSE(spec.is_id_index());
}

TEST(IndexSpec, HasNoPropertyThatIsMissingOrFalse) {
  const IndexSpec spec = index(R"({"v": 2, "key": {"a": 1}, "name": "a_1", "unique": false})");
  EXPECT_FALSE(spec.is_unique());
  EXPECT_FALSE(spec.is_hidden());
  EXPECT_FALSE(spec.is_prepare_unique());
  EXPECT_FALSE(spec.is_ttl());
  EXPECT_TRUE(index(R"({"v": 2, "key": {"_id": 1}, "name": "_id_"})").is_id_index());
}

TEST(IndexSpec, IsPlainWithoutUniqueHiddenPrepareUnique) {
  const IndexSpec spec = index(R"({"v": 2, "unique": true, "key": {"a": 1}, "hidden": true, "name": "a_1",
                                   "prepareUnique": true, "sparse": true})");
  EXPECT_EQ(spec.plain(), index(R"({"v": 2, "key": {"a": 1}, "name": "a_1", "sparse": true})"));
}

TEST(IndexSpec, IsPlainWithTtlAtItsMaximum) {
  for (const char* seconds : {"3600", "0", R"({"$numberLong": "3600"})", "3600.5", R"({"$numberDouble": "NaN"})"}) {
    const std::string json = std::string(R"({"key": {"a": 1}, "name": "a_1", "expireAfterSeconds": )") + seconds + "}";
    EXPECT_EQ(index(json.c_str()).plain(),
              index(R"({"key": {"a": 1}, "name": "a_1", "expireAfterSeconds": 2147483647})"))
        << seconds;
  }
}

TEST(IndexSpec, IsPlainWithEverythingElseAsItWas) {
  const IndexSpec spec = index(R"({
      "v": 2, "key": {"_fts": "text", "_ftsx": 1}, "name": "n", "weights": {"unique": 1, "hidden": 3},
      "partialFilterExpression": {"unique": true, "expireAfterSeconds": 5}, "collation": {"locale": "de"},
      "wildcardProjection": {"a": 0}, "default_language": "german", "some_day_new": [1, 2]})");
  EXPECT_EQ(spec.plain(), spec);
}

TEST(IndexSpec, IsPlainAlreadyWhenItIsThePlainFormOfAnother) {
  const IndexSpec plain = index(R"({"key": {"a": 1}, "name": "a", "unique": true, "expireAfterSeconds": 9})").plain();
  EXPECT_EQ(plain.plain(), plain);
}

TEST(CollectionSpec, IsCappedOnlyWhenTheOptionSaysSo) {
  EXPECT_TRUE(collection(R"({"capped": true, "size": 4096})").is_capped());
  EXPECT_FALSE(collection(R"({"capped": false})").is_capped());
  EXPECT_FALSE(collection("{}").is_capped());
}

TEST(CollectionSpec, IsClusteredByItsIndex) {
  EXPECT_TRUE(collection(R"({"clusteredIndex": {"v": 2, "key": {"_id": 1}, "unique": true}})").is_clustered());
  EXPECT_TRUE(collection(R"({"clusteredIndex": true})").is_clustered());
  EXPECT_FALSE(collection("{}").is_clustered());
}

TEST(CollectionSpec, HasACollationUnlessItIsTheSimpleOne) {
  EXPECT_TRUE(collection(R"({"collation": {"locale": "en", "strength": 2}})").has_collation());
  EXPECT_FALSE(collection(R"({"collation": {"locale": "simple"}})").has_collation());
  EXPECT_FALSE(collection(R"({"collation": {}})").has_collation());
  EXPECT_FALSE(collection("{}").has_collation());
}

TEST(CollectionSpec, IsStrictlyOrderedWhenCappedOrCollated) {
  EXPECT_TRUE(collection(R"({"capped": true})").is_strictly_ordered());
  EXPECT_TRUE(collection(R"({"collation": {"locale": "fr"}})").is_strictly_ordered());
  EXPECT_FALSE(collection(R"({"validator": {"a": 1}, "collation": {"locale": "simple"}})").is_strictly_ordered());
  CollectionSpec series = collection(R"({"collation": {"locale": "fr"}})");
  series.kind = CollectionKind::time_series;
  EXPECT_FALSE(series.is_strictly_ordered());
}

TEST(CollectionSpec, IsAViewOnlyByItsKind) {
  CollectionSpec spec = collection(R"({"viewOn": "x", "pipeline": []})");
  EXPECT_FALSE(spec.is_view());
  spec.kind = CollectionKind::view;
  EXPECT_TRUE(spec.is_view());
  spec.kind = CollectionKind::time_series;
  EXPECT_FALSE(spec.is_view());
}

TEST(TimeSeriesOptions, AreWhatAUserGives) {
  const CollectionSpec of_buckets = collection(R"({"validator": {"a": 1}, "clusteredIndex": true,
      "expireAfterSeconds": 60, "timeseries": {"timeField": "t", "some_day_new": 1}})");
  const CollectionSpec given =
      collection(R"({"expireAfterSeconds": 60, "timeseries": {"timeField": "t", "some_day_new": 1}})");
  EXPECT_EQ(time_series_options(of_buckets.options.view()), given.options);
}

TEST(CollectionSpec, IsEqualWhenEveryPartIs) {
  const CollectionSpec one = collection(R"({"capped": true})");
  CollectionSpec other = one;
  EXPECT_EQ(one, other);
  other.indexes.push_back(index(R"({"key": {"a": 1}, "name": "a_1"})"));
  EXPECT_NE(one, other);
  other = one;
  other.ns.collection = "x";
  EXPECT_NE(one, other);
}

TEST(OldIdIndex, IsNamedByWhatCreatesItSo) {
  EXPECT_EQ(with_old_id_index(from_json(R"({"capped": true})").view()),
            from_json(R"({"capped": true, "idIndex": {"v": 1, "key": {"_id": 1}, "name": "_id_"}})"));
}

}  // namespace
}  // namespace plm
