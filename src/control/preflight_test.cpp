#include "control/preflight.h"

#include <gtest/gtest.h>

#include <string>

#include "memory/json.h"
#include "memory/memory_source.h"
#include "memory/memory_target.h"

namespace plm {
namespace {

const Error kUnauthorized{ErrorCode::server, server_code::unauthorized, {}, "changeStream on all databases"};

struct TestSource final : MemorySource {
  using MemorySource::MemorySource;
  Result<ServerInfo> info() override {
    if (failure) return fail(*failure);
    return answer;
  }
  Status check_privileges() override {
    if (!privileged) return fail(kUnauthorized);
    return {};
  }
  ServerInfo answer{"6.0.5", "rs0", "a"};
  std::optional<Error> failure;
  bool privileged = true;
};

struct TestTarget final : MemoryTarget {
  using MemoryTarget::MemoryTarget;
  Result<ServerInfo> info() override {
    if (failure) return fail(*failure);
    return answer;
  }
  Status check_privileges() override {
    if (!privileged) return fail(kUnauthorized);
    return {};
  }
  ServerInfo answer{"6.0.5", "rs1", "b"};
  std::optional<Error> failure;
  bool privileged = true;
};

class PreflightTest : public testing::Test {
 protected:
  void expect_refused(const Status& status, ErrorCode code, std::string_view words) {
    ASSERT_FALSE(status) << words;
    EXPECT_EQ(status.error().code, code);
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
  }
  void expect_refused(std::string_view words) {
    expect_refused(check_servers(source_, target_), ErrorCode::wrong_state, words);
  }

  Random random_{1};
  FaultPlan faults_{random_, {}};
  MemoryDeployment source_set_{{}};
  MemoryDeployment target_set_{{}};
  TestSource source_{source_set_, faults_};
  TestTarget target_{target_set_, faults_};
};

TEST_F(PreflightTest, AcceptsTwoReplicaSets) {
  EXPECT_TRUE(check_servers(source_, target_));
  source_.answer.version = "6.0.26";
  EXPECT_TRUE(check_servers(source_, target_)) << "a patch release does not decide";
  target_.answer.version = "7.0.1";
  EXPECT_TRUE(check_servers(source_, target_));
  source_.answer.version = "7.0.14-rc0";
  EXPECT_TRUE(check_servers(source_, target_));
}

TEST_F(PreflightTest, RefusesWhatIsNoReplicaSet) {
  source_.answer.set_name = "";
  expect_refused("the source is not a replica set");
  source_.answer.set_name = "rs0";
  target_.answer.set_name = "";
  expect_refused("the target is not a replica set");
}

// It would write what it reads, and replaceTarget would drop the source.
TEST_F(PreflightTest, RefusesTheSameReplicaSetTwice) {
  target_.answer.set_id = "a";
  expect_refused("source and target are the same replica set (rs0)");
}

TEST_F(PreflightTest, SetsOfOneNameAreStillTwo) {
  target_.answer.set_name = "rs0";
  EXPECT_TRUE(check_servers(source_, target_));
}

TEST_F(PreflightTest, RefusesAnOldSource) {
  for (const std::string version : {"5.0.30", "4.4.0", ""}) {
    source_.answer.version = version;
    expect_refused("the source is MongoDB " + version);
  }
}

TEST_F(PreflightTest, RefusesATargetOlderThanTheSource) {
  source_.answer.version = "7.0.1";
  expect_refused("the target is MongoDB 6.0.5, older than the source's 7.0.1");
  source_.answer.version = "10.0.0";
  target_.answer.version = "8.0.0";
  expect_refused("older than the source's 10.0.0");
}

TEST_F(PreflightTest, NamesTheSideAndThePrivilegeThatIsMissing) {
  target_.privileged = false;
  expect_refused(check_servers(source_, target_), ErrorCode::server, "target: changeStream on all databases");
  source_.privileged = false;
  expect_refused(check_servers(source_, target_), ErrorCode::server, "source: changeStream on all databases");
}

TEST_F(PreflightTest, NamesTheSideThatDoesNotAnswer) {
  target_.failure = Error{ErrorCode::network, 0, {}, "connection refused"};
  expect_refused(check_servers(source_, target_), ErrorCode::network, "target: connection refused");
  source_.failure = Error{ErrorCode::network, 0, {}, "connection refused"};
  expect_refused(check_servers(source_, target_), ErrorCode::network, "source: connection refused");
}

TEST_F(PreflightTest, AJobBelongsToTheSourceThatItBeganWith) {
  source_.answer.set_name = "rs0";
  source_.answer.set_id = "id";
  EXPECT_TRUE(check_same_source(source_, {"rs0", "id"}));
  expect_refused(check_same_source(source_, {"rs0", "other"}), ErrorCode::wrong_state,
                 "the job replicates rs0 (other); the source given now is another replica set, rs0 (id)");
  expect_refused(check_same_source(source_, {"rs1", "id"}), ErrorCode::wrong_state, "rs1 (id)");
}

// Members come and go.
TEST_F(PreflightTest, AnIdentityThatMayChangeProvesNothing) {
  source_.answer.set_name = "rs0";
  source_.answer.set_id = "rs0/a:1/b:1";
  EXPECT_TRUE(check_same_source(source_, {"rs0", "rs0/a:1"}));
  EXPECT_TRUE(check_same_source(source_, {"rs0", "id"}));
}

TEST_F(PreflightTest, NamesWhatIsInTheWayOnTheTarget) {
  EXPECT_TRUE(check_target_is_free(target_, {}, false));
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(target_set_.create({"db", "c" + std::to_string(10 + i)}, {}));
  expect_refused(check_target_is_free(target_, {}, false), ErrorCode::wrong_state, "db.c10, db.c11, ");
  expect_refused(check_target_is_free(target_, {}, false), ErrorCode::wrong_state,
                 "db.c19 and 2 more; empty it, or allow");
  EXPECT_TRUE(check_target_is_free(target_, {}, true));
  EXPECT_TRUE(check_target_is_free(target_, Filter::make({"other.*"}, {}).value(), false));
}

TEST_F(PreflightTest, DropsOnlyWhatTheFilterSelects) {
  ASSERT_TRUE(target_set_.create({"db", "c"}, {}));
  ASSERT_TRUE(target_set_.create({"db", "v"}, json(R"({"viewOn": "c", "pipeline": []})").view()));
  ASSERT_TRUE(target_set_.create({"other", "c"}, {}));
  ASSERT_TRUE(target_set_.create({std::string(kStateDatabase), "state"}, {}));
  ASSERT_TRUE(drop_present(target_, Filter::make({}, {"other.*"}).value()));
  EXPECT_EQ(target_set_.collections().size(), 2U);
  EXPECT_NE(target_set_.find({"other", "c"}), nullptr);
  EXPECT_NE(target_set_.find({std::string(kStateDatabase), "state"}), nullptr);
}

}  // namespace
}  // namespace plm
