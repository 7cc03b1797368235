"""Elections in every phase of a job, also in those that pass quickly: fault points hold plm's commands, and so it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from conftest import CLIENT
from lab.compare import differences, indexes
from lab.daemon import Plm, Refused
from lab.load import fill
from lab.servers import MemberSet, Pair
from test_elections import kill, plm, sets, step_down, wait_until_it_acknowledges  # noqa: F401 - two are fixtures

HELD_MS = 1500


class Held:
    """Commands of plm wait for a moment at each member of one side."""

    def __init__(self, side: MemberSet, command: str, milliseconds: int = HELD_MS) -> None:
        self._side = side
        primary, _ = side.wait_primary()
        self._primary = side.direct(primary, milliseconds=30_000).admin
        held = {"failCommands": [command], "blockConnection": True, "blockTimeMS": milliseconds}
        self._entered = self._primary.command({"configureFailPoint": "failCommand", "mode": "off"})["count"]
        side.fail_point("failCommand", "alwaysOn", appName=CLIENT["appName"], **held)

    def wait(self) -> None:
        """Until one more of them waits at the primary."""
        self._entered += 1
        self._primary.command("waitForFailPoint", "failCommand", timesEntered=self._entered, maxTimeMS=25_000)

    def let_go(self) -> None:
        let_go(self._side, "failCommand")


def let_go(side: MemberSet, fail_point: str) -> None:
    """At the members that are there; one that was killed has none."""
    for member in side.members:
        if member.process:
            side.direct(member).admin.command("configureFailPoint", fail_point, mode="off")


@contextmanager
def holding(side: MemberSet, command: str, milliseconds: int = HELD_MS) -> Iterator[Held]:
    held = Held(side, command, milliseconds)
    try:
        yield held
    finally:
        held.let_go()


def ask(request: Callable[[], object], seconds: float = 30) -> None:
    """503 says that a server could not be asked: then once more. It may have been carried out all the same."""
    deadline, again = time.monotonic() + seconds, False
    while True:
        try:
            request()
            return
        except Refused as refused:
            if again and refused.code == "wrong_state":
                return
            assert refused.http_status == 503 and time.monotonic() < deadline, refused
            again = True
            time.sleep(0.1)


@contextmanager
def asking(request: Callable[[], object]) -> Iterator[None]:
    """A request whose answer is waited for at the end."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, request)
        yield
        answer.result()


# Each brings plm to a phase, and holds it there until the election is over.
@contextmanager
def listing(sets: Pair, plm: Plm) -> Iterator[None]:
    for number in range(4):
        sets.source.admin[f"db{number}"].c.create_index("n", unique=True)
        fill(sets.source.admin, f"db{number}", "c", 20)
    plm.run()
    with holding(sets.source, "listIndexes") as held, asking(plm.start):
        held.wait()
        assert plm.status()["initialSync"]["collections"]["total"] == 0
        yield


@contextmanager
def copying(sets: Pair, plm: Plm) -> Iterator[None]:
    fill(sets.source.admin, "a", "b", 3000, size=10_000)  # several ranges
    sets.source.admin.a.b.create_index("n", unique=True)
    plm.run()
    with holding(sets.target, "insert") as held:
        plm.start(cloneSegmentSize="5MiB", cloneNumParallelCollections=1)
        for _ in range(2):
            held.wait()
        sets.source.admin.a.b.update_many({"_id": {"$mod": [7, 0]}}, {"$set": {"meanwhile": True}})
        yield
        assert not plm.status()["initialSync"]["cloneCompleted"]


@contextmanager
def building_indexes(sets: Pair, plm: Plm) -> Iterator[None]:
    place = "hangAfterStartingIndexBuildUnlocked"
    fill(sets.source.admin, "a", "b", 3000, size=1000)  # too much for indexes that are made before the data
    for field in ("n", "group", "filler"):
        sets.source.admin.a.b.create_index(field)
    plm.run()
    primary, _ = sets.target.wait_primary()
    admin = sets.target.direct(primary, milliseconds=30_000).admin
    entered = admin.command({"configureFailPoint": place, "mode": "alwaysOn"})["count"]  # secondaries would abort there
    try:
        plm.start()
        admin.command("waitForFailPoint", place, timesEntered=entered + 1, maxTimeMS=25_000)
        assert plm.status()["initialSync"]["indexes"]["built"] == 0
        yield
    finally:
        let_go(sets.target, place)


