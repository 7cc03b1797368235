"""Finalize: unique, TTL and the rest become real, what cannot is reported index by index, and nothing is replayed after."""

from __future__ import annotations

import datetime
import time
from concurrent.futures import ThreadPoolExecutor

import bson
import pytest
from conftest import both_modes, expires, expiring_nothing, slow_command, wait_for_ttl_passes, wait_until
from lab.compare import NEVER_EXPIRES, differences, indexes
from lab.daemon import Refused
from lab.load import Writer, fill
from test_index_builds import SCANNED, Build, hanging_builds, index, unfinished


def synchronise(plm, **options) -> None:
    plm.run()
    plm.start(**options)
    plm.wait_synced()


def spec_of(server, collection: str, index: str) -> dict:
    return bson.decode(indexes(server.admin, "a", collection)[index])


def source_at_the_end(pair, plm) -> list[dict[str, object]]:
    """The documents of a.b, a hundred at most, at the time that plm named last."""
    end = {"level": "snapshot", "atClusterTime": plm.ends_of_replication()[-1]}
    return pair.source.admin.a.command("find", "b", sort={"_id": 1}, batchSize=100, readConcern=end)["cursor"]["firstBatch"]


@both_modes
def test_everything_up_to_the_moment_of_finalize_is_applied(pair, plm):
    client = pair.source.admin
    fill(client, "a", "b", 200)
    synchronise(plm)
    for turn in range(500):
        client.a.b.insert_one({"_id": f"late {turn}"})
    plm.finish()  # without waiting for the lag to end
    assert differences(pair.source, pair.target) == []


def test_finalize_while_the_source_is_still_written(pair, plm):
    """The target is the source of one moment: a prefix of what the writer did."""
    client = pair.source.admin
    client.a.b.insert_one({"_id": -1})
    synchronise(plm)
    written = 0
    plm.finalize()
    while plm.status()["state"] != "finalized" and written < 20000:
        client.a.b.insert_one({"_id": written})
        written += 1
    plm.wait_state("finalized")
    numbers = [document["_id"] for document in pair.target.admin.a.b.find(sort=[("_id", 1)])]
    assert numbers == list(range(-1, len(numbers) - 1))


def test_what_is_written_while_the_source_is_listed_for_the_end_stays_behind_it(pair, plm):
    """The target is the source of the very time that plm names."""
    documents = pair.source.admin.a.b
    documents.insert_one({"_id": 1, "n": 0})
    synchronise(plm)
    with slow_command(pair.source, "listCollections", 300):
        plm.finalize()
        while plm.status()["state"] != "finalized":
            documents.update_one({"_id": 1}, {"$inc": {"n": 1}})
    assert list(pair.target.admin.a.b.find()) == source_at_the_end(pair, plm) != list(documents.find())


@both_modes
def test_finalize_ends_though_the_source_is_written_faster_than_plm_applies(pair, plm):
    """What is read again from the source is read as of the end, and so does not move it."""
    documents = pair.source.admin.a.b
    documents.insert_many([{"_id": n, "n": 0} for n in range(100)])
    synchronise(plm, replNumWorkers=1, replBulkOpsSize=1)

    def write(_: int) -> None:
        while plm.status()["state"] != "finalized":
            for number in range(100):
                documents.update_one({"_id": number}, {"$inc": {"n": 1}})

    with ThreadPoolExecutor(4) as writers:
        done = writers.map(write, range(4))
        time.sleep(1)
        plm.finalize()
        plm.wait_state("finalized", 60)
        assert list(done) == [None] * 4
    assert len(plm.ends_of_replication()) <= 3
    arrived = list(pair.target.admin.a.b.find(sort=[("_id", 1)]))
    assert arrived == source_at_the_end(pair, plm) != list(documents.find(sort=[("_id", 1)]))


def test_a_unique_index_that_the_target_cannot_hold_is_reported(pair, plm):
    """Documents written to the target beside plm break it; the other indexes become real all the same."""
    client = pair.source.admin
    client.a.b.insert_many([{"_id": n, "n": n, "m": n} for n in range(20)])
    client.a.b.create_index("n", unique=True)
    client.a.b.create_index("m", unique=True)
    synchronise(plm)
    pair.target.admin.a.b.insert_one({"_id": "foreign", "n": 5, "m": "other"})
    status = plm.finish()
    report = status["finalization"]["unsuccessfulIndexes"]
    assert len(report) == 1, report
    assert report[0]["namespace"] == "a.b" and report[0]["indexName"] == "n_1"
    assert report[0]["type"] == "failed" and report[0]["keys"] == {"n": 1}
    assert report[0]["reason"]
    assert spec_of(pair.target, "b", "m_1")["unique"] is True
    assert "unique" not in spec_of(pair.target, "b", "n_1")
    assert any("a.b" in line for line in status["finalization"]["differences"])


