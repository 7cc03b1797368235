#include "mongo/commit_nudger.h"

#include <algorithm>

#include "mongo/error_translation.h"

namespace plm::mongo {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kInterval{5};
constexpr milliseconds kActiveAfterEvent{2000};
constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{30'000};
// A reply of this many events means that the stream is behind: what it will
// read next became majority-committed long ago.
constexpr std::int64_t kBacklogEvents = 1000;

std::chrono::steady_clock::rep now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Begins a transaction that reads one document and commits it.
bool commit_empty_transaction(Connection& connection, mongoc_client_session_t* session) {
  const WriteConcernHandle majority(mongoc_write_concern_new());
  mongoc_write_concern_set_w(majority.get(), MONGOC_WRITE_CONCERN_W_MAJORITY);
  const TransactionOptionsHandle options(mongoc_transaction_opts_new());
  mongoc_transaction_opts_set_write_concern(options.get(), majority.get());
  bson_error_t error{};
  if (!mongoc_client_session_start_transaction(session, options.get(), &error)) return false;
  bson::Builder command;
  command.append("find", "nothing").append("limit", 1);
  bson_t body;
  if (!bson_init_static(&body, command.view().data(), command.view().size())) return false;
  OwnBson with_session;
  if (!mongoc_client_session_append(session, with_session.get(), &error)) return false;
  OwnBson reply;
  const bool found = mongoc_client_command_with_opts(connection.client(), "percona_link_mongodb", &body, nullptr,
                                                     with_session.get(), reply.out(), &error);
  if (!found) return false;
  OwnBson commit_reply;
  return mongoc_client_session_commit_transaction(session, commit_reply.out(), &error);
}

bool commit_again(mongoc_client_session_t* session) {
  OwnBson reply;
  bson_error_t error{};
  return mongoc_client_session_commit_transaction(session, reply.out(), &error);
}

}  // namespace

CommitNudger::CommitNudger(std::shared_ptr<Pool> pool)
    : pool_(std::move(pool)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

void CommitNudger::note_reply(std::int64_t events) {
  if (events == 0) return;
  if (events >= kBacklogEvents) {
    active_until_.store(0, std::memory_order_relaxed);
    return;
  }
  const bool was_active = active();
  const Time::duration more = kActiveAfterEvent;
  active_until_.store(now() + more.count(), std::memory_order_relaxed);
  if (was_active) return;
  const std::lock_guard lock(mutex_);  // so that a thread about to wait does not miss it
  changed_.notify_one();
}

bool CommitNudger::active() const { return now() < active_until_.load(std::memory_order_relaxed); }

bool CommitNudger::wait_until_active(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [this] { return active(); });
  return !stop.stop_requested();
}

bool CommitNudger::pause(const std::stop_token& stop, milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

void CommitNudger::run(const std::stop_token& stop) {
  milliseconds backoff = kFirstBackoff;
  while (wait_until_active(stop)) {
    const std::int64_t before = commits();
    if (nudge(stop)) continue;
    if (commits() > before + 1) backoff = kFirstBackoff;
    if (!pause(stop, backoff)) return;
    backoff = std::min(backoff * 2, kLongestBackoff);
  }
}

bool CommitNudger::nudge(const std::stop_token& stop) {
  auto connection = pool_->connect();
  if (!connection) return false;
  auto session = start_session(connection->client());
  if (!session) return false;
  if (!commit_empty_transaction(*connection, session->get())) return false;
  while (active()) {
    if (!pause(stop, kInterval)) return true;
    if (!commit_again(session->get())) return false;
    commits_.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace plm::mongo
