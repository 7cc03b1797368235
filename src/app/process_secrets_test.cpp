#include "app/process_secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>

namespace plm {
namespace {

// What is left of the bytes.
std::string hidden(std::string text) {
  hide_secrets(text.data());
  return text;
}

TEST(ProcessSecrets, AreReplacedInPlace) {
  EXPECT_EQ(hidden("mongodb://ann:secret@h/?x=y"), std::string("mongodb://ann:***@h/?x=y\0\0\0", 27));
  EXPECT_EQ(hidden("--source=mongodb://ann:secret@h"), std::string("--source=mongodb://ann:***@h\0\0\0", 31));
  EXPECT_EQ(hidden("mongodb://h/?tlsCertificateKeyFilePassword=secret"),
            std::string("mongodb://h/?tlsCertificateKeyFilePassword=***\0\0\0", 49));
}

TEST(ProcessSecrets, OfMalformedConnectionStringsAreHiddenToo) {
  for (const char* text : {"mongodb://a:secret@secret@h", "mongodb:/a:secret@h", "a:secret@h",
                           "mongodb://a:se/secret@h", "--sorce=mongodb://a:secret?x@h"}) {
    EXPECT_EQ(hidden(text).find("secret"), std::string::npos) << text;
  }
}

TEST(ProcessSecrets, ThatAreShorterThanTheirMaskTakeEverythingWithThem) {
  EXPECT_EQ(hidden("mongodb://a:b@h"), std::string(15, '*'));
}

TEST(ProcessSecrets, LeaveOtherArgumentsAlone) {
  for (const char* text :
       {"", "--port", "2242", "shop.*,crm.people", "mongodb://h:1/?replicaSet=a", "mongodb://ann@h"}) {
    EXPECT_EQ(hidden(text), text);
  }
}

TEST(ProcessSecrets, OfEveryArgumentAndVariableAreFound) {
  std::string first = "--source";
  std::string second = "mongodb://ann:secret@h";
  const std::array<char*, 2> arguments = {first.data(), second.data()};
  hide_secrets(arguments);
  EXPECT_EQ(first, "--source");
  EXPECT_STREQ(second.c_str(), "mongodb://ann:***@h");

  ASSERT_EQ(setenv("PLM_TARGET_URI", "mongodb://bob:secret@h", 1), 0);
  hide_secrets_of_environment();
  EXPECT_STREQ(std::getenv("PLM_TARGET_URI"), "mongodb://bob:***@h");
  unsetenv("PLM_TARGET_URI");
}

}  // namespace
}  // namespace plm
