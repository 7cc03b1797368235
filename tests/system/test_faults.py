"""Servers that go away, freeze, or answer with errors: the job waits, says so, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conftest import CLIENT, SMALL_STEPS, both_modes, copying, failing, frozen, killed, slow_command
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.load import Writer, fill
from lab.servers import Pair, ReplicaSet

SIDES = ("source", "target")
NAMESPACE_NOT_FOUND = 26


def answers_quickly(plm) -> dict:
    """/status, which must come within a second whatever the servers do."""
    began = time.monotonic()
    response = plm.get("/status", timeout=5)
    assert time.monotonic() - began < 1
    return response.json()


def wait_noticed(plm, side: str) -> None:
    """Until /status says that a server does not answer; it must answer quickly all the while."""
    deadline = time.monotonic() + 40
    while not answers_quickly(plm)[side]["state"].startswith("unreachable since "):
        assert plm.status()["state"] == "running"
        assert time.monotonic() < deadline, plm.status()
        time.sleep(0.1)


def finished_equal(pair, plm) -> None:
    plm.wait_synced(90)
    plm.wait_applied(pair.source.cluster_time(), 90)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("side", SIDES)
def test_a_server_that_restarts_while_following(pair, plm, side):
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    server = getattr(pair, side)
    server.kill()
    if side == "target":
        pair.source.admin.a.b.insert_one({"_id": "meanwhile"})
    wait_noticed(plm, side)
    server.restart()
    pair.source.admin.a.b.insert_one({"_id": "after"})
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_for(f"the {side} being called reachable", lambda status: status[side]["state"] == "ok")
    finished_equal(pair, plm)


@pytest.mark.parametrize("side", SIDES)
def test_a_server_that_restarts_in_the_middle_of_the_copy(pair, plm, side):
    fill(pair.source.admin, "a", "b", 6000)
    plm.run()
    server = getattr(pair, side)
    with slow_command(pair.target, "insert", 80):  # a restart of the target ends this
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", lambda status: status["initialSync"]["clonedSizeBytes"] > 300_000)
        copied = plm.status()["initialSync"]["clonedSizeBytes"]
        server.kill()
        answers_quickly(plm)
        server.restart()
    assert plm.wait_synced()["initialSync"]["clonedSizeBytes"] >= copied
    finished_equal(pair, plm)


@pytest.mark.parametrize("side", SIDES)
def test_a_server_that_freezes(pair, plm, side):
    """It keeps its connections and says nothing: no call of plm may wait for ever."""
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    if side == "target":
        pair.source.admin.a.b.insert_one({"_id": "before"})
    with frozen(getattr(pair, side)):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            answers_quickly(plm)
            time.sleep(0.2)
    pair.source.admin.a.b.insert_one({"_id": "after"})
    finished_equal(pair, plm)


def test_servers_that_are_down_when_plm_starts_again(pair, plm):
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.kill9()
    pair.source.kill()
    try:
        plm.run()
        plm.wait_state("running", 10)
        answers_quickly(plm)
    finally:
        pair.source.restart()
    pair.source.admin.a.b.insert_one({"_id": "after"})
    finished_equal(pair, plm)


def test_pause_and_sigterm_work_while_the_source_is_down(pair, plm):
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    with killed(pair.source):
        wait_noticed(plm, "source")
        plm.pause()
        assert plm.status()["state"] == "paused"
        began = time.monotonic()
        assert plm.terminate() == 0
        assert time.monotonic() - began < 10
        plm.run()
        plm.wait_state("paused")
    pair.source.admin.a.b.insert_one({"_id": "after"})
    plm.resume()
    finished_equal(pair, plm)


PAUSE_IS_REFUSED_AFTER = 15  # seconds


@pytest.mark.parametrize("writes", [True, False], ids=["with_writes", "at_rest"])
def test_a_pause_that_the_target_does_not_acknowledge_is_refused(pair, plm, writes):
    """Nothing is lost by it: the job runs on."""
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.wait_applied(pair.source.cluster_time())
    with frozen(pair.target):
        if writes:
            pair.source.admin.a.b.insert_one({"_id": "meanwhile"})
        began = time.monotonic()
        with pytest.raises(Refused) as refused:
            plm.pause()
        assert PAUSE_IS_REFUSED_AFTER - 1 <= time.monotonic() - began < PAUSE_IS_REFUSED_AFTER + 5
        assert (refused.value.http_status, refused.value.code) == (503, "unreachable")
        assert "did not acknowledge within 15 s" in refused.value.error
        assert answers_quickly(plm)["state"] == "running"
    pair.source.admin.a.b.insert_one({"_id": "after"})
    plm.wait_applied(pair.source.cluster_time(), 90)
    assert plm.status()["state"] == "running"
    finished_equal(pair, plm)


@contextmanager
def without_rights(server: ReplicaSet) -> Iterator[None]:
    admin = server.admin.admin
    admin.command("updateUser", server.plm_user.name, roles=[])
    try:
        yield
    finally:
        admin.command("updateUser", server.plm_user.name, roles=list(server.plm_user.roles))


@contextmanager
def with_another_password(server: ReplicaSet) -> Iterator[None]:
    """Who is logged in stays so: only a restart makes clients log in again."""
    admin = server.admin.admin
    admin.command("updateUser", server.plm_user.name, pwd="another")
    server.kill()
    server.restart()
    try:
        yield
    finally:
        admin.command("updateUser", server.plm_user.name, pwd=server.plm_user.password)


@pytest.mark.parametrize("take_away", [without_rights, with_another_password])
@pytest.mark.parametrize("side", SIDES)
def test_what_is_taken_away_from_plms_user_and_given_back(pair, plm, side, take_away):
    """In the middle of the copy, while following, and in finalize."""
    source, server = pair.source.admin, getattr(pair, side)
    fill(source, "a", "b", 4000)
    source.a.b.create_index("n", unique=True)
    source.a.early.insert_one({"_id": 1})
    plm.run()
    with slow_command(pair.target, "insert", 80):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", copying)
        with take_away(server):
            source.a.early.insert_one({"_id": 2})
            time.sleep(3)
            assert plm.status()["state"] == "running"
    plm.wait_synced(90)
    with take_away(server):
        source.a.early.insert_one({"_id": 3})
        source.a.late.insert_one({"_id": 1})
        time.sleep(3)
        assert plm.status()["state"] == "running"
    plm.wait_applied(pair.source.cluster_time(), 90)
    plm.finalize()
    with take_away(server):
        time.sleep(3)
        assert plm.status()["state"] == "finalizing"
    plm.wait_state("finalized", 90)
    assert differences(pair.source, pair.target) == []


ERRORS = {
    # which server, commands, what they answer
    "interrupted": ("source", ["find", "getMore"], {"errorCode": 11600}),  # InterruptedAtShutdown
    "cursor_lost": ("source", ["aggregate", "getMore"], {"errorCode": 43}),  # CursorNotFound
    "source_cut": ("source", ["aggregate", "getMore", "find"], {"closeConnection": True}),
    "listing_stepped_down": ("source", ["listCollections", "listIndexes", "dataSize"], {"errorCode": 189}),
    "stepped_down": ("target", ["insert"], {"errorCode": 10107}),  # NotWritablePrimary
    "target_cut": ("target", ["insert", "update", "delete", "applyOps"], {"closeConnection": True}),
    "not_confirmed": (
        "target",
        ["insert", "update", "delete", "applyOps"],
        {"writeConcernError": {"code": 91, "errmsg": "shutting down"}},
    ),
    "disk_full": ("target", ["insert", "update", "applyOps", "createIndexes"], {"errorCode": 14031}),  # OutOfDiskSpace
    "structure_cut": ("target", ["create", "createIndexes", "collMod"], {"closeConnection": True}),
    "builds_stepped_down": ("target", ["createIndexes"], {"errorCode": 11602}),  # InterruptedDueToReplStateChange
    # A connection breaks, and the next one while it logs in.
    "source_cut_logging_in": ("source", ["getMore", "saslStart", "saslContinue"], {"closeConnection": True}),
    "target_cut_logging_in": ("target", ["insert", "applyOps", "saslStart", "saslContinue"], {"closeConnection": True}),
}


@pytest.mark.parametrize("side, commands, answer", ERRORS.values(), ids=ERRORS)
def test_passing_errors_are_tried_again(pair, plm, side, commands, answer):
    client, server = pair.source.admin, getattr(pair, side)
    fill(client, "a", "b", 2000)
    client.a.b.create_index("n")
    plm.run()
    plm.start(**SMALL_STEPS)
    with Writer(client, "a", "b", rate=200):
        with failing(server, commands, 4, **answer):
            plm.wait_synced()
        with failing(server, commands, 4, **answer):
            client.a.c.insert_one({"_id": 1})
            client.a.c.create_index("n")
            plm.wait_applied(pair.source.cluster_time())
    finished_equal(pair, plm)


def test_errors_of_the_target_in_portable_mode(pair, tmp_path):
    plm = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path, portable=True)
    try:
        test_passing_errors_are_tried_again(pair, plm, *ERRORS["target_cut"])
    finally:
        plm.stop()


def test_what_was_dropped_is_dropped_again_while_the_look_for_it_fails(pair, plm):
    """A rename drops what has the name; the drop succeeds, the rename does not, and then nor does the listing."""
    client = pair.source.admin
    fill(client, "a", "b", 100)
    fill(client, "a", "c", 10)
    plm.run()
    plm.start()
    plm.wait_synced()
    with failing(pair.target, ["renameCollection", "listCollections"], 6, errorCode=50):  # MaxTimeMSExpired
        client.a.b.rename("c", dropTarget=True)
        plm.wait_applied(pair.source.cluster_time())
    finished_equal(pair, plm)


def test_a_position_that_left_the_oplog_fails_with_advice(pair, plm):
    """plm was away for too long."""
    pair.source.admin.a.b.insert_one({"_id": 1})
    plm.run()
    plm.start()
    plm.wait_synced()
    with failing(pair.source, ["aggregate", "getMore"], 3, errorCode=286):  # ChangeStreamHistoryLost
        status = plm.wait_state("failed", 30)
    assert "oplog" in status["error"] and ("reset" in status["error"] or "resume" in status["error"])


def test_the_lag_grows_while_the_target_is_away(pair, plm):
    pair.source.admin.a.b.insert_one({"_id": 1})
    plm.run()
    plm.start()
    plm.wait_synced()
    with frozen(pair.target):
        pair.source.admin.a.b.insert_one({"_id": 2})
        plm.wait_for("lag", lambda status: status["lagTimeSeconds"] >= 3, 20)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert plm.status()["lagTimeSeconds"] >= 3
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_for("no lag", lambda status: status["lagTimeSeconds"] <= 1)


LAG_IS_TRUE_WITHIN = 2  # seconds


class Marks:
    """Numbers that are written to the source one after the other, with the cluster time of each, in seconds."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.times: list[int] = []

    def write(self) -> int:
        with self.pair.source.admin.start_session() as session:
            self.pair.source.admin.a.marks.insert_one({"_id": len(self.times)}, session=session)
            self.times.append(session.operation_time.time)
        return self.times[-1]

    def on_target(self) -> tuple[int, int]:
        """Not before and not behind which time the target is: of the last that is there with all before it, and of
        the first that is missing."""
        present = set(self.pair.target.admin.a.marks.distinct("_id"))
        count = next(n for n in range(len(present) + 1) if n not in present)
        return self.times[count - 1], self.times[min(count, len(self.times) - 1)]


