#include "mongo/error_translation.h"

#include <gtest/gtest.h>

#include "bson/document.h"

namespace plm::mongo {
namespace {

bson_error_t driver_error(std::uint32_t domain, std::uint32_t code, const char* message) {
  bson_error_t out;
  bson_set_error(&out, domain, code, "%s", message);
  return out;
}

bson::Document refusal(int code, const char* label) {
  bson::Builder out;
  out.append("ok", 0.0).append("code", code).append("errmsg", "server says no: { _id: 7, name: \"x\" }");
  {
    auto labels = out.array("errorLabels");
    labels.append(label);
  }
  return out.take();
}

TEST(ErrorTranslation, ALostConnectionIsANetworkError) {
  for (const std::uint32_t domain : {MONGOC_ERROR_STREAM, MONGOC_ERROR_SERVER_SELECTION}) {
    const Error error = to_error(driver_error(domain, 4, "no suitable servers"), {});
    EXPECT_EQ(error.code, ErrorCode::network);
    EXPECT_TRUE(retryable(error));
  }
}

TEST(ErrorTranslation, AServersAnswerKeepsCodeAndLabelsAndLosesValues) {
  const bson::Document reply = refusal(189, "RetryableWriteError");
  const Error error = to_error(driver_error(MONGOC_ERROR_SERVER, 189, "ignored"), reply.view());
  EXPECT_EQ(error.code, ErrorCode::server);
  EXPECT_EQ(error.server_code, 189);
  EXPECT_EQ(error.labels, std::vector<std::string>{"RetryableWriteError"});
  EXPECT_EQ(error.message, "server says no");
}

TEST(ErrorTranslation, AMissingNamespaceIsNotFound) {
  const Error error = server_error(26, "ns does not exist");
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_EQ(error.server_code, 26);
}

TEST(ErrorTranslation, AFailedLoginIsNotRetried) {
  const Error error = to_error(driver_error(MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE, "no"), {});
  EXPECT_EQ(error.server_code, 18);
  EXPECT_FALSE(retryable(error));
}

TEST(ErrorTranslation, AConnectionThatBreaksDuringALoginIsANetworkError) {
  const auto* message =
      "Failed to send \"saslStart\" command with database \"admin\": Failed to read 4 bytes: socket error";
  const Error error = to_error(driver_error(MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE, message), {});
  EXPECT_EQ(error.code, ErrorCode::network);
  EXPECT_TRUE(retryable(error));
}

TEST(ErrorTranslation, FindsTheWriteConcernErrorOfAReplyThatSaysOk) {
  bson::Builder reply;
  reply.append("ok", 1.0);
  EXPECT_FALSE(write_concern_error(reply.view()));
  {
    auto entry = reply.document("writeConcernError");
    entry->append("code", 64).append("errmsg", "waiting for replication timed out");
  }
  const auto error = write_concern_error(reply.view());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->server_code, 64);
  EXPECT_TRUE(retryable(*error));
}

TEST(ErrorTranslation, MessagesAreOneLineWithoutDocuments) {
  EXPECT_EQ(without_values("E11000 duplicate key error collection: a.b index: x_1 dup key: { x: \"secret\" }"),
            "E11000 duplicate key error collection: a.b index: x_1 dup key");
  EXPECT_EQ(without_values("two\nlines"), "two lines");
}

}  // namespace
}  // namespace plm::mongo
