#include "model/filter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace plm {
namespace {

using Entries = std::vector<std::string>;

Filter filter(const Entries& include, const Entries& exclude = {}) {
  auto made = Filter::make(include, exclude);
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return made ? *made : Filter();
}

TEST(Filter, SelectsEverythingReplicableWhenItIsEmpty) {
  for (const Filter& all : {Filter(), filter({}, {})}) {
    EXPECT_TRUE(all.selects("shop", "orders"));
    EXPECT_TRUE(all.selects(Namespace{"shop", "orders.2026"}));
    EXPECT_TRUE(all.may_select_in("shop"));
  }
}

TEST(Filter, NeverSelectsWhatBelongsToTheServerOrToPlm) {
  for (const Filter& one : {Filter(), filter({}, {"shop.*"})}) {
    for (const char* database : {"admin", "config", "local", "percona_link_mongodb"}) {
      EXPECT_FALSE(one.selects(database, "x")) << database;
      EXPECT_FALSE(one.may_select_in(database)) << database;
    }
    EXPECT_FALSE(one.selects("other", "system.views"));
  }
  EXPECT_FALSE(filter({"shop.*"}).selects("shop", "system.profile"));
}

TEST(Filter, SelectsOnlyWhatIsIncluded) {
  const Filter one = filter({"shop.orders", "stock.*"});
  EXPECT_TRUE(one.selects("shop", "orders"));
  EXPECT_FALSE(one.selects("shop", "people"));
  EXPECT_FALSE(one.selects("shop", "orders2"));
  EXPECT_FALSE(one.selects("shop", "order"));
  EXPECT_TRUE(one.selects("stock", "anything"));
  EXPECT_TRUE(one.selects("stock", "with.dots"));
  EXPECT_FALSE(one.selects("other", "orders"));
}

TEST(Filter, SelectsBucketsByTheNameOfTheirTimeSeriesCollection) {
  const Filter one = filter({"shop.orders", "stock.*"}, {"stock.out"});
  EXPECT_TRUE(one.selects("shop", "system.buckets.orders"));
  EXPECT_FALSE(one.selects("shop", "system.buckets.people"));
  EXPECT_TRUE(one.selects("stock", "system.buckets.in"));
  EXPECT_FALSE(one.selects("stock", "system.buckets.out"));
}

TEST(Filter, SelectsAllButWhatIsExcluded) {
  const Filter one = filter({}, {"shop.orders", "stock.*"});
  EXPECT_FALSE(one.selects("shop", "orders"));
  EXPECT_TRUE(one.selects("shop", "people"));
  EXPECT_TRUE(one.selects("shop", "orders.old"));
  EXPECT_FALSE(one.selects("stock", "anything"));
  EXPECT_TRUE(one.selects("other", "orders"));
}

TEST(Filter, LetsExcludeWin) {
  EXPECT_FALSE(filter({"shop.orders"}, {"shop.orders"}).selects("shop", "orders"));
  EXPECT_FALSE(filter({"shop.orders"}, {"shop.*"}).selects("shop", "orders"));
  const Filter one = filter({"shop.*"}, {"shop.orders"});
  EXPECT_FALSE(one.selects("shop", "orders"));
  EXPECT_TRUE(one.selects("shop", "people"));
}

TEST(Filter, SplitsAtTheFirstDot) {
  const Filter one = filter({"shop.orders.2026"});
  EXPECT_TRUE(one.selects("shop", "orders.2026"));
  EXPECT_FALSE(one.selects("shop", "orders"));
  EXPECT_FALSE(one.selects("shop.orders", "2026"));
}

TEST(Filter, MindsTheCase) {
  const Filter one = filter({"Shop.Orders", "Stock.*"});
  EXPECT_TRUE(one.selects("Shop", "Orders"));
  EXPECT_FALSE(one.selects("shop", "Orders"));
  EXPECT_FALSE(one.selects("Shop", "orders"));
  EXPECT_FALSE(one.selects("stock", "x"));
}

TEST(Filter, MaySelectInADatabaseThatIsIncludedAtLeastInPart) {
  const Filter included = filter({"shop.orders", "stock.*"});
  EXPECT_TRUE(included.may_select_in("shop"));
  EXPECT_TRUE(included.may_select_in("stock"));
  EXPECT_FALSE(included.may_select_in("other"));

  const Filter excluded = filter({}, {"shop.orders", "stock.*"});
  EXPECT_TRUE(excluded.may_select_in("shop"));
  EXPECT_FALSE(excluded.may_select_in("stock"));
  EXPECT_TRUE(excluded.may_select_in("other"));

  EXPECT_FALSE(filter({"shop.orders"}, {"shop.*"}).may_select_in("shop"));
}

TEST(Filter, KeepsTheEntriesAsTheyWereGiven) {
  const Filter one = filter({"b.x", "a.*", "b.x"}, {"c.y"});
  EXPECT_EQ(one.include(), (Entries{"b.x", "a.*", "b.x"}));
  EXPECT_EQ(one.exclude(), Entries{"c.y"});
}

TEST(Filter, AcceptsEveryNameThatAServerAccepts) {
  const std::string long_database(63, 'd');
  for (const std::string& entry :
       {std::string("a.b"), std::string("a.b c"), std::string("a.b/c"), std::string("a.b."), std::string("a.b..c"),
        std::string("a.*b"), std::string("a.b*c"), std::string("a<b>:|?.c"), std::string("\xc3\xa9.\xc3\xa9"),
        std::string("a.systematic"), std::string("Admin.x"), long_database + "." + std::string(191, 'c')}) {
    const auto made = Filter::make({entry}, {});
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  }
}

TEST(Filter, RefusesEveryMalformedEntryByName) {
  struct Case {
    std::string entry;
    std::string reason;
  };
  const Case cases[] = {
      {"", "needs the form database.collection or database.*"},
      {"shop", "needs the form database.collection or database.*"},
      {"*", "needs the form database.collection or database.*"},
      {".orders", "has no database name"},
      {".", "has no database name"},
      {"shop.", "has no collection name"},
      {std::string("sh\0p.orders", 11), "holds a zero byte"},
      {std::string("shop.ord\0rs", 11), "holds a zero byte"},
      {std::string(64, 'd') + ".x", "has a database name of more than 63 bytes"},
      {"d." + std::string(254, 'c'), "has more than 255 bytes"},
      {"*.orders", "has a '*' in its database name; only database.* is possible"},
      {"*.*", "has a '*' in its database name; only database.* is possible"},
      {"sh*.orders", "has a '*' in its database name; only database.* is possible"},
      {"sh/op.x", "has a character in its database name that no database name can hold"},
      {"sh\\op.x", "has a character in its database name that no database name can hold"},
      {"sh op.x", "has a character in its database name that no database name can hold"},
      {" shop.x", "has a character in its database name that no database name can hold"},
      {"sh\"op.x", "has a character in its database name that no database name can hold"},
      {"sh$op.*", "has a character in its database name that no database name can hold"},
      {"shop..x", "has a collection name that begins with a dot"},
      {"shop.$x", "has a '$' in its collection name"},
      {"shop.x$y", "has a '$' in its collection name"},
      {"admin.*", "names a database that never takes part"},
      {"admin.x", "names a database that never takes part"},
      {"config.x", "names a database that never takes part"},
      {"local.oplog.rs", "names a database that never takes part"},
      {"percona_link_mongodb.*", "names a database that never takes part"},
      {"shop.system.views", "names a collection that never takes part"},
      {"shop.system.buckets.x", "names buckets; name the time-series collection itself"},
      {"shop.order*", "has a '*' that stands for a part of a name; only database.* is possible"},
      {"shop.**", "has a '*' that stands for a part of a name; only database.* is possible"},
  };
  for (const Case& one : cases) {
    const auto included = Filter::make({"good.one", one.entry, "bad"}, {});
    ASSERT_FALSE(included.has_value()) << one.entry;
    EXPECT_EQ(included.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(included.error().message, "includeNamespaces: \"" + one.entry + "\" " + one.reason);

    const auto excluded = Filter::make({}, {one.entry});
    ASSERT_FALSE(excluded.has_value()) << one.entry;
    EXPECT_EQ(excluded.error().message, "excludeNamespaces: \"" + one.entry + "\" " + one.reason);
  }
}

}  // namespace
}  // namespace plm
