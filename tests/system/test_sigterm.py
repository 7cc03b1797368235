"""SIGTERM ends plm within seconds and with exit code 0, whatever it is at; the next process goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import requests
from conftest import CLIENT, SMALL_STEPS, both_modes, copying, fault_point, frozen, killed, slow_command
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.load import Writer, fill
from lab.servers import Pair, ReplicaSet

LEAVES_WITHIN = 5  # seconds
HELD_MS = 7000  # longer than plm may take to leave
BUILDING = "hangAfterStartingIndexBuildUnlocked"


@contextmanager
def held(server: ReplicaSet, command: str) -> Iterator[int]:
    """The next of these commands of plm is not answered for a long time; how often that happened before."""
    data = {"appName": CLIENT["appName"], "failCommands": [command], "blockConnection": True, "blockTimeMS": HELD_MS}
    admin = server.admin.admin
    try:
        yield admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)["count"]
    finally:
        server.fail_point("failCommand", "off")  # waits for what is held


def wait_held(server: ReplicaSet, before: int) -> None:
    server.admin.admin.command("waitForFailPoint", "failCommand", timesEntered=before + 1, maxTimeMS=30_000)


def leaves(plm: Plm) -> None:
    began = time.monotonic()
    assert plm.terminate() == 0, plm.log()[-2000:]
    assert time.monotonic() - began < LEAVES_WITHIN, plm.log()[-2000:]


def goes_on(pair: Pair, plm: Plm) -> None:
    """The next process, to the end."""
    pair.source.admin.a.b.insert_one({"_id": "while away"})
    plm.run()
    plm.wait_synced(90)
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def following(pair: Pair, plm: Plm) -> None:
    fill(pair.source.admin, "a", "b", 500)
    pair.source.admin.a.b.create_index("n", hidden=True)
    plm.run()
    plm.start()
    plm.wait_synced()


@both_modes
def test_in_the_middle_of_the_copy(pair, plm):
    """What was copied whole is not copied again."""
    fill(pair.source.admin, "a", "b", 6000)
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", lambda status: status["initialSync"]["clonedSizeBytes"] > 300_000)
        leaves(plm)
    plm.run()
    status = plm.wait_for("the first look", lambda status: status["initialSync"]["estimatedCloneSizeBytes"] > 0)
    assert status["initialSync"]["clonedSizeBytes"] > 0 or status["initialSync"]["cloneCompleted"]
    leaves(plm)
    goes_on(pair, plm)


@pytest.mark.parametrize("command", ["commitTransaction", "insert", "create", "createIndexes"])
def test_while_a_command_of_the_copy_is_not_answered(pair, plm, command):
    fill(pair.source.admin, "a", "b", 8000)
    pair.source.admin.a.b.create_index("n")
    plm.run()
    with held(pair.target, command) as before:
        plm.start(**SMALL_STEPS)
        wait_held(pair.target, before)
        leaves(plm)
    goes_on(pair, plm)


@pytest.mark.parametrize("command", ["find", "getMore"])
def test_while_the_source_does_not_answer_a_command(pair, plm, command):
    fill(pair.source.admin, "a", "b", 8000)
    plm.run()
    with held(pair.source, command) as before:
        plm.start(**SMALL_STEPS)
        wait_held(pair.source, before)
        leaves(plm)
    goes_on(pair, plm)


def test_while_an_index_is_built(pair, plm):
    fill(pair.source.admin, "a", "b", 8000)
    pair.source.admin.a.b.create_index("n")
    with fault_point(pair.target, BUILDING):
        plm.run()
        plm.start()
        plm.wait_for("a build", lambda status: status["initialSync"]["indexes"]["building"])
        leaves(plm)
    goes_on(pair, plm)


@both_modes
def test_while_following_under_load(pair, plm):
    following(pair, plm)
    with Writer(pair.source.admin, "a", "b", rate=500):
        plm.wait_for("load", lambda status: status["eventsApplied"] > 200)
        leaves(plm)
        plm.run()
        plm.wait_for("more", lambda status: status["eventsApplied"] > 400)
        leaves(plm)
    goes_on(pair, plm)


def test_while_a_change_is_not_answered(pair, plm):
    following(pair, plm)
    with held(pair.target, "applyOps") as before:
        pair.source.admin.a.b.update_one({"_id": 1}, {"$set": {"n": "changed"}})
        wait_held(pair.target, before)
        leaves(plm)
    goes_on(pair, plm)


def test_while_pausing(pair, plm):
    """The request is answered, or its connection is closed; whichever it was is found again."""
    following(pair, plm)
    outcome: list[str] = []

    def pause() -> None:
        try:
            plm.pause()
            outcome.append("paused")
        except (Refused, requests.RequestException):
            outcome.append("running")

    with held(pair.target, "applyOps") as before:
        pair.source.admin.a.b.update_one({"_id": 1}, {"$set": {"n": "changed"}})
        wait_held(pair.target, before)
        asking = Thread(target=pause)
        asking.start()
        time.sleep(0.3)  # for the request to be at work
        leaves(plm)
        asking.join(10)
        assert outcome
    plm.run()
    assert plm.wait_for("the saved state", lambda status: status["state"] != "idle")["state"] == outcome[0]
    if outcome == ["paused"]:
        plm.resume()
    leaves(plm)
    goes_on(pair, plm)


def test_while_paused(pair, plm):
    following(pair, plm)
    plm.pause()
    leaves(plm)
    pair.source.admin.a.b.insert_one({"_id": "while paused"})
    plm.run()
    plm.wait_state("paused")
    plm.resume()
    leaves(plm)
    goes_on(pair, plm)


@pytest.mark.parametrize("command", ["collMod", "commitTransaction"])
def test_while_finalizing(pair, plm, command):
    following(pair, plm)
    with held(pair.target, command) as before:
        plm.finalize()
        wait_held(pair.target, before)
        leaves(plm)
    plm.run()
    assert plm.wait_state("finalized")["finalization"]["completed"] is True
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("away", [frozen, killed])
@pytest.mark.parametrize("side", ["source", "target"])
def test_while_a_server_is_away(pair, plm, side, away):
    following(pair, plm)
    with Writer(pair.source.admin, "a", "b", rate=200) as writer:
        plm.wait_for("load", lambda status: status["eventsApplied"] > 50)
        writer.stop()
    with away(getattr(pair, side)):
        plm.wait_for("trouble", lambda status: status[side]["state"] != "ok", 40)
        leaves(plm)
    goes_on(pair, plm)


@pytest.mark.parametrize("away", [frozen, killed])
def test_while_it_has_not_reached_the_target_yet(pair, plm, away):
    following(pair, plm)
    leaves(plm)
    with away(pair.target):
        plm.run(standby=True)
        plm.wait_for("a problem", lambda status: status["warnings"] != [], 40)
        leaves(plm)
    goes_on(pair, plm)


def test_while_standing_by(pair, plm, tmp_path):
    following(pair, plm)
    second = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path / "second")
    try:
        second.run(standby=True)
        second.wait_state("standby")
        leaves(second)
    finally:
        second.stop()
    assert plm.status()["state"] == "running"
    leaves(plm)
    goes_on(pair, plm)


def test_while_idle_and_when_finalized(pair, plm):
    plm.run()
    leaves(plm)
    following(pair, plm)
    plm.finish()
    leaves(plm)
    plm.run()
    assert plm.wait_state("finalized")["finalization"]["completed"] is True
