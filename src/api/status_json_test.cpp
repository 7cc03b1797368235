#include "api/status_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace plm {
namespace {

using nlohmann::json;

WallTime at(std::int64_t seconds) { return WallTime{std::chrono::seconds{seconds}}; }

StatusReport full_report() {
  StatusReport report;
  report.state = JobState::finalized;
  report.info = "Finalized";
  report.mode = ApplyMode::exact;
  report.warnings = {"the source is still written"};
  report.lag_seconds = 3;
  report.events_read = 1'000'000'007;
  report.events_applied = 1'000'000'000;
  report.last_replicated = {1764000000, 3};
  report.oplog = {0.12345, 86'400, OplogLevel::fine};
  report.initial_sync.completed = true;
  report.initial_sync.clone_completed = true;
  report.initial_sync.lag_seconds = 4;
  report.initial_sync.estimated_bytes = 5'000'000'000;
  report.initial_sync.cloned_bytes = 4'999'999'999;
  report.initial_sync.eta_seconds = 6;
  report.initial_sync.collections_total = 10;
  report.initial_sync.collections_copied = 9;
  report.initial_sync.collections_copying = {"db.coll"};
  report.initial_sync.indexes_total = 20;
  report.initial_sync.indexes_built = 19;
  report.initial_sync.indexes_building = {"db.coll.a_1"};
  bson::Builder keys;
  keys.append("b", std::int32_t{1}).append("a", std::int32_t{-1});
  StatusReport::Finalization finalization;
  finalization.completed = true;
  finalization.started_at = at(1764000100);
  finalization.completed_at = at(1764000200);
  finalization.unsuccessful_indexes = {
      {"db.coll", "b_1_a_-1", UnsuccessfulIndex::Kind::failed, keys.take(), "duplicate key"}};
  finalization.differences = {"db.coll: 10 documents on the source, 9 on the target"};
  report.finalization = finalization;
  report.parked = {2, {"db.coll {_id: 1}: key too large"}};
  report.source = {"mongodb://me:***@s1/?replicaSet=rs", "6.0.5", true, {}, {}, {}};
  report.target = {"mongodb://t1/", "7.0.1", false, at(1764000300), Millis(1000), "connection refused"};
  return report;
}

TEST(StatusJson, HasEveryFieldInTheDocumentedOrder) {
  EXPECT_EQ(
      status_json(full_report()),
      R"({"ok":true,"state":"finalized","info":"Finalized","lagTimeSeconds":3,"eventsRead":1000000007,"eventsApplied":1000000000,)"
      R"("lastReplicatedOpTime":{"ts":"1764000000.3","isoDate":"2025-11-24T16:00:00Z"},)"
      R"("oplogWindow":{"usedFraction":0.123,"secondsLeft":86400,"level":"fine"},)"
      R"("initialSync":{"completed":true,"cloneCompleted":true,"lagTimeSeconds":4,"estimatedCloneSizeBytes":5000000000,)"
      R"("clonedSizeBytes":4999999999,"etaSeconds":6,"collections":{"total":10,"copied":9,"copying":["db.coll"]},)"
      R"("indexes":{"total":20,"built":19,"building":["db.coll.a_1"]}},)"
      R"("finalization":{"completed":true,"startedAt":"2025-11-24T16:01:40Z","completedAt":"2025-11-24T16:03:20Z",)"
      R"("unsuccessfulIndexes":[{"namespace":"db.coll","indexName":"b_1_a_-1","type":"failed","keys":{"b":1,"a":-1},)"
      R"("reason":"duplicate key"}],"differences":["db.coll: 10 documents on the source, 9 on the target"]},)"
      R"("warnings":["the source is still written"],"parked":{"count":2,"sample":["db.coll {_id: 1}: key too large"]},)"
      R"("source":{"uri":"mongodb://me:***@s1/?replicaSet=rs","version":"6.0.5","state":"ok"},)"
      R"("target":{"uri":"mongodb://t1/","version":"7.0.1","state":"unreachable since 2025-11-24T16:05:00Z"},"mode":"exact"})");
}

TEST(StatusJson, NamesWhatWasWaived) {
  StatusReport report;
  report.finalization = StatusReport::Finalization{};
  EXPECT_FALSE(json::parse(status_json(report))["finalization"].contains("waivedParked"));
  bson::Builder ids;
  ids.append("text", "key").append("number", std::int32_t{7});
  report.finalization->waived_count = 3;
  report.finalization->waived = {{"db.a", bson::OwnedValue(ids.view()["text"]), "too large"},
                                 {"db.b", bson::OwnedValue(ids.view()["number"]), "no"}};
  EXPECT_EQ(json::parse(status_json(report))["finalization"]["waivedParked"], json::parse(R"({"count": 3, "documents": [
      {"namespace": "db.a", "_id": "key", "reason": "too large"},
      {"namespace": "db.b", "_id": 7, "reason": "no"}]})"));
}

TEST(StatusJson, CountsTheCollectionsWhileTheyAreMadeReal) {
  StatusReport report;
  report.finalization = StatusReport::Finalization{};
  EXPECT_FALSE(json::parse(status_json(report))["finalization"].contains("collections"));
  report.finalization->collections_done = 3;
  report.finalization->collections_total = 40;
  EXPECT_EQ(json::parse(status_json(report))["finalization"]["collections"],
            json::parse(R"({"total": 40, "done": 3})"));
}

TEST(StatusJson, OfAnIdleProgramIsOkAndZeros) {
  const json status = json::parse(status_json({}));
  EXPECT_EQ(status["ok"], true);
  EXPECT_EQ(status["state"], "idle");
  EXPECT_EQ(status["lagTimeSeconds"], 0);
  EXPECT_EQ(status["eventsRead"], 0);
  EXPECT_EQ(status["eventsApplied"], 0);
  EXPECT_EQ(status["initialSync"]["estimatedCloneSizeBytes"], 0);
  EXPECT_EQ(status["initialSync"]["completed"], false);
  EXPECT_EQ(status["initialSync"]["collections"]["copying"], json::array());
  EXPECT_EQ(status["parked"]["count"], 0);
  EXPECT_EQ(status["warnings"], json::array());
  for (const auto absent : {"error", "info", "oplogWindow", "finalization", "mode"})
    EXPECT_FALSE(status.contains(absent)) << absent;
}

TEST(StatusJson, NamesTheErrorOnlyOfAFailedJob) {
  StatusReport report;
  report.state = JobState::failed;
  report.info = "Failed";
  report.error = "the position is no longer in the oplog";
  const json status = json::parse(status_json(report));
  EXPECT_EQ(status["ok"], true);
  EXPECT_EQ(status["error"], "the position is no longer in the oplog");
  EXPECT_EQ(status["state"], "failed");
}

TEST(StatusJson, HasNoEndOfAFinalizationThatIsUnderWay) {
  StatusReport report;
  report.state = JobState::finalizing;
  report.finalization = StatusReport::Finalization{};
  report.finalization->unsuccessful_indexes = {{"a.b", "c", UnsuccessfulIndex::Kind::incomplete, bson::Document(), ""}};
  const json finalization = json::parse(status_json(report))["finalization"];
  EXPECT_EQ(finalization["completed"], false);
  EXPECT_FALSE(finalization.contains("completedAt"));
  EXPECT_EQ(finalization["unsuccessfulIndexes"][0]["type"], "incomplete");
  EXPECT_EQ(finalization["unsuccessfulIndexes"][0]["keys"], json::object());
}

TEST(StatusJson, LeavesOutATimeThatIsNotKnown) {
  StatusReport report;
  report.oplog = {0.8, std::nullopt, OplogLevel::critical};
  EXPECT_EQ(json::parse(status_json(report))["oplogWindow"], json::parse(R"({"usedFraction":0.8,"level":"critical"})"));
}

TEST(StatusJson, StaysValidWithNamesThatAreNotUtf8) {
  StatusReport report;
  report.initial_sync.collections_copying = {"db.\xff\xfe", "db.\"quoted\"\n"};
  report.warnings = {"\x01\x80"};
  EXPECT_TRUE(json::accept(status_json(report)));
}

TEST(StatusJson, TellsARefusalWithItsCode) {
  EXPECT_EQ(success_json(), R"({"ok":true})");
  EXPECT_EQ(refusal_json("not \"now\"", "wrong_state"), R"({"ok":false,"error":"not \"now\"","code":"wrong_state"})");
}

}  // namespace
}  // namespace plm
