#include "mongo/uri.h"

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

TEST(Uri, MalformedOnesAreRefusedInOneLineWithoutSecrets) {
  for (const char* uri : {"", "localhost", "http://a:geheim@h", "mongodb://", "mongodb://a:ge/heim@h",
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
