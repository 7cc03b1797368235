#include "fixture.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "mongo/catalog_reader.h"
#include "mongo/cursor.h"

namespace plm {
namespace {

std::string environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string() : std::string(text);
}

std::string first_of(const std::vector<std::string>& texts) {
  const auto found = std::ranges::find_if(texts, [](const std::string& text) { return !text.empty(); });
  return found == texts.end() ? std::string() : *found;
}

std::string database_of_this_test() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  // At most 63 bytes; the names of the tests differ in their last letters, too.
  std::string name = "t_" + std::string(test->name());
  std::ranges::replace(name, '/', '_');
  if (name.size() > 50) name = name.substr(0, 30) + name.substr(name.size() - 20);
  return name;
}

}  // namespace

bson::Document json(const std::string& text) {
  bson_error_t error{};
  bson_t* parsed =
      bson_new_from_json(reinterpret_cast<const std::uint8_t*>(text.data()), static_cast<ssize_t>(text.size()), &error);
  if (parsed == nullptr) throw std::invalid_argument(error.message);
  bson::Document out{bson::View(bson_get_data(parsed))};
  bson_destroy(parsed);
  return out;
}

bson::OwnedValue value(const std::string& text) { return bson::OwnedValue(json("{\"v\":" + text + "}")["v"]); }

bson::Document array_of(const std::vector<bson::Document>& documents) {
  bson::Builder holder;
  {
    auto array = holder.array("a");
    for (const bson::Document& document : documents) array.append(document);
  }
  return bson::Document(holder.view()["a"].as_document());
}

std::string source_uri() { return environment("PLM_TEST_SOURCE"); }
std::string target_uri() { return environment("PLM_TEST_TARGET"); }

std::string source_admin_uri() { return first_of({environment("PLM_TEST_SOURCE_ADMIN"), source_uri()}); }
std::string target_admin_uri() { return first_of({environment("PLM_TEST_TARGET_ADMIN"), target_uri()}); }

Server::Server(const std::string& uri) {
  auto pool = mongo::Pool::open(uri + "&appName=test");  // fault points aim at "plm"
  if (!pool) throw std::invalid_argument(pool.error().message);
  pool_ = *pool;
}

bson::Document Server::run(const std::string& database, const std::string& command) {
  return run(database, json(command));
}

bson::Document Server::run(const std::string& database, const bson::Document& command) {
  auto connection = pool_->connect();
  if (!connection) throw std::runtime_error(connection.error().message);
  auto reply = connection->run(database, command.view());
  if (!reply) throw std::runtime_error(command.view().json(200) + ": " + reply.error().message);
  if ((*reply)["writeErrors"].exists()) throw std::runtime_error(reply->view().json());
  return bson::Document(reply->view());
}

std::vector<std::string> Server::contents(const Namespace& ns) {
  auto connection = pool_->connect();
  if (!connection) throw std::runtime_error(connection.error().message);
  std::vector<std::string> out;
  const bson::Document command = json(R"({"find":")" + ns.collection + R"(","sort":{"_id":1}})");
  auto read = mongo::read_all(*connection, ns.database, command.view(),
                              [&](bson::View document) { out.push_back(document.json()); });
  if (!read) throw std::runtime_error(read.error().message);
  return out;
}

Uuid Server::uuid_of(const Namespace& ns) {
  auto uuid = mongo::CatalogReader(pool_).uuid_of(ns);
  if (!uuid) throw std::runtime_error(uuid.error().message);
  return *uuid;
}

void Server::fail_commands(const std::string& how) {
  run("admin", R"({"configureFailPoint":"failCommand",)" + how + "}");
}

void Server::fill(const Namespace& ns, int first, int last, std::size_t text_bytes) {
  const std::string text(text_bytes, 'x');
  while (first <= last) {
    bson::Builder command;
    command.append("insert", ns.collection);
    {
      auto documents = command.array("documents");
      for (; first <= last && documents.count() < 50'000 && command.size_bytes() < (4U << 20U); ++first) {
        auto document = documents.document();
        document->append("_id", first).append("text", text);
      }
    }
    {
      auto concern = command.document("writeConcern");
      concern->append("w", "majority");
    }
    run(ns.database, bson::Document(command.view()));
  }
}

HangingBuilds::HangingBuilds(Server& server, std::string fail_point)
    : server_(server), fail_point_(std::move(fail_point)) {
  set("alwaysOn");
}

void HangingBuilds::set(const std::string& mode) {
  server_.run("admin", R"({"configureFailPoint":")" + fail_point_ + R"(","mode":")" + mode + R"("})");
}

void SeamTest::SetUp() {
  if (source_uri().empty() || target_uri().empty()) GTEST_SKIP() << "PLM_TEST_SOURCE and PLM_TEST_TARGET are not set";
  database_ = database_of_this_test();
  static Server source_server(source_admin_uri());
  static Server target_server(target_admin_uri());
  static Result<std::unique_ptr<MongoSource>> source = MongoSource::connect(source_uri());
  ASSERT_TRUE(succeeded(source));
  source_server_ = &source_server;
  target_server_ = &target_server;
  source_ = source->get();
  source_server_->run(database_, R"({"dropDatabase":1})");
  target_server_->run(database_, R"({"dropDatabase":1})");
  auto target = MongoTarget::connect(target_uri());
  ASSERT_TRUE(succeeded(target));
  target_ = std::move(*target);
  take_over(*target_);
}

void SeamTest::take_over(MongoTarget& target) {
  static const auto store = MongoStateStore::connect(target_uri());
  ASSERT_TRUE(succeeded(store));
  const auto seen = (*store)->look_at_lease();
  ASSERT_TRUE(succeeded(seen));
  const auto epoch = (*store)->take_lease({"test", "host", "machine", 1}, seen->epoch);
  ASSERT_TRUE(succeeded(epoch));
  ASSERT_TRUE(succeeded(target.take_over(*epoch)));
}

void SeamTest::TearDown() {
  if (source_server_) source_server_->run(database_, R"({"dropDatabase":1})");
  if (target_server_) target_server_->run(database_, R"({"dropDatabase":1})");
}

Twin SeamTest::twin(const std::string& collection, const std::string& options) {
  auto uuid = target_->create(ns(collection), json(options).view());
  if (!uuid) throw std::runtime_error(uuid.error().message);
  return {ns(collection), *uuid};
}

SourceRead SeamTest::read_now(const std::string& collection) {
  auto now = source_->append_note("test");
  if (!now) throw std::runtime_error(now.error().message);
  return {database_, source_server_->uuid_of(ns(collection)), *now};
}

}  // namespace plm
