"""What plm says to have replicated is replicated, and what it calls complete is complete (I8)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
from bson import Timestamp
from conftest import CLIENT, both_modes, fail_commands
from lab.compare import differences
from lab.daemon import Plm, Refused, replicated_time
from lab.load import fill
from lab.servers import STATE_DATABASE, ReplicaSet

LOCK_TIMEOUT = 24  # plm tries again; its driver does nothing of its own
WHOLE_STREAM = "admin.$cmd.aggregate"
# Commands of that name with which the source is listed for a start: databases and collections, twice, and databases for
# what is lost of time-series.
LISTING = 5
COUNT = 5000  # of documents that one transaction changes


def refusing(server: ReplicaSet, commands: list[str], *, after: int = 0, **which: str) -> AbstractContextManager[None]:
    """plm's commands of these names fail, all but the first few."""
    data: dict[str, Any] = {"appName": CLIENT["appName"], "failCommands": commands, "errorCode": LOCK_TIMEOUT, **which}
    return fail_commands(server, {"skip": after} if after else "alwaysOn", **data)


def one_tick_less(time: Timestamp) -> Timestamp:
    return Timestamp(time.time, time.inc - 1)


def saved_position(pair) -> dict[str, Any]:
    return pair.target.admin[STATE_DATABASE].state.find_one({"complete": {"$exists": True}})


def wait_saved(pair, plm: Plm, what: str, holds) -> dict[str, Any]:
    plm.wait_for(what, lambda _: holds(saved_position(pair)))
    return saved_position(pair)


def hold_updates(server: ReplicaSet, portable: bool, after: int):
    """The target takes a few of plm's commands with updates of a.b, and then no more."""
    which = {"namespace": "a.b"} if portable else {}
    return refusing(server, ["update" if portable else "applyOps"], after=after, **which)


def update_in_a_transaction(pair) -> Timestamp:
    """All documents of a.b; the transaction's cluster time."""
    client = pair.source.admin
    with client.start_session() as session, session.start_transaction():
        client.a.b.update_many({}, {"$set": {"changed": True}}, session=session)
        of_it = {"lsid.id": session.session_id["id"]}
    return client.local["oplog.rs"].find_one(of_it, sort=[("$natural", -1)])["ts"]


def arrived(pair) -> int:
    return pair.target.admin.a.b.count_documents({"changed": True})


@pytest.fixture
def following(pair, plm) -> Plm:
    """With one applier and small batches: what is applied is a beginning of what happened."""
    fill(pair.source.admin, "a", "b", COUNT)
    plm.run()
    plm.start(replNumWorkers=1, replBulkOpsSize=100)
    plm.wait_synced()
    return plm


@both_modes
def test_m2_the_middle_of_a_transaction_does_not_claim_its_end(pair, following, portable):
    """All of its changes have one time, which counts when the last one is there. A killed plm goes on in its middle."""
    plm = following
    with hold_updates(pair.target, portable, after=20):
        committed = update_in_a_transaction(pair)
        saved = wait_saved(pair, plm, "a save in the middle", lambda position: position["time"] == committed)
        status = plm.status()
        assert 256 < arrived(pair) < COUNT
        assert saved["complete"] == replicated_time(status) == one_tick_less(committed)
        plm.kill9()
    plm.run()
    plm.wait_applied(committed)
    assert arrived(pair) == COUNT
    assert differences(pair.source, pair.target, synchronising=True) == []


@both_modes
def test_m2_finalize_takes_the_whole_of_a_transaction(pair, following, portable):
    """Asked for when a part of it is applied."""
    plm = following
    with hold_updates(pair.target, portable, after=20):
        committed = update_in_a_transaction(pair)
        plm.wait_for("a part of it", lambda _: arrived(pair) > 0)
        plm.finalize()
        status = plm.status()
        assert status["state"] == "finalizing" and replicated_time(status) < committed
        assert arrived(pair) < COUNT
    assert plm.wait_state("finalized")["finalization"]["differences"] == []
    assert differences(pair.source, pair.target) == []


def refused_for_now(plm: Plm) -> None:
    with pytest.raises(Refused) as refused:
        plm.finalize()
    assert refused.value.http_status == 409 and "initial sync" in refused.value.error
    assert plm.status()["state"] == "running"


@pytest.mark.parametrize("portable", [True], ids=["portable"])  # its writes to one collection can be held
def test_m9_after_a_restart_a_copy_counts_when_the_stream_has_passed_that(pair, plm):
    """What the process before wrote last may be newer than the position that it saved: also where the position is
    behind the time of the copy, nothing is complete until it is behind the time of the restart."""
    client = pair.source.admin
    fill(client, "a", "b", 100)
    plm.run()
    with refusing(pair.source, ["aggregate", "getMore"], after=LISTING, namespace=WHOLE_STREAM):
        plm.start(includeNamespaces=["a.*"])
        plm.wait_for("the copy", lambda status: status["initialSync"]["cloneCompleted"])
        refused_for_now(plm)
        plm.kill9()
    copied = client.admin.command("appendOplogNote", data={"note": "copied"})["operationTime"]
    position = saved_position(pair)
    assert position["complete"] < position["cloneCompletedAt"] <= copied and not position["syncCompleted"]
    fill(client, "other", "c", 1000)  # for positions in between
    client.a.b.update_one({"_id": 1}, {"$set": {"n": "while away"}})
    away = pair.source.cluster_time()
    with refusing(pair.target, ["insert", "update", "delete"], namespace="a.b"):
        plm.run()
        position = wait_saved(pair, plm, "a position behind the copy", lambda position: position["complete"] > copied)
        assert position["complete"] < away <= position["dirtyUntil"]
        assert not position["syncCompleted"]
        sync = plm.status()["initialSync"]
        assert sync["cloneCompleted"] is True and sync["completed"] is False
        refused_for_now(plm)
    assert replicated_time(plm.wait_synced()) > away
    assert pair.target.admin.a.b.find_one(1)["n"] == "while away"
    plm.finish()
    assert differences(pair.source, pair.target, ["a"]) == []


@both_modes
def test_m9_finalize_right_after_a_kill_replays_to_the_end(pair, plm):
    """The target holds what was written behind the saved position, and for a while older versions again."""
    documents = pair.source.admin.a.b
    documents.insert_many([{"_id": n, "n": 0} for n in range(20)])
    plm.run()
    plm.start()
    plm.wait_synced()
    for turn in range(1, 50):
        documents.update_many({}, {"$set": {"n": turn}})
    plm.wait_applied(pair.source.cluster_time())
    plm.kill9()
    plm.run()
    plm.finish()
    assert {document["n"] for document in pair.target.admin.a.b.find()} == {49}
    assert differences(pair.source, pair.target) == []
