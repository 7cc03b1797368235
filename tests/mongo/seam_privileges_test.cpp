#include "fixture.h"
#include "mongo/uri.h"

namespace plm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Privileges : public SeamTest {
 protected:
  void SetUp() override {
    SeamTest::SetUp();
    if (IsSkipped()) return;
    if (source_admin_uri() == source_uri()) GTEST_SKIP() << "the servers have no authorisation";
  }
  void TearDown() override {
    if (has_user_) source_server_->run("admin", R"({"dropUser":"partial"})");
    SeamTest::TearDown();
  }

  // The source's URI with another user.
  static std::string as(const std::string& login) {
    const auto parsed = parse_uri(source_uri());
    if (!parsed) throw std::runtime_error(parsed.error().message);
    return "mongodb://" + login + parsed->hosts.at(0) + "/?replicaSet=" + parsed->replica_set;
  }
  std::string as_user_with(const std::string& roles) {
    source_server_->run("admin", R"({"createUser":"partial","pwd":"secret","roles":)" + roles + "}");
    has_user_ = true;
    return as("partial:secret@");
  }

 private:
  bool has_user_ = false;
};

TEST_F(Privileges, TheDocumentedRolesAreEnough) {
  EXPECT_TRUE(succeeded(source_->check_privileges()));
  EXPECT_TRUE(succeeded(target_->check_privileges()));
}

TEST_F(Privileges, ASourceUserWithoutBackupLacksTheRightToWriteNotes) {
  const auto source = MongoSource::connect(as_user_with(R"(["readAnyDatabase","clusterMonitor"])"));
  const Status checked = (*source)->check_privileges();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().server_code, server_code::unauthorized);
  EXPECT_THAT(checked.error().message, HasSubstr("appendOplogNote on the cluster (role backup)"));
  EXPECT_THAT(checked.error().message, Not(HasSubstr("changeStream")));
  const auto note = (*source)->append_note("x");
  ASSERT_FALSE(note);
  EXPECT_EQ(note.error().server_code, server_code::unauthorized);
}

TEST_F(Privileges, WhatAUserMayNotSeeIsSaidToo) {
  const auto source = MongoSource::connect(as_user_with(R"(["clusterMonitor"])"));
  const auto lines = (*source)->not_carried();
  ASSERT_TRUE(succeeded(lines));
  EXPECT_THAT(*lines, ElementsAre(HasSubstr("may not see which the source has"), HasSubstr("one shard of a sharded"),
                                  HasSubstr("collections in admin")));
}

TEST_F(Privileges, EachMissingPrivilegeOfATargetUserIsNamed) {
  const auto target = MongoTarget::connect(as_user_with(R"(["readAnyDatabase"])"));
  const Status checked = (*target)->check_privileges();
  ASSERT_FALSE(checked);
  for (const char* missing : {"applyOps on the cluster (role restore)", "insert on all databases",
                              "collMod on all databases (role restore)", "createIndex on all databases"}) {
    EXPECT_THAT(checked.error().message, HasSubstr(missing));
  }
  EXPECT_THAT(checked.error().message, Not(HasSubstr("find on")));
}

TEST_F(Privileges, RootMayDoEverything) {
  const auto source = MongoSource::connect(source_admin_uri());
  EXPECT_TRUE(succeeded((*source)->check_privileges()));
  const auto target = MongoTarget::connect(target_admin_uri());
  EXPECT_TRUE(succeeded((*target)->check_privileges()));
}

TEST_F(Privileges, AUriWithoutAUserIsToldThatOneIsNeeded) {
  const auto source = MongoSource::connect(as(""));
  const Status checked = (*source)->check_privileges();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().server_code, server_code::unauthorized);
  EXPECT_THAT(checked.error().message, HasSubstr("names none"));
}

TEST_F(Privileges, AWrongPasswordIsNotANetworkError) {
  const auto source = MongoSource::connect(as("partial:wrong@"));
  const auto info = (*source)->info();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::server);
  EXPECT_EQ(info.error().server_code, 18);
  EXPECT_FALSE(retryable(info.error()));
}

}  // namespace
}  // namespace plm
