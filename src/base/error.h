// Errors as values. An Error is made once, where a library or a server reports
// it, is enriched with context by each layer it passes, and is logged once,
// where it is handled.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace plm {

enum class ErrorCode {
  network,           // connection lost, refused, timed out: the outcome may be unknown
  server,            // a server answered with an error; see Error::server_code
  invalid_argument,  // input of a user or a program that cannot be accepted
  wrong_state,       // right request, wrong moment
  not_found,         // the thing named does not exist (collection, document, job)
  stored_format,     // saved state that is torn, foreign, or of a newer version
  cancelled,         // a stop was requested
  superseded,        // another process works on the target now
};

struct Error {
  ErrorCode code = ErrorCode::server;
  int server_code = 0;              // MongoDB error code; 0 when none
  std::vector<std::string> labels;  // error labels of the reply, such as RetryableWriteError
  std::string message;              // one line, no secrets

  // The same error with "context: " in front of the message.
  [[nodiscard]] Error within(const std::string& context) const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, 0, {}, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// Whether the same request may succeed when it is sent again later, with
// nothing changed by a person: network failures, elections, interrupted
// operations, write-concern failures, exhausted time limits, conflicts with
// other operations. Source of the codes: src/mongo/base/error_codes.yml of
// MongoDB 6.0 to 8.0, categories RetriableError, NetworkError, NotPrimaryError,
// ShutdownError, Interruption, WriteConcernError, ExceededTimeLimitError,
// CursorInvalidatedError, SnapshotError, as far as a member of a replica set
// reports them to a client; and those whose text asks for another try.
[[nodiscard]] bool retryable(const Error& error);

// The server does not let this user in, or not do that: a wrong password, a
// missing right.
[[nodiscard]] bool is_refused_to_user(const Error& error);

// Whether a running job waits until the same request succeeds: also what a
// person takes away from plm's user may be given back.
[[nodiscard]] inline bool worth_waiting(const Error& error) { return retryable(error) || is_refused_to_user(error); }

// Server codes that the engine acts upon by name.
namespace server_code {
inline constexpr int unauthorized = 13;
inline constexpr int authentication_failed = 18;
inline constexpr int failed_to_parse = 9;
inline constexpr int no_such_key = 8;  // per-operation "document not found" of applyOps
inline constexpr int namespace_not_found = 26;
inline constexpr int index_not_found = 27;
inline constexpr int cursor_not_found = 43;
inline constexpr int namespace_exists = 48;
inline constexpr int immutable_field = 66;
inline constexpr int index_options_conflict = 85;
inline constexpr int index_key_specs_conflict = 86;
inline constexpr int cannot_create_index = 67;
inline constexpr int invalid_options = 72;
inline constexpr int capped_position_lost = 136;
inline constexpr int query_plan_killed = 175;
inline constexpr int primary_stepped_down = 189;
inline constexpr int transaction_too_old = 225;
inline constexpr int snapshot_too_old = 239;
inline constexpr int snapshot_unavailable = 246;
inline constexpr int change_stream_history_lost = 286;
inline constexpr int index_build_aborted = 276;
inline constexpr int collection_uuid_mismatch = 361;
inline constexpr int transaction_too_large_for_cache = 388;
inline constexpr int not_writable_primary = 10107;
inline constexpr int object_too_large = 10334;
inline constexpr int duplicate_key = 11000;
inline constexpr int background_operation = 12587;
inline constexpr int id_mismatch_on_replace = 13596;
// "KeyString format error": a key that is read without its types. 50810 to 50830 were seen.
inline constexpr int first_of_key_format = 50809;
inline constexpr int last_of_key_format = 50832;
}  // namespace server_code

}  // namespace plm