def true_lags(plm: Plm, marks: Marks, on_target: Callable[[], tuple[int, int]]) -> list[int]:
    """What the status says for a while, in which much is written; each is held against the times of the source."""
    lags = []
    end = time.monotonic() + 12
    while time.monotonic() < end:
        (earliest, _), before = on_target(), marks.write()
        lags.append(plm.status()["lagTimeSeconds"])
        after, (_, latest) = marks.write(), on_target()
        assert before - latest - LAG_IS_TRUE_WITHIN <= lags[-1] <= after - earliest + LAG_IS_TRUE_WITHIN, lags
        time.sleep(0.1)
    return lags


@pytest.fixture
def marks(pair, plm) -> Marks:
    """Of a job that follows, and writes them one by one."""
    marks = Marks(pair)
    marks.write()
    plm.run()
    plm.start(replBulkOpsSize=1)
    plm.wait_synced()
    return marks


def test_the_lag_is_true_while_the_target_is_frozen(pair, plm, marks):
    earliest = marks.write()
    plm.wait_applied(pair.source.cluster_time())
    with frozen(pair.target):
        latest = marks.write()
        assert true_lags(plm, marks, lambda: (earliest, latest))[-1] >= 8
    finished_equal(pair, plm)


def test_the_lag_is_true_while_the_target_is_slow(pair, plm, marks):
    with slow_command(pair.target, "insert", 500):
        assert max(true_lags(plm, marks, marks.on_target)) >= 4
    finished_equal(pair, plm)


@both_modes
def test_a_collection_that_the_source_does_not_show_yet(pair, plm):
    """Its events can be read a moment before it can. Nothing makes that moment longer; the same answer does as well."""
    source = pair.source.admin.a
    plm.run()
    plm.start()
    plm.wait_synced()
    with failing(pair.source, ["find"], 1000, errorCode=NAMESPACE_NOT_FOUND):
        source.create_collection("capped", capped=True, size=1 << 20)
        fill(pair.source.admin, "a", "capped", 10)
        source.plain.insert_one({"_id": 1, "list": [1, 2, 3]})
        source.plain.update_one({"_id": 1}, {"$set": {"list.1": "changed", "new": True}})
        time.sleep(0.7)
    finished_equal(pair, plm)
