#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace plm::log {
namespace {

// What one piece of code writes to standard error, line by line. The log goes
// back to its defaults afterwards.
template <typename F>
std::vector<std::string> lines_of(Level level, Format format, F&& code) {
  testing::internal::CaptureStderr();
  configure(level, format);
  code();
  configure(Level::info, Format::text);
  std::istringstream captured(testing::internal::GetCapturedStderr());
  std::vector<std::string> lines;
  for (std::string line; std::getline(captured, line);) lines.push_back(line);
  return lines;
}

TEST(Log, WritesTimeLevelMessageAndFields) {
  const auto lines = lines_of(Level::info, Format::text, [] {
    info("collection copied", {{"ns", "shop.orders"}, {"documents", 12}, {"seconds", 1.5}, {"first", true}});
  });
  ASSERT_EQ(lines.size(), 1);
  EXPECT_THAT(lines[0],
              testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                                    "INFO collection copied ns=shop\\.orders documents=12 seconds=1\\.500 first=true"));
}

TEST(Log, QuotesValuesThatWouldNotBeOneWord) {
  const auto lines = lines_of(Level::info, Format::text, [] {
    warn("a refusal",
         {{"blank", "a b"}, {"quote", "say \"no\""}, {"empty", ""}, {"newline", "a\nb"}, {"equals", "a=b"}});
  });
  ASSERT_EQ(lines.size(), 1);
  EXPECT_THAT(lines[0], testing::EndsWith(
                            R"(WARN a refusal blank="a b" quote="say \"no\"" empty="" newline="a\nb" equals="a=b")"));
}

TEST(Log, KeepsAMessageOnOneLine) {
  const auto lines = lines_of(Level::info, Format::text, [] { error("one\ntwo"); });
  ASSERT_EQ(lines.size(), 1);
  EXPECT_THAT(lines[0], testing::EndsWith("ERROR one two"));
}

TEST(Log, WritesJsonWithNumbersAsNumbers) {
  const auto lines = lines_of(Level::info, Format::json, [] {
    info("say \"hello\"", {{"text", "a\"\\\n\x01"}, {"count", 7}, {"ratio", 0.25}, {"yes", true}});
  });
  ASSERT_EQ(lines.size(), 1);
  const auto line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["message"], "say \"hello\"");
  EXPECT_EQ(line["text"], "a\"\\\n\x01");
  EXPECT_EQ(line["count"], 7);
  EXPECT_EQ(line["ratio"], 0.25);
  EXPECT_EQ(line["yes"], "true");
  EXPECT_EQ(line["time"].get<std::string>().size(), 24);
}

TEST(Log, StaysValidJsonWithBytesThatAreNotTextAndNumbersThatAreNone) {
  const auto lines = lines_of(Level::info, Format::json, [] {
    info("odd", {{"bytes", "a\xff\xfe"}, {"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}});
  });
  ASSERT_EQ(lines.size(), 1);
  const auto line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["nan"], "nan");
  EXPECT_EQ(line["inf"], "inf");
}

TEST(Log, DropsWhatIsBelowItsLevel) {
  const auto lines = lines_of(Level::warn, Format::text, [] {
    debug("debug");
    info("info");
    warn("warn");
    error("error");
  });
  ASSERT_EQ(lines.size(), 2);
  EXPECT_THAT(lines[0], testing::EndsWith("WARN warn"));
  EXPECT_THAT(lines[1], testing::EndsWith("ERROR error"));
}

TEST(Log, KeepsLinesOfSeveralThreadsApart) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  const auto lines = lines_of(Level::info, Format::json, [] {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([thread] {
        for (int line = 0; line < kLines; ++line) info("line", {{"thread", thread}, {"line", line}});
      });
    }
  });
  EXPECT_EQ(lines.size(), kThreads * kLines);
  for (const auto& line : lines) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

}  // namespace
}  // namespace plm::log
