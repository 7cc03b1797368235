#include "base/error.h"

#include <algorithm>
#include <array>

namespace plm {

Error Error::within(const std::string& context) const {
  Error out = *this;
  out.message = context + ": " + message;
  return out;
}

namespace {

// Sorted, for binary search.
constexpr int kRetryableServerCodes[] = {
    6,      // HostUnreachable
    7,      // HostNotFound
    24,     // LockTimeout
    43,     // CursorNotFound
    46,     // LockBusy
    50,     // MaxTimeMSExpired
    64,     // WriteConcernFailed
    89,     // NetworkTimeout
    91,     // ShutdownInProgress
    100,    // UnsatisfiableWriteConcern: members are down
    112,    // WriteConflict
    134,    // ReadConcernMajorityNotAvailableYet
    136,    // CappedPositionLost
    175,    // QueryPlanKilled
    189,    // PrimarySteppedDown
    202,    // NetworkInterfaceExceededTimeLimit
    211,    // KeyNotFound: a member that has just started does not know yet who signed the cluster time
    237,    // CursorKilled
    246,    // SnapshotUnavailable: "please retry the operation"
    251,    // NoSuchTransaction: aborted meanwhile
    256,    // TransactionCommitted: ours are repeated whole, which does no harm
    262,    // ExceededTimeLimit
    276,    // IndexBuildAborted
    290,    // TransactionExceededLifetimeLimitSeconds
    317,    // ConnectionPoolExpired
    365,    // TemporarilyUnavailable: the cache is full
    384,    // ConnectionError
    388,    // TransactionTooLargeForCache: told when the cache is full of others' changes, too
    402,    // ResourceExhausted
    462,    // IngressRequestRateLimitExceeded
    9001,   // SocketException
    10107,  // NotWritablePrimary
    11600,  // InterruptedAtShutdown
    11601,  // Interrupted: killOp, killSessions
    11602,  // InterruptedDueToReplStateChange
    12587,  // BackgroundOperationInProgressForNamespace: an index build
    13435,  // NotPrimaryNoSecondaryOk
    13436,  // NotPrimaryOrSecondary
    14031,  // OutOfDiskSpace: somebody will make room
};
static_assert(std::ranges::is_sorted(kRetryableServerCodes));

}  // namespace

bool retryable(const Error& error) {
  switch (error.code) {
    case ErrorCode::network:
      return true;
    case ErrorCode::server:
      break;
    case ErrorCode::invalid_argument:
    case ErrorCode::wrong_state:
    case ErrorCode::not_found:
    case ErrorCode::stored_format:
    case ErrorCode::cancelled:
    case ErrorCode::superseded:
      return false;
  }
  constexpr std::array<const char*, 4> retryable_labels = {"RetryableWriteError", "ResumableChangeStreamError",
                                                           "TransientTransactionError",
                                                           "UnknownTransactionCommitResult"};
  const bool labelled = std::ranges::any_of(error.labels, [&](const std::string& label) {
    return std::ranges::find(retryable_labels, label) != retryable_labels.end();
  });
  return labelled || std::ranges::binary_search(kRetryableServerCodes, error.server_code);
}

bool is_refused_to_user(const Error& error) {
  return error.code == ErrorCode::server &&
         (error.server_code == server_code::unauthorized || error.server_code == server_code::authentication_failed);
}

}  // namespace plm
