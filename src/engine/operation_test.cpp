#include "engine/operation.h"

#include <gtest/gtest.h>

#include "engine/test_seams.h"

namespace plm {
namespace {

class OperationTest : public testing::Test {
 protected:
  Operation made(EventKind kind, std::string_view document) {
    ChangeEvent event;
    event.kind = kind;
    bytes_ = std::make_shared<const bson::Document>(json(document));
    event.full_document = bytes_->view();
    event.document_id = event.full_document["_id"];
    return operation_of(event, bytes_, collection_ref(kNs, uuid_of(1), uuid_of(2)));
  }

 private:
  std::shared_ptr<const bson::Document> bytes_;
};

TEST_F(OperationTest, ADocumentStaysWhereTheReplyHasIt) {
  const Operation operation = made(EventKind::replace, R"({"_id": 1, "a": 2})");
  EXPECT_EQ(operation.body.data(), operation.bytes->view().data());
}

TEST_F(OperationTest, AReplacementHasItsIdInFront) {
  const Operation operation = made(EventKind::replace, R"({"b": 1, "a": {"_id": 7}, "_id": 1})");
  EXPECT_EQ(operation.kind, OperationKind::replace);
  EXPECT_EQ(operation.body.json(), json(R"({"_id": 1, "b": 1, "a": {"_id": 7}})").view().json());
  EXPECT_EQ(operation.id.as_int64(), 1);
}

TEST_F(OperationTest, AnInsertionIsAsItWas) {
  EXPECT_EQ(made(EventKind::insert, R"({"b": 1, "_id": 1})").body.json(), json(R"({"b": 1, "_id": 1})").view().json());
}

}  // namespace
}  // namespace plm
