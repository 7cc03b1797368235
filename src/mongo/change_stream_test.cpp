#include "mongo/change_stream.h"

#include <gtest/gtest.h>

namespace plm::mongo {
namespace {

ClusterTime time_in(const char* data) {
  bson::Builder token;
  token.append("_data", data);
  return token_time(token.view());
}

TEST(TokenTime, IsReadFromTheHexDigits) {
  EXPECT_EQ(time_in("826924A1B20000002A2B0229296E04"), (ClusterTime{0x6924A1B2, 42}));
}

TEST(TokenTime, IsZeroForTokensOfAnotherForm) {
  EXPECT_TRUE(time_in("").is_zero());
  EXPECT_TRUE(time_in("82").is_zero());
  EXPECT_TRUE(time_in("836924A1B20000002A2B0229296E04").is_zero());
  EXPECT_TRUE(time_in("82XXXXXXXX0000002A2B0229296E04").is_zero());
  EXPECT_TRUE(token_time(bson::View()).is_zero());
}

}  // namespace
}  // namespace plm::mongo
