#include "mongo/oversized_events.h"

#include <gtest/gtest.h>

#include <string>

namespace plm::mongo {
namespace {

// Times are the increments of one second; an event's token names its time.
class LeftOutTest : public testing::Test {
 protected:
  static ClusterTime at(std::uint32_t time) { return {1000, time}; }
  static bson::Document token(const std::string& name) {
    bson::Builder out;
    out.append("_data", name);
    return out.take();
  }
  void leave_out(std::uint32_t time) {
    bson::Builder id;
    id.append("v", "large" + std::to_string(time));
    left_out_.changes.push_back({at(time), {"db", "c"}, Uuid(), bson::OwnedValue(id.view()["v"])});
  }
  // The times of what comes out, those of what was left out in brackets.
  std::string merge(const std::vector<std::uint32_t>& times, std::uint32_t end) {
    bson::Builder holder;
    {
      auto events = holder.array("events");
      for (const std::uint32_t time : times) {
        auto event = events.document();
        event->append("_id", token(std::to_string(time))).append("operationType", "insert");
        event->append_timestamp("clusterTime", at(time).packed());
      }
    }
    StreamReply reply;
    reply.bytes = std::make_shared<const bson::Document>(holder.take());
    reply.events = (*reply.bytes)["events"].as_document();
    reply.end = {at(end), token("end")};
    const StreamReply out = merge_left_out(reply, left_out_, before_, told_);
    before_ = out.end;
    std::string text;
    for (const bson::Element& element : out.events) {
      const bson::View event = element.value.as_document();
      const std::string time = std::to_string(event["clusterTime"].timestamp() & 0xffffffffU);
      const bool ours = event["operationType"].as_string() == "update";
      if (ours) tokens_ += std::string(event["_id"].as_document()["_data"].as_string()) + " ";
      text += (text.empty() ? "" : " ") + (ours ? "[" + time + "]" : time);
    }
    return text;
  }

  OversizedChanges left_out_{{}, at(50)};
  Position before_{at(1), token("before")};
  std::size_t told_ = 0;
  std::string tokens_;
};

TEST_F(LeftOutTest, IsToldInItsPlaceByTime) {
  for (const std::uint32_t time : {2U, 7U, 7U, 30U}) leave_out(time);
  EXPECT_EQ(merge({3, 6, 7, 8}, 9), "[2] 3 6 [7] [7] 7 8");
  EXPECT_EQ(tokens_, "before 6 6 ") << "a position in front of it, from which it is met again";
  EXPECT_EQ(before_.time, at(8));
  EXPECT_EQ(before_.resume_token.view()["_data"].as_string(), "8") << "the reply's own may be that of a large event";
  EXPECT_EQ(merge({}, 40), "");
  EXPECT_EQ(before_.time, at(8));
  EXPECT_EQ(merge({}, 50), "[30]");
  EXPECT_EQ(before_.time, at(50));
  EXPECT_FALSE(before_.has_token());
}

// Behind the end something else may have been left out.
TEST_F(LeftOutTest, BehindTheEndOfTheDetourNothingIsTaken) {
  leave_out(30);
  EXPECT_EQ(merge({40, 49, 50, 51}, 60), "[30] 40 49");
  EXPECT_EQ(before_.time, at(50));
}

TEST_F(LeftOutTest, WithoutATokenBeforeItTheTimeIsThePosition) {
  before_ = {at(1), {}};
  leave_out(2);
  EXPECT_EQ(merge({}, 50), "[2]");
  EXPECT_EQ(tokens_, " ");
}

}  // namespace
}  // namespace plm::mongo
