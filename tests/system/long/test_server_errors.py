"""Commands that plm sends are answered with errors of every kind, in the phase in which they are sent. What passes is
tried again until it succeeds; anything else fails the job, which says why and goes on when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from conftest import CLIENT
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.load import fill
from lab.servers import STATE_DATABASE, Pair
from pymongo import MongoClient

Answer = dict[str, Any]

TIMES = 2
PATIENCE = 20.0

ERRORS = {
    "NotWritablePrimary": 10107,
    "PrimarySteppedDown": 189,
    "InterruptedAtShutdown": 11600,
    "ExceededTimeLimit": 262,
    "MaxTimeMSExpired": 50,
    "LockTimeout": 24,
    "WriteConflict": 112,
    "SnapshotUnavailable": 246,
    "CursorNotFound": 43,
    "Unauthorized": 13,  # what is taken away may be given back
}
PASSING: dict[str, Answer] = {
    "connection closed": {"closeConnection": True},
    "slow": {"blockConnection": True, "blockTimeMS": 1000},
    **{name: {"errorCode": code} for name, code in ERRORS.items()},
}
# The command is carried out, and then its write concern was not met.
UNCERTAIN: dict[str, Answer] = {
    name: {"writeConcernError": {"code": code, "errmsg": "not confirmed"}}
    for name, code in {"WriteConcernFailed": 64, "UnsatisfiableWriteConcern": 100}.items()
}
# One of each kind, where every error needs a job of its own.
FEW = {
    name: PASSING[name]
    for name in ("connection closed", "slow", "PrimarySteppedDown", "SnapshotUnavailable")
}
FATAL: dict[str, Answer] = {name: {"errorCode": code} for name, code in {"BadValue": 2, "UnknownError": 8}.items()}
SERVERS_WORDS = "Failing command via 'failCommand' failpoint"


@dataclass(frozen=True)
class Where:
    """Some commands on one side, perhaps `only` those of a namespace; how an error says what plm was `doing`."""

    side: str
    commands: tuple[str, ...]
    doing: str = ""
    only: dict[str, Any] = field(default_factory=dict)
    writes: bool = False
    portable: bool = False

    def answers(self, passing: dict[str, Answer]) -> dict[str, Answer]:
        return {**passing, **UNCERTAIN} if self.writes else passing


class Trouble:
    """Commands of plm get this answer, so many times or until it is over."""

    def __init__(self, pair: Pair, where: Where, answer: Answer, times: int | None) -> None:
        self._admin, self._times = getattr(pair, where.side).admin.admin, times
        data = {"appName": CLIENT["appName"], "failCommands": list(where.commands), **where.only, **answer}
        mode = {"times": times} if times else "alwaysOn"
        self._before = self._admin.command("configureFailPoint", "failCommand", mode=mode, data=data)["count"]

    def all_given(self) -> bool:
        name = "failpoint.failCommand"
        entered = self._admin.command("getParameter", 1, **{name: 1})[name]["timesEntered"]
        return entered - self._before >= (self._times or 1)

    def end(self) -> None:
        self._admin.command("configureFailPoint", "failCommand", mode="off")


@contextmanager
def trouble(pair: Pair, where: Where, answer: Answer, times: int | None = TIMES) -> Iterator[Trouble]:
    made = Trouble(pair, where, answer, times)
    try:
        yield made
    finally:
        made.end()


def equal(pair: Pair) -> None:
    assert differences(pair.source, pair.target) == []


# ---- While following -------------------------------------------------------------------------------------------------
def insert(client: MongoClient, n: int) -> None:
    client.a.b.insert_many([{"_id": f"new {n} {m}", "n": n} for m in range(3)])


def update(client: MongoClient, n: int) -> None:
    client.a.b.update_one({"_id": n % 100}, {"$inc": {"n": 1}, "$push": {"list": n}})


def delete(client: MongoClient, n: int) -> None:
    client.a.b.replace_one({"_id": "old"}, {"n": n}, upsert=True)
    client.a.b.delete_one({"_id": "old"})


def create(client: MongoClient, n: int) -> None:
    client.a.create_collection(f"c{n}")


def drop(client: MongoClient, n: int) -> None:
    client.a[f"d{n}"].insert_one({"_id": n})
    client.a[f"d{n}"].drop()


def rename(client: MongoClient, n: int) -> None:
    client.a[f"r{n}"].insert_one({"_id": n})
    client.a[f"r{n}"].rename(f"s{n}")


def modify(client: MongoClient, n: int) -> None:
    client.a.command("collMod", "b", validator={"n": {"$ne": -n}})


def drop_index(client: MongoClient, n: int) -> None:
    client.a.b.create_index(f"short{n}")
    client.a.b.drop_index(f"short{n}_1")


WHOLE_CATALOG = {"namespace": "admin.$cmd.aggregate"}
IN_A = {"namespace": "a"}  # of commands that name a collection of this database by UUID
Change = Callable[[MongoClient, int], None]
FOLLOWING: dict[str, tuple[Where, Change]] = {
    "applyOps": (Where("target", ("applyOps",), "applying changes", writes=True), update),
    "insert": (Where("target", ("insert",), "inserting into a.b", writes=True), insert),
    "update": (
        Where("target", ("update",), "applying changes", {"namespace": "a.b"}, writes=True, portable=True),
        update,
    ),
    "delete": (
        Where("target", ("delete",), "applying changes", {"namespace": "a.b"}, writes=True, portable=True),
        delete,
    ),
    "create": (Where("target", ("create",), "creating a.c", writes=True), create),
    "drop": (Where("target", ("drop",), "dropping a.d", writes=True), drop),
    "renameCollection": (Where("target", ("renameCollection",), "renaming a.r", writes=True), rename),
    "collMod": (Where("target", ("collMod",), "modifying a.b", writes=True), modify),
    "dropIndexes": (Where("target", ("dropIndexes",), "of a.b", writes=True), drop_index),
    "commitTransaction": (Where("target", ("commitTransaction",), "saving the job's state", writes=True), create),
    "the lease": (Where("target", ("update",), "", {"namespace": f"{STATE_DATABASE}.lease"}, writes=True), create),
    "a new twin is looked up": (Where("target", ("listCollections",), "create a.c"), create),
    "the stream, opened again": (Where("source", ("getMore", "aggregate"), "change stream"), update),
}


@pytest.fixture
def portable(request) -> bool:
    where = request.getfixturevalue("where") if "where" in request.fixturenames else None
    return bool(where and where.portable)


def follow(pair: Pair, plm: Plm) -> None:
    fill(pair.source.admin, "a", "b", 100)
    plm.run()
    plm.start()
    plm.wait_synced()


def until(given: Callable[[], bool], pair: Pair, plm: Plm, change: Change, numbers: Iterator[int], error: str) -> None:
    """Changes the source and waits for plm until it has met all of the errors."""
    deadline = time.monotonic() + PATIENCE
    while True:
        change(pair.source.admin, next(numbers))
        plm.wait_applied(pair.source.cluster_time(), PATIENCE)
        if given():
            return
        assert time.monotonic() < deadline, f"plm does not send this; {error}"


@pytest.mark.parametrize("where, change", FOLLOWING.values(), ids=FOLLOWING)
def test_passing_errors_while_following(pair, plm, where, change):
    follow(pair, plm)
    numbers = count(1)
    for name, answer in where.answers(PASSING).items():
        with trouble(pair, where, answer) as made:
            until(made.all_given, pair, plm, change, numbers, name)
    assert plm.status()["parked"]["count"] == 0
    assert differences(pair.source, pair.target, synchronising=True) == []
    plm.finish()
    equal(pair)


FAILING = {name: row for name, row in FOLLOWING.items() if name not in ("the lease", "update", "delete")}


@pytest.mark.parametrize("where, change", FAILING.values(), ids=FAILING)
def test_other_errors_while_following_fail_the_job(pair, plm, where, change):
    follow(pair, plm)
    numbers = count(1)
    for answer in FATAL.values():
        with trouble(pair, where, answer, None):
            change(pair.source.admin, next(numbers))
            error = plm.wait_state("failed", PATIENCE)["error"]
        assert where.doing in error and SERVERS_WORDS in error
        plm.resume(fromFailure=True)
        plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["parked"]["count"] == 0
    assert differences(pair.source, pair.target, synchronising=True) == []
    plm.finish()
    equal(pair)


# ---- In the copy -----------------------------------------------------------------------------------------------------
COPYING: dict[str, Where] = {
    "the source's databases": Where("source", ("listDatabases",), "listing the databases"),
    "the source's collections": Where("source", ("listCollections",), "listing the collections"),
    "the source's indexes": Where("source", ("listIndexes",), "listing the indexes"),
    "what the source has stored, and the stream": Where("source", ("aggregate",), "", WHOLE_CATALOG),
    "the start": Where("source", ("appendOplogNote",), "writing a note to the oplog"),
    "the first read of a range": Where("source", ("find",), "copy a.", IN_A),
    "the next read of a range": Where("source", ("getMore",), "copy a.large", {"namespace": "a.large"}),
    "twins": Where("target", ("create",), "creating", writes=True),
    "documents": Where("target", ("insert",), "inserting into a.", writes=True),
    "indexes": Where("target", ("createIndexes",), writes=True),
    "saves": Where("target", ("commitTransaction",), "sav", writes=True),
}


def prepare_copy(client: MongoClient) -> None:
    fill(client, "a", "large", 7000)
    client.a.large.create_index("n")
    fill(client, "a", "small", 100)
    client.a.small.create_index("n")


def until_done(request: Callable[[], Any], plm: Plm, state: str) -> None:
    """Once more as long as it is refused: who asks is told, and nothing is tried again for him."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            request()
            return
        except Refused as refused:
            assert refused.http_status in (409, 503) and time.monotonic() < deadline, refused
            assert plm.status()["state"] == state


