#include "model/uuid.h"

#include <gtest/gtest.h>

#include <unordered_set>

#include "bson/test_values.h"

namespace plm {
namespace {

using bson::value_from_json;

// d058d17d-3904-42cc-bce0-10e8561ca52d
constexpr const char* kJson = R"({"$binary": {"base64": "0FjRfTkEQsy84BDoVhylLQ==", "subType": "04"}})";

TEST(Uuid, IsReadFromABinaryOfSubtypeFour) {
  const Uuid uuid(value_from_json(kJson).value());
  EXPECT_FALSE(uuid.is_nil());
  EXPECT_EQ(uuid.text(), "d058d17d-3904-42cc-bce0-10e8561ca52d");
}

TEST(Uuid, IsNilForEveryOtherValue) {
  for (const char* json :
       {R"({"$binary": {"base64": "0FjRfTkEQsy84BDoVhylLQ==", "subType": "00"}})",
        R"({"$binary": {"base64": "0FjRfTkEQsy84BDoVhylLQ==", "subType": "03"}})",
        R"({"$binary": {"base64": "0FjRfTkEQsy84BDoVhyl", "subType": "04"}})",
        R"({"$binary": {"base64": "", "subType": "04"}})", R"("d058d17d-3904-42cc-bce0-10e8561ca52d")", "null", "1"}) {
    EXPECT_TRUE(Uuid(value_from_json(json).value()).is_nil()) << json;
  }
  EXPECT_TRUE(Uuid(bson::Value()).is_nil());
  EXPECT_TRUE(Uuid().is_nil());
  EXPECT_EQ(Uuid().text(), "00000000-0000-0000-0000-000000000000");
}

TEST(Uuid, IsWrittenAsItWasRead) {
  const Uuid uuid(value_from_json(kJson).value());
  bson::Builder out;
  uuid.append_to(out, "v");
  EXPECT_TRUE(out.view() == bson::from_json(std::string(R"({"v": )") + kJson + "}").view());
  EXPECT_EQ(Uuid(out.view()["v"]), uuid);
}

TEST(Uuid, IsOrderedByItsBytesAndCanBeAKey) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[0] = 1;
  const Uuid first(bytes);
  bytes[0] = 0x80;
  const Uuid second(bytes);
  EXPECT_LT(Uuid(), first);
  EXPECT_LT(first, second);
  EXPECT_EQ(second.bytes(), bytes);
  const std::unordered_set<Uuid, UuidHash> set = {first, second, first};
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace plm