def test_one_bad_index_does_not_lose_the_others(pair, plm):
    """A name is taken on the target by an index of other keys."""
    client = pair.source.admin
    client.a.b.insert_many([{"_id": n, "n": n} for n in range(20)])
    synchronise(plm)
    pair.target.admin.a.b.insert_one({"_id": "foreign", "x": [1], "y": [1]})
    client.a.b.create_index([("x", 1), ("y", 1)])  # impossible with the foreign document
    client.a.b.create_index("n")
    client.a.b.create_index("z", unique=True, sparse=True)
    told = "an index could not be built yet; finalize tries it again: a.b x_1_y_1: "
    plm.wait_for("a warning", lambda status: any(warning.startswith(told) for warning in status["warnings"]))
    with pytest.raises(Refused, match="indexes could not be built on the target: a.b x_1_y_1: .*waiveParked"):
        plm.finalize()
    assert plm.status()["state"] == "running"
    plm.post("/finalize", {"waiveParked": True})
    finalized = plm.wait_state("finalized")
    assert not any(warning.startswith(told) for warning in finalized["warnings"])
    report = finalized["finalization"]["unsuccessfulIndexes"]
    assert [entry["indexName"] for entry in report] == ["x_1_y_1"]
    assert {"n_1", "z_1"} <= indexes(pair.target.admin, "a", "b").keys()
    assert spec_of(pair.target, "b", "z_1")["unique"] is True


@pytest.mark.parametrize("meanwhile", ["running", "paused", "killed"])
def test_an_index_that_could_not_be_built_is_built_when_nothing_is_in_its_way(pair, plm, meanwhile):
    client = pair.source.admin
    client.a.b.insert_many([{"_id": n, "n": n} for n in range(20)])
    synchronise(plm)
    pair.target.admin.a.b.insert_one({"_id": "foreign", "x": [1], "y": [1]})
    client.a.b.create_index([("x", 1), ("y", 1)])
    plm.wait_for("a warning", lambda status: any("a.b x_1_y_1" in warning for warning in status["warnings"]))
    if meanwhile != "running":
        plm.pause()
        plm.wait_state("paused")
    if meanwhile == "killed":
        plm.kill9()
        plm.run()
        # Nobody works on it: that it cannot be built is found out on the way.
        plm.finalize()
        assert "a.b x_1_y_1" in plm.wait_for("failure", lambda status: status["state"] == "failed")["error"]
        pair.target.admin.a.b.delete_one({"_id": "foreign"})
        plm.command("resume", "--from-failure")
    else:
        pair.target.admin.a.b.delete_one({"_id": "foreign"})
        plm.finalize()
    finalization = plm.wait_state("finalized")["finalization"]
    assert finalization["unsuccessfulIndexes"] == [] and finalization["differences"] == []
    assert differences(pair.source, pair.target) == []


def test_an_index_that_somebody_made_on_the_target_is_reported_or_removed(pair, plm):
    client = pair.source.admin
    client.a.b.insert_one({"_id": 1})
    synchronise(plm)
    pair.target.admin.a.b.create_index("foreign")
    status = plm.finish()
    gone = "foreign_1" not in indexes(pair.target.admin, "a", "b")
    assert gone or any("foreign_1" in line for line in status["finalization"]["differences"])


def test_an_unfinished_index_of_the_source_is_reported_as_incomplete(pair, plm):
    client = pair.source.admin
    client.a.b.insert_many([{"_id": n, "n": n} for n in range(20)])
    synchronise(plm)
    client.a.b.create_index("n")
    with hanging_builds(pair.source, SCANNED) as builds:
        build = Build(client.a.b, index("slow"))
        builds.wait()
        finalization = plm.finish()["finalization"]
        assert unfinished(pair.source, "b") == {"slow"}
    assert build.succeeded()
    reason = "the source has not finished building it"
    expected = {"namespace": "a.b", "indexName": "slow", "type": "incomplete", "keys": {"slow": 1}, "reason": reason}
    assert finalization["unsuccessfulIndexes"] == [expected]
    assert finalization["differences"] == []
    assert indexes(pair.target.admin, "a", "b").keys() == {"_id_", "n_1"}
    assert "incomplete   index slow of a.b" in plm.command("status").stdout


