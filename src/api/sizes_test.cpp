#include "api/sizes.h"

#include <gtest/gtest.h>

#include <array>

namespace plm {
namespace {

TEST(Sizes, ReadsBytesDecimalAndBinaryUnits) {
  struct Case {
    std::string_view text;
    std::int64_t bytes;
  };
  constexpr std::array<Case, 14> kCases = {{{"0", 0},
                                            {"1048576", 1048576},
                                            {"7B", 7},
                                            {"64KB", 64'000},
                                            {"500MB", 500'000'000},
                                            {"512MiB", 536'870'912},
                                            {"512 MiB", 536'870'912},
                                            {"512mib", 536'870'912},
                                            {"1.5GiB", 1'610'612'736},
                                            {"0.5KB", 500},
                                            {"2GB", 2'000'000'000},
                                            {"1TB", 1'000'000'000'000},
                                            {"1TiB", 1'099'511'627'776},
                                            {"1.0", 1}}};
  for (const auto& [text, bytes] : kCases) {
    const auto parsed = parse_size(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(Sizes, RefusesWhatIsNoSizeAndSaysWhatOneIs) {
  constexpr std::array<std::string_view, 18> kBad = {"",     " ",          "MB",  "-1",    "+1",    "1e3",
                                                     "0x10", "12 parsecs", "12M", "1.5.2", "1  MB", "1MB ",
                                                     " 1MB", "nan",        "inf", "1.5",   "1,5MB", "12MBit"};
  for (const auto text : kBad) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(parsed.error().message.find("is not a size"), std::string::npos) << parsed.error().message;
  }
}

TEST(Sizes, RefusesWhatDoesNotFit) {
  for (const auto text : {"99999999999999999999", "10000000TiB", "1e400"}) EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Sizes, AreWrittenForPeople) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(999), "999 B");
  EXPECT_EQ(format_size(1000), "1.0 KB");
  EXPECT_EQ(format_size(999'949), "999.9 KB");
  EXPECT_EQ(format_size(999'950), "1.0 MB");
  EXPECT_EQ(format_size(1'234'567'890), "1.2 GB");
  EXPECT_EQ(format_size(5'000'000'000'000'000'000), "5000.0 PB");
}

}  // namespace
}  // namespace plm