def following(sets: Pair, plm: Plm) -> None:
    client = sets.source.admin
    for name in ("b", "gone", "old"):
        fill(client, "a", name, 200)
        client.a[name].create_index("n", unique=True)
        client.a[name].create_index("when", expireAfterSeconds=1000)
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.wait_applied(client.admin.command("appendOplogNote", data={"note": "test"})["operationTime"])


@contextmanager
def changing(sets: Pair, plm: Plm, command: str) -> Iterator[None]:
    following(sets, plm)
    a = sets.source.admin.a
    with holding(sets.target, command) as held:
        a.b.update_many({}, {"$set": {"before": True}})
        a.old.rename("new")
        a.gone.drop()
        a.create_collection("gone", validator={"n": {"$exists": True}})
        a.gone.insert_one({"_id": 1, "n": 1})
        a.command("collMod", "gone", validationLevel="moderate")
        a.new.insert_one({"_id": "behind", "n": -1})
        held.wait()
        yield


@contextmanager
def creating(sets: Pair, plm: Plm) -> Iterator[None]:
    with changing(sets, plm, "create"):
        yield


@contextmanager
def renaming(sets: Pair, plm: Plm) -> Iterator[None]:
    with changing(sets, plm, "renameCollection"):
        yield


@contextmanager
def dropping(sets: Pair, plm: Plm) -> Iterator[None]:
    with changing(sets, plm, "drop"):
        yield


@contextmanager
def changing_options(sets: Pair, plm: Plm) -> Iterator[None]:
    with changing(sets, plm, "collMod"):
        yield


@contextmanager
def pausing(sets: Pair, plm: Plm) -> Iterator[None]:
    following(sets, plm)
    with holding(sets.target, "applyOps") as held:
        sets.source.admin.a.b.update_many({}, {"$set": {"before": True}})
        held.wait()
        with asking(plm.pause):
            yield
    plm.wait_state("paused")
    sets.source.admin.a.b.insert_one({"_id": "while paused", "n": -1})
    assert not sets.target.admin.a.b.find_one({"_id": "while paused"})
    ask(plm.resume)


@contextmanager
def approaching_the_end(sets: Pair, plm: Plm) -> Iterator[None]:
    """The source is listed once more; nothing is real yet."""
    following(sets, plm)
    with holding(sets.source, "listIndexes") as held, asking(plm.finalize):
        held.wait()
        yield
        assert b"unique" not in indexes(sets.target.admin, "a", "b")["n_1"]


@contextmanager
def making_real(sets: Pair, plm: Plm) -> Iterator[None]:
    following(sets, plm)
    with holding(sets.target, "collMod", 700) as held, asking(plm.finalize):
        for _ in range(3):
            held.wait()
        assert plm.status()["state"] == "finalizing"
        yield


CHANGING = [creating, renaming, dropping, changing_options]
PHASES = [listing, copying, building_indexes, *CHANGING, pausing, approaching_the_end, making_real]


@pytest.mark.parametrize("leave", [step_down, kill])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("phase", PHASES)
def test_an_election_in_the_middle_of(sets, plm, phase, side, leave):
    changed: MemberSet = getattr(sets, side)
    with phase(sets, plm):
        old, election = changed.wait_primary()
        leave(changed, old)
        changed.wait_primary(unlike=election)
        wait_until_it_acknowledges(changed)
    changed.restart()
    if plm.status()["state"] not in ("finalizing", "finalized"):
        plm.wait_synced()
        sets.source.admin.a.b.insert_one({"_id": "after", "n": -2})
        plm.wait_applied(sets.source.cluster_time())
        ask(plm.finalize)
    status = plm.wait_state("finalized")
    assert status["finalization"]["unsuccessfulIndexes"] == []
    assert differences(sets.source, sets.target) == []
