#include "mongo/apply_ops.h"

#include <gtest/gtest.h>

namespace plm::mongo {
namespace {

using Kind = TargetOperation::Kind;

const Twin& twin() {
  static const Twin out{{"shop", "orders"}, Uuid({1, 2, 3})};
  return out;
}

bson::Document document(int id, std::size_t text_bytes = 0) {
  bson::Builder out;
  out.append("_id", id).append("text", std::string(text_bytes, 'x'));
  return out.take();
}

TEST(ApplyOps, EncodesEachKindWithTheIdentityOfItsCollection) {
  const bson::Document seven = document(7);
  const bson::Value id = seven["_id"];
  const std::vector<TargetOperation> operations = {{Kind::upsert, &twin(), id, seven.view()},
                                                   {Kind::diff, &twin(), id, seven.view()},
                                                   {Kind::erase, &twin(), id, {}}};
  ApplyOpsCommand encoded = encode_apply_ops(operations);
  EXPECT_EQ(encoded.operations, 3U);
  ASSERT_TRUE(bson::valid(encoded.command.view().bytes()));
  EXPECT_FALSE(encoded.command.view()["allowAtomic"].as_bool(true));
  EXPECT_FALSE(encoded.command.view()["alwaysUpsert"].as_bool(true));
  EXPECT_TRUE(encoded.command.view()["bypassDocumentValidation"].as_bool());

  const bson::View entries = encoded.command.view()["applyOps"].as_document();
  const auto entry = [&](const char* position) { return entries[position].as_document(); };
  for (const char* position : {"0", "1", "2"}) {
    EXPECT_EQ(entry(position)["ns"].as_string(), "shop.orders");
    EXPECT_EQ(Uuid(entry(position)["ui"]), twin().uuid);
  }
  EXPECT_EQ(entry("0")["op"].as_string(), "i");
  EXPECT_EQ(entry("0")["o"].as_document(), seven.view());
  EXPECT_EQ(entry("1")["op"].as_string(), "u");
  EXPECT_EQ(entry("1")["o2"].as_document()["_id"].as_int64(), 7);
  EXPECT_EQ(entry("1")["o"].as_document(), seven.view());
  EXPECT_EQ(entry("2")["op"].as_string(), "d");
  EXPECT_EQ(entry("2")["o"].as_document()["_id"].as_int64(), 7);
}

TEST(ApplyOps, AReplacementThatMightBeTakenForAnUpdateIsInserted) {
  const bson::Document plain = document(7);
  bson::Builder odd;
  odd.append("$v", 2).append("_id", 7);
  const std::vector<TargetOperation> operations = {{Kind::replace, &twin(), plain["_id"], plain.view()},
                                                   {Kind::replace, &twin(), plain["_id"], odd.view()}};
  ApplyOpsCommand encoded = encode_apply_ops(operations);
  const bson::View entries = encoded.command.view()["applyOps"].as_document();
  EXPECT_EQ(entries["0"].as_document()["op"].as_string(), "u");
  EXPECT_TRUE(entries["0"].as_document()["b"].as_bool());
  EXPECT_EQ(entries["1"].as_document()["op"].as_string(), "i");
}

TEST(ApplyOps, OneCommandIsBoundedInNumberAndSize) {
  const bson::Document small = document(1);
  const std::vector<TargetOperation> many(2000, {Kind::upsert, &twin(), small["_id"], small.view()});
  EXPECT_LT(encode_apply_ops(many).operations, 2000U);
  const bson::Document large = document(1, 5U << 20U);
  const std::vector<TargetOperation> heavy(10, {Kind::upsert, &twin(), large["_id"], large.view()});
  ApplyOpsCommand encoded = encode_apply_ops(heavy);
  EXPECT_GE(encoded.operations, 1U);
  EXPECT_LT(encoded.command.size_bytes(), 16U << 20U);
}

TEST(ApplyOps, DocumentsThatFillACommandAndClassicUpdatesGoAnotherWay) {
  const bson::Document huge = document(1, (16U << 20U) - 200);
  const bson::Document small = document(1);
  EXPECT_FALSE(expressible_in_apply_ops({Kind::upsert, &twin(), huge["_id"], huge.view()}));
  EXPECT_TRUE(expressible_in_apply_ops({Kind::upsert, &twin(), small["_id"], small.view()}));
  bson::Builder classic;
  {
    auto set = classic.document("$set");
    set->append("x", 1);
  }
  EXPECT_FALSE(expressible_in_apply_ops({Kind::diff, &twin(), small["_id"], classic.view()}));
}

}  // namespace
}  // namespace plm::mongo
