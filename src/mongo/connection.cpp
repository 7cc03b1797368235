#include "mongo/connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "mongo/error_translation.h"
#include "mongo/runtime.h"

namespace plm::mongo {
namespace {

constexpr std::int32_t kSocketTimeoutMs = 30'000;
constexpr std::int32_t kHourMs = 3600 * 1000;
constexpr std::int32_t kConnectTimeoutMs = 5'000;
constexpr std::int32_t kServerSelectionTimeoutMs = 7'500;
// A member that answers with an election's error is not used again before its next
// heartbeat, and one that keeps silent is noticed by it; the driver's default is 10 s.
constexpr std::int32_t kHeartbeatMs = 2'000;
constexpr std::int32_t kWaitQueueTimeoutMs = 30'000;
// Every range reader and stream holds a client for its whole life.
constexpr std::int32_t kMinPoolSize = 100;

void set_default(mongoc_uri_t* uri, const char* option, std::int32_t value) {
  if (!mongoc_uri_has_option(uri, option)) mongoc_uri_set_option_as_int32(uri, option, value);
}

bson::View view_of(const bson_t* document) {
  return document == nullptr || document->len < 5 ? bson::View() : bson::View(bson_get_data(document));
}

}  // namespace

Reply::Reply(bson_t* reply) {
  std::uint32_t length = 0;
  bytes_.reset(bson_destroy_with_steal(reply, true, &length));
}

ClusterTime Reply::operation_time() const {
  const bson::Value time = (*this)["operationTime"];
  return time.type() == BSON_TYPE_TIMESTAMP ? ClusterTime::from_packed(time.timestamp()) : ClusterTime();
}

std::shared_ptr<const bson::Document> Reply::keep(Reply reply) {
  struct Holder {
    Reply reply;
    bson::Document empty;
  };
  auto holder = std::make_shared<Holder>(Holder{std::move(reply), {}});
  const bson::Document* document = &holder->empty;
  return {std::move(holder), document};
}

Result<std::shared_ptr<Pool>> Pool::open(const std::string& uri_text, Patience patience) {
  ensure_runtime();
  bson_error_t error{};
  const UriHandle uri(mongoc_uri_new_with_error(uri_text.c_str(), &error));
  if (!uri) return fail(ErrorCode::invalid_argument, "not a valid MongoDB URI");
  set_default(uri.get(), MONGOC_URI_CONNECTTIMEOUTMS, kConnectTimeoutMs);
  set_default(uri.get(), MONGOC_URI_SERVERSELECTIONTIMEOUTMS, kServerSelectionTimeoutMs);
  set_default(uri.get(), MONGOC_URI_HEARTBEATFREQUENCYMS, kHeartbeatMs);
  set_default(uri.get(), MONGOC_URI_WAITQUEUETIMEOUTMS, kWaitQueueTimeoutMs);
  set_default(uri.get(), MONGOC_URI_SOCKETTIMEOUTMS, kSocketTimeoutMs);
  if (patience == Patience::an_hour) mongoc_uri_set_option_as_int32(uri.get(), MONGOC_URI_SOCKETTIMEOUTMS, kHourMs);
  const std::int32_t size = mongoc_uri_get_option_as_int32(uri.get(), MONGOC_URI_MAXPOOLSIZE, kMinPoolSize);
  mongoc_uri_set_option_as_int32(uri.get(), MONGOC_URI_MAXPOOLSIZE, std::max(size, kMinPoolSize));
  if (mongoc_uri_get_appname(uri.get()) == nullptr) mongoc_uri_set_appname(uri.get(), "plm");

  PoolHandle pool(mongoc_client_pool_new_with_error(uri.get(), &error));
  if (!pool) return fail(ErrorCode::invalid_argument, "cannot use the URI: " + without_values(error.message));
  mongoc_client_pool_set_error_api(pool.get(), MONGOC_ERROR_API_VERSION_2);
  return std::shared_ptr<Pool>(new Pool(std::move(pool)));
}

Result<Connection> Pool::connect() {
  mongoc_client_t* client = mongoc_client_pool_pop(pool_.get());
  if (client == nullptr) return fail(ErrorCode::network, "all connections of the pool are in use");
  return Connection(shared_from_this(), client);
}

Connection::Connection(Connection&& other) noexcept
    : pool_(std::move(other.pool_)),
      client_(std::exchange(other.client_, nullptr)),
      session_(std::move(other.session_)),
      server_id_(other.server_id_) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  if (this == &other) return *this;
  release();
  pool_ = std::move(other.pool_);
  client_ = std::exchange(other.client_, nullptr);
  session_ = std::move(other.session_);
  server_id_ = other.server_id_;
  return *this;
}

Connection::~Connection() { release(); }

void Connection::release() {
  session_.reset();  // before the client that it came from
  if (client_ != nullptr) mongoc_client_pool_push(pool_->pool_.get(), client_);
  client_ = nullptr;
}

