"""Writes that a primary had alone, and lost: those of the source never come to the target; those of the target are made
again. The secondaries do not hear of them, elect one of theirs, and the old primary rolls back when it returns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bson import Timestamp
from conftest import SMALL_STEPS, both_modes, copying, slow_command, wait_until
from lab.compare import differences
from lab.daemon import Plm, replicated_time
from lab.load import fill
from lab.servers import MemberSet, Pair, ReplicaSet, uri
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern
from test_elections import freeze, kill, plm, sets, wait_until_it_acknowledges  # noqa: F401 - two are fixtures

DEAF = "stopReplProducer"  # a secondary does not fetch what the primary writes
KEPT = 300  # documents

both_ways = pytest.mark.parametrize("leave", [kill, freeze])


class Alone:
    """The primary of a set whose secondaries do not hear what it writes, from here until `replace`."""

    def __init__(self, side: MemberSet) -> None:
        self.side = side
        self.member, self.election = side.wait_primary()
        side.wait_complete()
        self._others = [member for member in side.members if member is not self.member]
        for other in self._others:
            admin = side.direct(other, milliseconds=20_000).admin
            before = admin.command({"configureFailPoint": DEAF, "mode": "alwaysOn"})["count"]
            admin.command("waitForFailPoint", DEAF, timesEntered=before + 1, maxTimeMS=15_000)
        self.client = side.direct(self.member, milliseconds=10_000)

    def replace(self, leave: Callable[[MemberSet, ReplicaSet], None]) -> None:
        """The others elect a new primary, which knows nothing of what this one has."""
        leave(self.side, self.member)
        self.hear()
        self.side.wait_primary(unlike=self.election)
        wait_until_it_acknowledges(self.side)

    def come_back(self) -> None:
        """It rolls back what nobody else has, and keeps a copy in files."""
        if self.member.process is None:
            self.member.start()
        self.member.thaw()
        wait_until(lambda: self.rolled_back() and self._is_secondary(), 60)
        self.side.wait_complete()

    def rolled_back(self) -> bool:
        """Whether there are files with documents that were lost."""
        return any((self.member.folder / "data/rollback").glob("*/*"))

    def _is_secondary(self) -> bool:
        """Asked by a client that knows nothing: while it rolls back, the member cannot check the cluster times of
        others, and may never learn to when it is asked to again and again."""
        with contextlib.suppress(PyMongoError):
            address = uri(self.member.port, None, None, directConnection="true", serverSelectionTimeoutMS=1000)
            with MongoClient(address) as client:
                return client.admin.command("hello")["secondary"]
        return False

    def hear(self) -> None:
        for other in self._others:
            self.side.direct(other).admin.command("configureFailPoint", DEAF, mode="off")


@contextmanager
def alone(side: MemberSet) -> Iterator[Alone]:
    primary = Alone(side)
    try:
        yield primary
    finally:
        with contextlib.suppress(PyMongoError):
            primary.hear()


def never_seen(sets: Pair) -> bool:
    """Nothing of what the source lost is on the target."""
    a = sets.target.admin.a
    lost = [a.b.find_one({"_id": "lost"}), a.b.find_one({"lost": True}), *a.lost.find()]
    return not any(lost) and a.b.find_one({"_id": 1}) is not None


def write_what_will_be_lost(primary: Alone) -> None:
    """In its journal, so that a kill does not forget it."""
    a = primary.client.a
    b = a.get_collection("b", write_concern=WriteConcern(1, j=True))
    b.insert_one({"_id": "lost"})
    b.update_many({"_id": {"$in": [2, 3]}}, {"$set": {"lost": True}})
    b.delete_one({"_id": 1})
    a.get_collection("lost", write_concern=WriteConcern(1, j=True)).insert_one({"_id": 1})


def finished_equal(sets: Pair, plm: Plm) -> None:
    plm.wait_synced()
    plm.wait_applied(sets.source.cluster_time())
    plm.finish()
    assert differences(sets.source, sets.target) == []


# -- the source --------------------------------------------------------------------------------------------------------
@both_ways
def test_what_the_source_loses_while_plm_follows_never_arrives(sets, plm, leave):
    fill(sets.source.admin, "a", "b", KEPT)
    plm.run()
    plm.start()
    plm.wait_synced()
    position = replicated_time(plm.wait_applied(sets.source.cluster_time()))
    with alone(sets.source) as primary:
        write_what_will_be_lost(primary)
        assert primary.client.a.b.find_one({"_id": "lost"}), "there is nothing to be lost"
        lost_at: Timestamp = primary.client.admin.command("hello")["lastWrite"]["opTime"]["ts"]
        assert lost_at > position
        assert never_seen(sets) and replicated_time(plm.status()) < lost_at
        primary.replace(leave)
        sets.source.admin.a.b.insert_one({"_id": "kept"})
        sets.source.admin.a.b.update_one({"_id": 2}, {"$set": {"kept": True}})
        plm.wait_applied(sets.source.cluster_time())
        assert never_seen(sets)
        primary.come_back()
    sets.source.admin.a.b.insert_one({"_id": "after"})
    plm.wait_applied(sets.source.cluster_time())
    assert never_seen(sets)
    finished_equal(sets, plm)


@both_ways
def test_what_the_source_loses_while_it_is_copied_never_arrives(sets, plm, leave):
    """Some of it in documents that are copied while the primary is alone."""
    fill(sets.source.admin, "a", "b", 30_000)
    plm.run()
    with slow_command(sets.target, "insert", 400):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", copying)
        with alone(sets.source) as primary:
            write_what_will_be_lost(primary)
            lossy = primary.client.a.get_collection("b", write_concern=WriteConcern(1, j=True))
            lossy.update_many({}, {"$set": {"lost": True}})
            copied = plm.status()["initialSync"]["clonedSizeBytes"]
            plm.wait_for("more of it", lambda status: status["initialSync"]["clonedSizeBytes"] > copied + 400_000)
            assert not plm.status()["initialSync"]["cloneCompleted"]
            primary.replace(leave)
            primary.come_back()
    plm.wait_synced()
    assert never_seen(sets)
    finished_equal(sets, plm)


# -- the target --------------------------------------------------------------------------------------------------------
def follow(sets: Pair, plm: Plm) -> None:
    """All appliers have written at the same time, each in the name of a writer of its own: to begin with, a writer
    needs a majority (src/mongo/writers.h)."""
    plm.run()
    plm.start()
    plm.wait_synced()
    command = "applyOps" if plm.status()["mode"] == "exact" else "update"
    with slow_command(sets.target, command, 500):
        sets.source.admin.a.b.update_many({}, {"$set": {"followed": True}})
        plm.wait_applied(sets.source.cluster_time())


def changed(primary: Alone) -> Callable[[], bool]:
    """Whether this member's a.b is another one than now, whoever else has the change. Which of plm's commands comes
    first, and so waits for the majority that is missing, is not said."""

    def content() -> str:
        return primary.client.a.command("dbHash", collections=["b"])["md5"]

    before = content()

    def looked() -> bool:
        with contextlib.suppress(PyMongoError):
            return content() != before
        return False

    return looked


@both_modes
@both_ways
def test_what_the_target_loses_while_plm_follows_is_applied_again(sets, plm, leave, portable):
    source = sets.source.admin.a
    fill(sets.source.admin, "a", "b", KEPT)
    follow(sets, plm)
    with alone(sets.target) as primary:
        arrived = changed(primary)
        source.b.insert_many([{"_id": f"new {n}"} for n in range(20)])
        source.b.update_many({"_id": {"$lt": 20}}, {"$inc": {"n": 1}})
        source.b.replace_one({"_id": 30}, {"replaced": True})
        source.b.delete_many({"_id": {"$gte": 40, "$lt": 60}})
        written = sets.source.cluster_time()
        wait_until(arrived, 30)
        assert replicated_time(plm.status()) < written, "what a majority does not have counts as applied"
        primary.replace(leave)
        plm.wait_applied(written)
        assert sets.target.admin.a.b.count_documents({}) == source.b.count_documents({})
        primary.come_back()
    finished_equal(sets, plm)


@both_ways
def test_what_the_target_loses_of_a_change_of_structure_is_made_again(sets, plm, leave):
    source = sets.source.admin.a
    fill(sets.source.admin, "a", "b", KEPT)
    fill(sets.source.admin, "a", "gone", 20)
    fill(sets.source.admin, "a", "old", 20)
    follow(sets, plm)
    with alone(sets.target) as primary:
        arrived = changed(primary)
        source.b.insert_one({"_id": "before"})
        source.gone.drop()
        source.old.rename("new")
        source.fresh.insert_one({"_id": 1})
        source.b.create_index("n")
        source.b.insert_one({"_id": "behind"})
        written = sets.source.cluster_time()
        wait_until(arrived, 30)
        assert replicated_time(plm.status()) < written
        primary.replace(leave)
        plm.wait_applied(written)
        primary.come_back()
    finished_equal(sets, plm)
