// Two real replica sets, named by PLM_TEST_SOURCE and PLM_TEST_TARGET, and what
// the tests need to arrange and look at their contents. What is tested works as
// the users of these URIs; the tests themselves use PLM_TEST_SOURCE_ADMIN and
// PLM_TEST_TARGET_ADMIN where they are set.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "mongo/connection.h"
#include "mongo/mongo_source.h"
#include "mongo/mongo_state_store.h"
#include "mongo/mongo_target.h"

namespace plm {

// Of relaxed or canonical extended JSON, field order kept.
bson::Document json(const std::string& text);
bson::OwnedValue value(const std::string& text);  // json({"v": text})["v"]
// An array of documents.
bson::Document array_of(const std::vector<bson::Document>& documents);

std::string source_uri();
std::string target_uri();
std::string source_admin_uri();
std::string target_admin_uri();

// One server, spoken to directly.
class Server {
 public:
  explicit Server(const std::string& uri);
  // Fails the test when the server refuses.
  bson::Document run(const std::string& database, const std::string& command);
  bson::Document run(const std::string& database, const bson::Document& command);
  // Documents of a collection in _id order, as relaxed JSON.
  std::vector<std::string> contents(const Namespace& ns);
  Uuid uuid_of(const Namespace& ns);
  // The fault point failCommand, with this mode and data.
  void fail_commands(const std::string& how);
  // Inserts {_id: first..last, text: ...}.
  void fill(const Namespace& ns, int first, int last, std::size_t text_bytes = 20);

 private:
  std::shared_ptr<mongo::Pool> pool_;
};

// As long as this lives, or until let_go(), index builds hang once they have begun.
class HangingBuilds {
 public:
  explicit HangingBuilds(Server& server, std::string fail_point = "hangAfterStartingIndexBuild");
  ~HangingBuilds() { let_go(); }
  HangingBuilds(const HangingBuilds&) = delete;
  HangingBuilds& operator=(const HangingBuilds&) = delete;
  HangingBuilds(HangingBuilds&&) = delete;
  HangingBuilds& operator=(HangingBuilds&&) = delete;
  void let_go() { set("off"); }

 private:
  void set(const std::string& mode);

  Server& server_;
  std::string fail_point_;
};

// Each test has a database of its own on both sides.
class SeamTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] Namespace ns(const std::string& collection) const { return {database_, collection}; }
  // A collection of the target with its identity.
  Twin twin(const std::string& collection, const std::string& options = "{}");
  // Whoever had the lease before may write no more.
  static void take_over(MongoTarget& target);
  // Where a read of the source has to stand now.
  SourceRead read_now(const std::string& collection);

  std::string database_;
  // One of each for the whole program: closing a pool takes half a second.
  Server* source_server_ = nullptr;
  Server* target_server_ = nullptr;
  MongoSource* source_ = nullptr;
  std::unique_ptr<MongoTarget> target_;
};

// Shows the error when a Result or Status failed.
template <typename T>
testing::AssertionResult succeeded(const Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "code " << result.error().server_code << ": " << result.error().message;
}

}  // namespace plm