def start(plm: Plm, state: str = "idle") -> None:
    until_done(lambda: plm.start(replaceTarget=True, cloneReadBatchSize="500KB"), plm, state)


def forget(plm: Plm) -> None:
    plm.pause()
    plm.reset()


@pytest.mark.parametrize("where", COPYING.values(), ids=COPYING)
def test_passing_errors_in_the_copy(pair, plm, where):
    prepare_copy(pair.source.admin)
    plm.run()
    for name, answer in where.answers(FEW).items():
        with trouble(pair, where, answer) as made:
            start(plm)
            plm.wait_synced()
            assert made.all_given(), f"plm does not send this; {name}"
        assert differences(pair.source, pair.target, synchronising=True) == [], name
        forget(plm)


BEGUN = {name: where for name, where in COPYING.items() if name != "saves"}  # without one no job begins


@pytest.mark.parametrize("where", BEGUN.values(), ids=BEGUN)
def test_other_errors_in_the_copy_are_named(pair, plm, where):
    """An index is one of the warnings, and finalize tries it again; anything else fails the job, which can go on."""
    prepare_copy(pair.source.admin)
    plm.run()
    start(plm)
    forget(plm)
    for name, answer in FATAL.items():
        with trouble(pair, where, answer, None) as made:
            start(plm)
            status = plm.wait_for("an end", lambda status: status["state"] == "failed" or copied(status))
            assert made.all_given(), f"plm does not send this; {name}"
        if status["state"] == "running":
            assert SERVERS_WORDS in str(status["warnings"])
        else:
            assert where.doing in status["error"] and SERVERS_WORDS in status["error"]
            plm.resume(fromFailure=True)
            plm.wait_synced()
        plm.finish()
        assert differences(pair.source, pair.target) == [], name


