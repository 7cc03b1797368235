// Who writes data to the target, and how what was sent in the past is shut out
// (I6). Each command goes out in the name of a writer, which has two things that
// can be taken away from whatever it sent before:
//
// - a named session: insert, update, delete and transactions carry its next
//   number; once a higher one was written, a server refuses them (225);
// - a fence, a small collection: applyOps knows no numbers, so its first
//   operation changes nothing in a document of the fence, by UUID; once the
//   fence is dropped, the server refuses that operation and the command with it
//   (26).
//
// A command whose outcome is unknown makes its writer uncertain: it may still
// lie in a socket, a proxy or a queue of the server. Before any other command is
// sent, by whomever, uncertain writers are made certain again: a new fence, a
// higher number, and a wait until the server shows no applyOps of before any
// more. So the callers, who send again what failed, need to know nothing.
//
// What a process makes here, it makes first, and then confirms that it still has
// the lease: so an owner who comes later finds it, and takes it away.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/collection.h"
#include "mongo/catalog_reader.h"
#include "mongo/connection.h"
#include "mongo/named_session.h"
#include "mongo/term.h"
#include "mongo/transaction.h"

namespace plm::mongo {

struct Writer {
  explicit Writer(WriterNumber its_number) : number(its_number), session(its_number) {}

  enum class Past {
    of_others,  // nothing was sent in this epoch
    known,      // every command was answered
    unknown,
  };

  WriterNumber number;
  NamedSession session;
  Past past = Past::of_others;
  Twin fence;
  std::int64_t generation = 0;  // of the fence
  std::string comment;          // on each applyOps
  Term term;                    // of the target, at some time before all that was sent since a wait
};

// A connection and a writer, for one call of the target. One thread.
class DataConnection {
 public:
  // Told, at the end of its life, how the past of the writer is now.
  using GiveBack = std::function<void(Writer::Past)>;
  DataConnection(Connection connection, Writer& writer, GiveBack give_back)
      : connection_(std::move(connection)), writer_(&writer), give_back_(std::move(give_back)) {}
  ~DataConnection() {
    if (give_back_) give_back_(past_);
  }
  DataConnection(DataConnection&& other) noexcept
      : connection_(std::move(other.connection_)),
        writer_(other.writer_),
        past_(other.past_),
        wait_owed_(other.wait_owed_),
        term_matters_(other.term_matters_),
        give_back_(std::exchange(other.give_back_, nullptr)) {}
  DataConnection(const DataConnection&) = delete;
  DataConnection& operator=(const DataConnection&) = delete;
  DataConnection& operator=(DataConnection&&) = delete;

  // A command without a write concern: `in_settle` leaves the waiting to settle(),
  // for what is followed by other commands.
  enum class Wait { for_majority, in_settle };
  // A retryable write.
  Result<Reply> write(const std::string& database, bson::Builder& command, Wait wait = Wait::for_majority);
  // An applyOps that begins with append_fence_operation() and has the comment.
  Connection::Outcome apply_ops(bson::Builder& command, Wait wait);
  // A single statement as a transaction; for what cannot be a retryable write.
  Status transact(const std::string& database, const bson::Document& statement);
  // Returns once a majority has all that was written; or fails, and all of it is to
  // be written again.
  Status settle();

  // {op, ns, ui, o2, o}: changes nothing, and fails when the fence is gone.
  void append_fence_operation(bson::Builder::ArrayScope& operations) const;
  void append_comment(bson::Builder& command) const { command.append("comment", writer_->comment); }
  // The fence was found gone.
  Error fenced_off();

  // For reads.
  Connection& plain() { return connection_; }

 private:
  void append_concern(bson::Builder& command, Wait wait);
  void note(const Status& outcome, Wait wait);

  Connection connection_;
  Writer* writer_;
  Writer::Past past_ = Writer::Past::known;
  bool wait_owed_ = false;     // the newest command did not wait for the majority
  bool term_matters_ = false;  // some command did not
  GiveBack give_back_;
};

// Any thread.
class Writers {
 public:
  explicit Writers(std::shared_ptr<Pool> pool) : pool_(std::move(pool)), catalog_(pool_) {}

  // This process has taken the lease: nothing that was sent under an older epoch
  // has an effect any more. No other call is under way. Errors: superseded, and
  // those of the server; then it is to be repeated.
  Status take_over(Epoch epoch);

  // Errors: those of making writers certain; superseded.
  Result<DataConnection> lend();

  [[nodiscard]] Epoch epoch();
  // For commands that cannot be fenced: the lease was ours this long ago.
  Status confirm_lease(std::chrono::seconds at_most_ago = std::chrono::seconds(5));

 private:
  Result<Writer*> certain_writer(Connection& connection);
  Status make_certain(Connection& connection);
  Status begin_anew(Connection& connection, std::span<Writer* const> writers);
  Status shut_out_past(Connection& connection, Writer& writer, std::span<const std::string> all_fences);
  Status make_fence(Connection& connection, Writer& writer);
  Status confirm(Connection& connection);
  // Also a wait until a majority has all that was written in this term before.
  Status confirm(Connection& connection, Term& term);
  Writer& writer(WriterNumber number);

  std::shared_ptr<Pool> pool_;
  CatalogReader catalog_;
  std::mutex mutex_;
  LeaseKey lease_;
  std::map<WriterNumber, std::unique_ptr<Writer>> writers_;
  std::vector<Writer*> free_;
  std::chrono::steady_clock::time_point confirmed_at_{};
  // Who waited for an attempt that failed need not repeat it.
  std::atomic<std::uint64_t> attempts_ = 0;
  std::optional<Error> last_error_;
};

}  // namespace plm::mongo