def test_ttl_removes_nothing_before_finalize(pair, plm):
    client, target = pair.source.admin, pair.target.admin
    with expiring_nothing(pair.source):
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        client.a.b.insert_many([{"_id": n, "when": past} for n in range(50)])
        client.a.b.create_index("when", expireAfterSeconds=1)
        synchronise(plm)
        assert spec_of(pair.target, "b", "when_1")["expireAfterSeconds"] == NEVER_EXPIRES
        wait_for_ttl_passes(pair.target)
        assert target.a.b.count_documents({}) == 50
        client.a.b.insert_one({"_id": "late", "when": past})
        plm.wait_applied(pair.source.cluster_time())
        assert target.a.b.count_documents({}) == 51
        assert plm.finish()["finalization"]["differences"] == []
        assert spec_of(pair.target, "b", "when_1")["expireAfterSeconds"] == 1
        assert expires(target.a.b)  # now it is the target's own business


def test_kills_at_every_stage_of_finalize(pair, plm):
    """Once indexes are made real nothing is replayed: a unique value that changed hands would break it."""
    client = pair.source.admin
    for name in "bcdef":
        client.a[name].insert_many([{"_id": n, "n": n} for n in range(50)])
        client.a[name].create_index("n", unique=True)
        client.a[name].create_index("when", expireAfterSeconds=1000)
        client.a[name].create_index("h", hidden=True)
    synchronise(plm)
    with slow_command(pair.target, "collMod", 200):
        for name in "bcdef":  # each unique value changes hands
            client.a[name].update_many({}, {"$inc": {"n": 1000}})
            client.a[name].update_many({}, [{"$set": {"n": {"$subtract": [49, "$_id"]}}}])
        plm.finalize()
        for _ in range(5):
            time.sleep(0.3)  # the stage is what varies
            plm.kill9()
            plm.run()
            if plm.status()["state"] == "finalized":
                break
    status = plm.wait_state("finalized")
    assert status["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []


def test_what_is_written_behind_the_end_stays_behind_it_after_a_kill(pair, plm):
    """What was true when finalize looked is what becomes real."""
    client, target = pair.source.admin, pair.target.admin
    client.a.b.insert_many([{"_id": n, "n": n} for n in range(50)])
    for name in "nmk":
        client.a.b.create_index(name, hidden=True)
    synchronise(plm)
    with slow_command(pair.target, "collMod", 1000):
        plm.finalize()
        wait_until(lambda: "hidden" in spec_of(pair.target, "b", "n_1"))
        client.a.b.insert_one({"_id": "behind"})
        plm.kill9()
        plm.run()
        plm.wait_state("finalized")
    assert target.a.b.count_documents({}) == 50


def test_the_final_comparison_names_what_differs(pair, plm):
    client = pair.source.admin
    for name in ("more", "less", "options", "gone", "same"):
        fill(client, "a", name, 20)
    synchronise(plm)
    target = pair.target.admin
    target.a.more.insert_one({"_id": "foreign"})
    target.a.less.delete_one({"_id": 1})
    target.a.command("collMod", "options", validator={"x": 1})
    target.a.gone.drop()
    lines = plm.finish()["finalization"]["differences"]
    for name in ("more", "less", "options", "gone"):
        assert any(f"a.{name}" in line for line in lines), (name, lines)
    assert not any("a.same" in line for line in lines)
    assert plm.status()["state"] == "finalized"


def test_finalize_under_load_ends(pair, plm):
    client = pair.source.admin
    fill(client, "a", "b", 500)
    synchronise(plm)
    with Writer(client, "a", "b", rate=300), Writer(client, "a", "c", rate=300, seed=2):
        plm.finish()
    assert plm.status()["finalization"]["unsuccessfulIndexes"] == []
    documents = pair.target.admin.a.b.count_documents({})
    assert documents > 0
    # What the writers did after finalize did not arrive.
    client.a.b.insert_one({"_id": "after"})
    assert not pair.target.admin.a.b.find_one("after")