Result<SessionHandle> start_session(mongoc_client_t* client) {
  const SessionOptionsHandle options(mongoc_session_opts_new());
  mongoc_session_opts_set_causal_consistency(options.get(), false);
  bson_error_t error{};
  SessionHandle session(mongoc_client_start_session(client, options.get(), &error));
  if (!session) return fail(to_error(error, {}));
  return session;
}

Status Connection::pin() {
  bson_error_t error{};
  const ServerDescriptionHandle server(mongoc_client_select_server(client_, true, nullptr, &error));
  if (!server) return fail(to_error(error, {}));
  auto session = start_session(client_);
  if (!session) return fail(session.error());
  server_id_ = mongoc_server_description_id(server.get());
  session_ = std::move(*session);
  return {};
}

namespace {

// The driver sends a session with every command, and only one of its own making.
// A command that has to go in a named one borrows such a session, which bears
// the name for as long as that lasts.
class BorrowedName {
 public:
  BorrowedName(mongoc_client_session_t* session, const Uuid& name) : bytes_(id_of(session)) {
    if (bytes_ == nullptr) return;
    std::memcpy(own_.data(), bytes_, own_.size());
    std::memcpy(bytes_, name.bytes().data(), own_.size());
  }
  ~BorrowedName() {
    if (bytes_ != nullptr) std::memcpy(bytes_, own_.data(), own_.size());
  }
  BorrowedName(const BorrowedName&) = delete;
  BorrowedName& operator=(const BorrowedName&) = delete;
  BorrowedName(BorrowedName&&) = delete;
  BorrowedName& operator=(BorrowedName&&) = delete;

  [[nodiscard]] bool works() const { return bytes_ != nullptr; }

 private:
  // The 16 bytes in the session's lsid, {id: UUID}.
  static std::uint8_t* id_of(mongoc_client_session_t* session) {
    bson_iter_t id;
    if (!bson_iter_init_find(&id, mongoc_client_session_get_lsid(session), "id")) return nullptr;
    if (!BSON_ITER_HOLDS_BINARY(&id)) return nullptr;
    bson_subtype_t subtype = BSON_SUBTYPE_BINARY;
    std::uint32_t length = 0;
    const std::uint8_t* data = nullptr;
    bson_iter_binary(&id, &subtype, &length, &data);
    return length == 16 ? const_cast<std::uint8_t*>(data) : nullptr;
  }

  std::uint8_t* bytes_;
  std::array<std::uint8_t, 16> own_{};
};

}  // namespace

Connection::Outcome Connection::attempt_in_session(const Uuid& session, const std::string& database,
                                                   bson::View command) {
  auto borrowed = start_session(client_);
  if (!borrowed) return {{}, fail(std::move(borrowed.error()))};
  const BorrowedName name(borrowed->get(), session);
  if (!name.works()) return {{}, fail(ErrorCode::invalid_argument, "the driver's sessions have another form")};
  return attempt(borrowed->get(), database, command);
}

Result<Reply> Connection::run_in_session(const Uuid& session, const std::string& database, bson::View command) {
  Outcome outcome = attempt_in_session(session, database, command);
  if (!outcome.status) return fail(std::move(outcome.status.error()));
  return std::move(outcome.reply);
}

Connection::Outcome Connection::attempt(const std::string& database, bson::View command) {
  return attempt(session_.get(), database, command);
}

Connection::Outcome Connection::attempt(mongoc_client_session_t* session, const std::string& database,
                                        bson::View command) {
  OwnBson options;
  if (server_id_ != 0) BSON_APPEND_INT32(options.get(), "serverId", static_cast<std::int32_t>(server_id_));
  bson_error_t error{};
  if (session != nullptr && !mongoc_client_session_append(session, options.get(), &error)) {
    return {{}, fail(to_error(error, {}))};
  }
  bson_t body;
  if (!bson_init_static(&body, command.data(), command.size())) {
    return {{}, fail(ErrorCode::invalid_argument, "malformed command")};
  }
  bson_t raw_reply;
  const bool ok =
      mongoc_client_command_with_opts(client_, database.c_str(), &body, nullptr, options.get(), &raw_reply, &error);
  if (!ok) {
    Error failure = to_error(error, view_of(&raw_reply));
    return {Reply(&raw_reply), fail(std::move(failure))};
  }
  Reply reply(&raw_reply);
  if (auto concern = write_concern_error(reply.view())) return {std::move(reply), fail(std::move(*concern))};
  return {std::move(reply), {}};
}

Result<Reply> Connection::run(const std::string& database, bson::View command) {
  Outcome outcome = attempt(database, command);
  if (!outcome.status) return fail(std::move(outcome.status.error()));
  return std::move(outcome.reply);
}

}  // namespace plm::mongo
