#include "mongo/zero_timestamp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bson/document.h"

namespace plm::mongo {
namespace {

bson::Document document_with(std::string_view key, std::uint64_t timestamp) {
  const std::uint64_t little_endian = timestamp;
  bson::Builder out;
  out.append("a", 1).append(key,
                            bson::Value(BSON_TYPE_TIMESTAMP, reinterpret_cast<const std::uint8_t*>(&little_endian), 8));
  return out.take();
}

TEST(HasZeroTimestamp, WhereTheServerWouldReplaceIt) {
  EXPECT_TRUE(has_zero_timestamp(document_with("b", 0).view()));
  EXPECT_FALSE(has_zero_timestamp(document_with("b", 1).view()));
  EXPECT_FALSE(has_zero_timestamp(document_with("b", std::uint64_t{1} << 32U).view()));
  EXPECT_FALSE(has_zero_timestamp(document_with("_id", 0).view()));
  bson::Builder deeper;
  deeper.append("inner", document_with("b", 0)).append("zero", 0);
  EXPECT_FALSE(has_zero_timestamp(deeper.view()));
}

TEST(HasZeroTimestamp, NotWhereThePipelineWouldEndTheServer) {
  bson::Builder twice;
  twice.append_all(document_with("b", 0).view()).append("b", 1);
  EXPECT_FALSE(has_zero_timestamp(twice.view()));
  bson::Builder twice_inside;
  twice_inside.append_all(document_with("b", 0).view()).append("inner", twice.view());
  EXPECT_FALSE(has_zero_timestamp(twice_inside.view()));
}

TEST(WithZeroTimestamp, NamesThePositionsInAnArray) {
  bson::Builder holder;
  {
    auto array = holder.array("a");
    for (const std::uint64_t timestamp : {7U, 0U, 1U, 0U}) array.append(document_with("b", timestamp));
  }
  EXPECT_THAT(with_zero_timestamp(holder.view()["a"].as_document()), testing::ElementsAre(1U, 3U));
}

}  // namespace
}  // namespace plm::mongo