def copied(status: dict[str, Any]) -> bool:
    return status["initialSync"]["completed"]


# ---- In finalize -----------------------------------------------------------------------------------------------------
FINALIZING: dict[str, Where] = {
    "the source's collections": Where("source", ("listCollections",), "listing the collections"),
    "the source's indexes": Where("source", ("listIndexes",), "listing the indexes"),
    "what the source has stored": Where("source", ("aggregate",), "", WHOLE_CATALOG),
    "the end": Where("source", ("appendOplogNote",), "writing a note to the oplog"),
    "the source's documents": Where("source", ("find",), "", {"namespace": "a.b"}),
    "the target's documents": Where("target", ("find",), "", {"namespace": "a.b"}),
    "the target's collections": Where("target", ("listCollections",)),
    "the target's indexes": Where("target", ("listIndexes",)),
    "options and indexes made real": Where("target", ("collMod",), writes=True),
    "saves": Where("target", ("commitTransaction",), "sav", writes=True),
}


def prepare_finalize(client: MongoClient) -> None:
    fill(client, "a", "b", 300)
    client.a.b.create_index("n")
    client.a.b.create_index("once", unique=True, sparse=True)
    client.a.b.create_index("when", expireAfterSeconds=10**8)
    client.a.b.create_index("hidden", hidden=True)
    client.a.create_collection("ring", capped=True, size=100_000, max=100)
    client.a.ring.insert_many([{"_id": -n} for n in range(50)])
    client.a.create_collection("series", timeseries={"timeField": "t"}, expireAfterSeconds=10**8)
    client.a.create_collection("view", viewOn="b", pipeline=[{"$match": {"n": 1}}])


@pytest.mark.parametrize("where", FINALIZING.values(), ids=FINALIZING)
def test_passing_errors_in_finalize(pair, plm, where):
    prepare_finalize(pair.source.admin)
    plm.run()
    for name, answer in where.answers(FEW).items():
        start(plm, "finalized")
        plm.wait_synced()
        with trouble(pair, where, answer, 1) as made:
            until_done(plm.finalize, plm, "running")
            status = plm.wait_state("finalized")
            assert made.all_given(), f"plm does not send this; {name}"
        assert status["finalization"]["differences"] == [], name
        assert differences(pair.source, pair.target) == [], name


# The request to begin is refused; listings do without what is stored.
NAMED = {name: where for name, where in FINALIZING.items() if name not in ("saves", "what the source has stored")}


@pytest.mark.parametrize("where", NAMED.values(), ids=NAMED)
def test_other_errors_in_finalize_are_named(pair, plm, where):
    """The job fails and goes on when it is told to, or it is finalized with a report of what could not be done."""
    prepare_finalize(pair.source.admin)
    plm.run()
    for name, answer in FATAL.items():
        start(plm, "finalized")
        plm.wait_synced()
        with trouble(pair, where, answer, None) as made:
            plm.finalize()
            status = plm.wait_for("an end", lambda status: status["state"] in ("failed", "finalized"))
            assert made.all_given(), f"plm does not send this; {name}"
        if status["state"] == "finalized":
            report = status["finalization"]
            assert SERVERS_WORDS in str(report["differences"]) + str(report["unsuccessfulIndexes"])
            continue
        assert where.doing in status["error"] and SERVERS_WORDS in status["error"]
        plm.resume(fromFailure=True)
        plm.wait_state("finalized")
        assert differences(pair.source, pair.target) == [], name
