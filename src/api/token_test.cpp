#include "api/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plm {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr auto kSecret = "0123456789abcdef-._~+/=";

TEST(Token, IsLongAndFitsIntoAHeader) {
  EXPECT_TRUE(check_token(kSecret));
  EXPECT_TRUE(check_token(std::string(16, 'x')));
  EXPECT_TRUE(check_token(std::string(1024, 'x')));
  for (const std::string& bad : {std::string(), std::string(15, 'q'), std::string(1025, 'q'),
                                 std::string("with a blank in it"), std::string("t\xc3\xb6kent\xc3\xb6kent\xc3\xb6ken"),
                                 std::string("0123456789abcdef\n"), std::string("0123456789\0abcdefg", 18)}) {
    const auto checked = check_token(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(checked.error().message, Not(HasSubstr(bad.empty() ? "\n" : bad)));
  }
}

TEST(Token, IsShownByTheBearerSchemeOnly) {
  const std::string token = kSecret;
  EXPECT_TRUE(shows_token("Bearer " + token, token));
  EXPECT_TRUE(shows_token("bearer " + token, token));
  for (const std::string& header :
       {std::string(), token, std::string("Bearer"), std::string("Bearer "), "Basic " + token, "Bearer  " + token,
        "Bearer " + token + " ", "Bearer " + token + token, "Bearer " + token.substr(1),
        "Bearer " + token.substr(0, token.size() - 1), "Bearer " + token + "x", "Bearer x" + token.substr(1)}) {
    EXPECT_FALSE(shows_token(header, token)) << header;
  }
}

TEST(Token, ThatIsEmptyIsShownByNobody) {
  for (const auto header : {"", "Bearer", "Bearer ", "Bearer x"}) EXPECT_FALSE(shows_token(header, ""));
}

}  // namespace
}  // namespace plm
