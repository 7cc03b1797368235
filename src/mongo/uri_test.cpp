#include "mongo/uri.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Uri, TellsHostsReplicaSetAndUser) {
  const auto uri = parse_uri("mongodb://ann:p%40ss@one:27018,two/?replicaSet=rs0");
  ASSERT_TRUE(uri);
  EXPECT_THAT(uri->hosts, ElementsAre("one:27018", "two:27017"));
  EXPECT_EQ(uri->replica_set, "rs0");
  EXPECT_EQ(uri->user, "ann");
  EXPECT_EQ(uri->redacted, "mongodb://ann:***@one:27018,two/?replicaSet=rs0");
}

TEST(Uri, RedactionKeepsTheUserAndHidesEverySecret) {
  EXPECT_EQ(redacted("mongodb://a:b@h/?tls=true&tlsCertificateKeyFilePassword=x&appName=y"),
            "mongodb://a:***@h/?tls=true&tlsCertificateKeyFilePassword=***&appName=y");
  EXPECT_EQ(redacted("mongodb://a@h/?authMechanismProperties=AWS_SESSION_TOKEN:abc"),
            "mongodb://a@h/?authMechanismProperties=***");
  EXPECT_EQ(redacted("mongodb+srv://a:b@h"), "mongodb+srv://a:***@h");
  EXPECT_EQ(redacted("mongodb://h:27017"), "mongodb://h:27017");
}

TEST(Uri, RedactionHidesSecretsOfMalformedUrisToo) {
  for (const char* uri : {"mongodb://a:geheim@geheim@h", "mongodb://a:ge/geheim@h/", "a:geheim@h",
                          "mongodb://a:geheim?x@h", "mongodb://a:geheim&b=c@h/?x=y"}) {
    EXPECT_THAT(redacted(uri), Not(HasSubstr("geheim"))) << uri;
  }
}

// Every character that may stand in a password, percent-encoded as the standard
// asks for, and those that the driver also takes as they are.
TEST(Uri, TakesEveryCharacterInAPassword) {
  for (int c = 1; c < 256; ++c) {
    const std::string uri = fmt::format("mongodb://ann:x%{:02X}y@one/?replicaSet=a", c);
    const auto parsed = parse_uri(uri);
    const bool is_text = c < 0x80;  // the driver wants UTF-8
    EXPECT_EQ(parsed.has_value(), is_text) << c;
    EXPECT_EQ(redacted(uri), "mongodb://ann:***@one/?replicaSet=a") << c;
  }
  const auto umlaut = parse_uri("mongodb://%C3%A4nn:p%C3%A9%E2%82%AC%F0%9F%94%91@one/");
  ASSERT_TRUE(umlaut) << umlaut.error().message;
  EXPECT_EQ(umlaut->user, "\xc3\xa4nn");
  for (const char c : std::string_view("-._~!$&'()*+,;=")) {
    const std::string uri = fmt::format("mongodb://ann:x{}geheim@one/", c);
    EXPECT_TRUE(parse_uri(uri)) << c;
    EXPECT_EQ(redacted(uri), "mongodb://ann:***@one/");
  }
}

TEST(Uri, NamesAFileOfCertificatesThatCannotBeRead) {
  for (const char* option : {"tlsCAFile", "tlsCertificateKeyFile"}) {
    const auto parsed = parse_uri(fmt::format("mongodb://a:geheim@h/?tls=true&{}=/nothing/here.pem", option));
    ASSERT_FALSE(parsed) << option;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(parsed.error().message, HasSubstr("cannot read /nothing/here.pem: No such file"));
    EXPECT_TRUE(parse_uri(fmt::format("mongodb://h/?tls=true&{}=/dev/null", option)));
  }
}

TEST(Uri, MalformedOnesAreRefusedInOneLineWithoutSecrets) {
  for (const char* uri :
       {"", "localhost", "http://a:geheim@h", "mongodb://", "mongodb://a:ge/heim@h", "mongodb://a:ge@heim@h",
        "mongodb://a:geheim@", "mongodb://a:ge%heim@h", "mongodb://h/?replicaSet=a&replicaSet"}) {
    const auto parsed = parse_uri(uri);
    ASSERT_FALSE(parsed) << uri;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(parsed.error().message, Not(HasSubstr("heim"))) << uri;
    EXPECT_THAT(parsed.error().message, Not(HasSubstr("\n"))) << uri;
  }
}

}  // namespace
}  // namespace plm
