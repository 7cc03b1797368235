#include "mongo/document_array.h"

#include <gtest/gtest.h>

#include "bson/document.h"

namespace plm::mongo {
namespace {

TEST(DocumentArray, AnEmptyArrayHasNothing) {
  const ArraySummary summary = summarize(bson::View());
  EXPECT_EQ(summary.count, 0);
  EXPECT_EQ(summary.size_bytes, 0);
  EXPECT_TRUE(summary.last.empty());
}

TEST(DocumentArray, CountsMeasuresAndFindsTheLast) {
  bson::Builder holder;
  std::int64_t size_bytes = 0;
  {
    auto array = holder.array("a");
    for (int i = 0; i < 1234; ++i) {
      bson::Builder document;
      document.append("_id", i).append("text", std::string(static_cast<std::size_t>(i), 'x'));
      size_bytes += document.view().size();
      array.append(document.view());
    }
  }
  const ArraySummary summary = summarize(holder.view()["a"].as_document());
  EXPECT_EQ(summary.count, 1234);
  EXPECT_EQ(summary.size_bytes, size_bytes);
  EXPECT_EQ(summary.last["_id"].as_int64(), 1233);
}

}  // namespace
}  // namespace plm::mongo
