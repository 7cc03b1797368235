#include "base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace plm {
namespace {

Error server_error(int code, std::vector<std::string> labels = {}) {
  return {ErrorCode::server, code, std::move(labels), "text"};
}

TEST(Error, GetsContextInFrontAndKeepsTheRest) {
  const Error error = server_error(11000, {"a label"}).within("insert into a.b").within("range 3");
  EXPECT_EQ(error.message, "range 3: insert into a.b: text");
  EXPECT_EQ(error.code, ErrorCode::server);
  EXPECT_EQ(error.server_code, 11000);
  EXPECT_EQ(error.labels, std::vector<std::string>{"a label"});
}

TEST(Error, BecomesAResultThroughFail) {
  const Result<int> made = fail(ErrorCode::not_found, "no such job");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::not_found);
  EXPECT_EQ(made.error().message, "no such job");
  EXPECT_EQ(made.error().server_code, 0);

  const Status passed_on = fail(made.error().within("resume"));
  ASSERT_FALSE(passed_on.has_value());
  EXPECT_EQ(passed_on.error().code, ErrorCode::not_found);
  EXPECT_EQ(passed_on.error().message, "resume: no such job");
}

TEST(Retryable, DependsOnTheKindOfError) {
  EXPECT_TRUE(retryable({ErrorCode::network, 0, {}, ""}));
  for (const ErrorCode code : {ErrorCode::server, ErrorCode::invalid_argument, ErrorCode::wrong_state,
                               ErrorCode::not_found, ErrorCode::stored_format, ErrorCode::cancelled}) {
    EXPECT_FALSE(retryable({code, 0, {}, ""})) << static_cast<int>(code);
  }
}

TEST(Retryable, LooksAtCodesAndLabelsOfServerErrorsOnly) {
  EXPECT_TRUE(retryable(server_error(91)));
  EXPECT_FALSE(retryable({ErrorCode::cancelled, 91, {"RetryableWriteError"}, ""}));
  EXPECT_FALSE(retryable({ErrorCode::stored_format, 11600, {}, ""}));
}

TEST(Retryable, IsTheTableOfServerCodes) {
  struct Case {
    int code;
    const char* name;
    bool retryable;
  };
  const Case cases[] = {
      {6, "HostUnreachable", true},
      {7, "HostNotFound", true},
      {24, "LockTimeout", true},
      {43, "CursorNotFound", true},
      {46, "LockBusy", true},
      {50, "MaxTimeMSExpired", true},
      {64, "WriteConcernFailed", true},
      {89, "NetworkTimeout", true},
      {91, "ShutdownInProgress", true},
      {100, "UnsatisfiableWriteConcern", true},
      {112, "WriteConflict", true},
      {134, "ReadConcernMajorityNotAvailableYet", true},
      {136, "CappedPositionLost", true},
      {175, "QueryPlanKilled", true},
      {189, "PrimarySteppedDown", true},
      {202, "NetworkInterfaceExceededTimeLimit", true},
      {211, "KeyNotFound", true},
      {237, "CursorKilled", true},
      {246, "SnapshotUnavailable", true},
      {262, "ExceededTimeLimit", true},
      {276, "IndexBuildAborted", true},
      {290, "TransactionExceededLifetimeLimitSeconds", true},
      {317, "ConnectionPoolExpired", true},
      {251, "NoSuchTransaction", true},
      {256, "TransactionCommitted", true},
      {365, "TemporarilyUnavailable", true},
      {388, "TransactionTooLargeForCache", true},
      {384, "ConnectionError", true},
      {402, "ResourceExhausted", true},
      {462, "IngressRequestRateLimitExceeded", true},
      {9001, "SocketException", true},
      {10107, "NotWritablePrimary", true},
      {11600, "InterruptedAtShutdown", true},
      {11601, "Interrupted", true},
      {11602, "InterruptedDueToReplStateChange", true},
      {13435, "NotPrimaryNoSecondaryOk", true},
      {13436, "NotPrimaryOrSecondary", true},
      {14031, "OutOfDiskSpace", true},

      {0, "none", false},
      {1, "InternalError", false},
      {2, "BadValue", false},
      {9, "FailedToParse", false},
      {11, "UserNotFound", false},
      {13, "Unauthorized", false},
      {18, "AuthenticationFailed", false},
      {20, "IllegalOperation", false},
      {26, "NamespaceNotFound", false},
      {27, "IndexNotFound", false},
      {48, "NamespaceExists", false},
      {59, "CommandNotFound", false},
      {66, "ImmutableField", false},
      {67, "CannotCreateIndex", false},
      {72, "InvalidOptions", false},
      {73, "InvalidNamespace", false},
      {79, "UnknownReplWriteConcern", false},
      {85, "IndexOptionsConflict", false},
      {86, "IndexKeySpecsConflict", false},
      {121, "DocumentValidationFailure", false},
      {171, "CannotIndexParallelArrays", false},
      {225, "TransactionTooOld", false},
      {280, "ChangeStreamFatalError", false},
      {286, "ChangeStreamHistoryLost", false},
      {361, "CollectionUUIDMismatch", false},
      {371, "UserWritesBlocked", false},
      {10334, "BSONObjectTooLarge", false},
      {11000, "DuplicateKey", false},
      {12587, "BackgroundOperationInProgressForNamespace", true},
      {13596, "cannot change _id of a document", false},
  };
  for (const Case& one : cases)
    EXPECT_EQ(retryable(server_error(one.code)), one.retryable) << one.code << " " << one.name;
}

// Rights that were taken away may be given back; a job that never had them is refused at its start.
TEST(WorthWaiting, IsWhatIsRefusedToTheUser) {
  for (const int code : {server_code::unauthorized, server_code::authentication_failed}) {
    EXPECT_TRUE(is_refused_to_user(server_error(code)));
    EXPECT_TRUE(worth_waiting(server_error(code)));
  }
  EXPECT_TRUE(worth_waiting(server_error(189)));
  EXPECT_FALSE(worth_waiting(server_error(server_code::duplicate_key)));
  EXPECT_FALSE(worth_waiting({ErrorCode::superseded, server_code::unauthorized, {}, "x"}));
}

TEST(Retryable, FollowsTheLabelsOfTheReply) {
  for (const char* label : {"RetryableWriteError", "ResumableChangeStreamError", "TransientTransactionError",
                            "UnknownTransactionCommitResult"}) {
    EXPECT_TRUE(retryable(server_error(1, {label}))) << label;
    EXPECT_TRUE(retryable(server_error(1, {"something else", label}))) << label;
  }
  EXPECT_FALSE(retryable(server_error(286, {"NonResumableChangeStreamError"})));
  EXPECT_FALSE(retryable(server_error(1, {"retryablewriteerror"})));
}

}  // namespace
}  // namespace plm
