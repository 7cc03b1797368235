#include "model/namespace.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace plm {
namespace {

TEST(Namespace, SplitsAtTheFirstDot) {
  EXPECT_EQ(Namespace::parse("shop.orders"), (Namespace{"shop", "orders"}));
  EXPECT_EQ(Namespace::parse("shop.orders.2026"), (Namespace{"shop", "orders.2026"}));
  EXPECT_EQ(Namespace::parse("shop..x"), (Namespace{"shop", ".x"}));
  EXPECT_EQ(Namespace::parse("shop"), (Namespace{"shop", ""}));
  EXPECT_EQ(Namespace::parse("shop."), (Namespace{"shop", ""}));
  EXPECT_EQ(Namespace::parse(""), (Namespace{"", ""}));
}

TEST(Namespace, IsWrittenAsItIsRead) {
  EXPECT_EQ((Namespace{"shop", "orders.2026"}).text(), "shop.orders.2026");
  EXPECT_EQ(Namespace::parse("a.b.c").text(), "a.b.c");
}

TEST(Namespace, IsOrderedByDatabaseAndThenCollection) {
  EXPECT_LT((Namespace{"a", "z"}), (Namespace{"b", "a"}));
  EXPECT_LT((Namespace{"a", "y"}), (Namespace{"a", "z"}));
  EXPECT_NE((Namespace{"a", "b.c"}), (Namespace{"a.b", "c"}));
}

TEST(Namespace, CanBeAKeyOfUnorderedContainers) {
  const std::unordered_set<Namespace> set = {{"a", "b"}, {"b", "a"}, {"a", "b"}};
  EXPECT_EQ(set.size(), 2U);
  EXPECT_TRUE(set.contains(Namespace{"b", "a"}));
  EXPECT_FALSE(set.contains(Namespace{"b", "b"}));
}

TEST(Namespace, OfBucketsIsKnownToUsersByTheNameOfTheTimeSeriesCollection) {
  const Namespace buckets{"db", "system.buckets.weather.hourly"};
  EXPECT_TRUE(buckets.is_buckets());
  EXPECT_EQ(buckets.for_users(), (Namespace{"db", "weather.hourly"}));
  const Namespace other{"db", "weather"};
  EXPECT_FALSE(other.is_buckets());
  EXPECT_EQ(other.for_users(), other);
}

TEST(Replicable, IsWhatBelongsToUsers) {
  EXPECT_TRUE(replicable("shop", "orders"));
  EXPECT_TRUE(replicable("shop", "systematic"));
  EXPECT_TRUE(replicable("shop", "my.system.orders"));
  EXPECT_TRUE(replicable("Admin", "x"));
  EXPECT_TRUE(replicable("administration", "x"));
  EXPECT_TRUE(replicable("shop", "system.buckets.orders"));
  EXPECT_TRUE(replicable("shop", "system.js"));
}

TEST(Replicable, IsNotWhatBelongsToTheServerOrToPlm) {
  for (const char* database : {"admin", "config", "local", "percona_link_mongodb", ""}) {
    EXPECT_FALSE(replicable(database, "orders")) << database;
  }
  for (const char* collection :
       {"system.views", "system.js.x", "system.profile", "system.", "system.buckets", "system.buckets.system.js"}) {
    EXPECT_FALSE(replicable("shop", collection)) << collection;
  }
}

}  // namespace
}  // namespace plm
