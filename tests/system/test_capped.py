"""Capped collections: the order of insertions is part of the data, and nothing but the source's own events removes."""

from __future__ import annotations

import threading

import pytest
from conftest import SMALL_STEPS, both_modes, copying, slow_command
from lab.compare import differences
from lab.load import Writer, fill

CAPPED = {"capped": True, "size": 1 << 22}


class CappedWriter(Writer):
    """Also deletes and inserts the same _id again, which then is the newest. Transactions are refused here."""

    def _transaction(self) -> None:
        key = self._id()
        self.collection.delete_one({"_id": key})
        self.collection.insert_one(self._document(key))


def options(server, collection: str) -> dict:
    return next(server.admin.a.list_collections(filter={"name": collection}))["options"]


def order(server, collection: str) -> list:
    return [document["_id"] for document in server.admin.a[collection].find({}, {"_id": 1}, sort=[("$natural", 1)])]


@both_modes
def test_the_order_of_what_is_written_during_the_copy(pair, plm):
    """It rolls over several times, is updated (sizes change), and the same keys come again."""
    client = pair.source.admin
    client.a.create_collection("log", **CAPPED, max=12_000)
    fill(client, "a", "log", 12_000)
    plm.run()
    with CappedWriter(client, "a", "log", rate=300) as writer:
        with slow_command(pair.target, "insert", 100):
            plm.start(**SMALL_STEPS)
            plm.wait_for("the middle of the copy", copying)
        plm.wait_synced()
        written = sum(writer.writes.values())
        while sum(writer.writes.values()) < written + 300:
            plm.status()
    assert options(pair.target, "log")["size"] > options(pair.source, "log")["size"]
    assert plm.finish()["finalization"]["differences"] == []
    assert differences(pair.source, pair.target) == []


@both_modes
def test_kill_in_the_middle_keeps_the_order(pair, plm):
    """During the copy and behind it: what is told again moves nothing to a wrong place."""
    client = pair.source.admin
    client.a.create_collection("log", **CAPPED, max=12_000)
    fill(client, "a", "log", 12_000)
    plm.run()
    with CappedWriter(client, "a", "log", rate=200):
        with slow_command(pair.target, "insert", 100):
            plm.start(**SMALL_STEPS)
            plm.wait_for("the middle of the copy", copying)
            plm.kill9()
            plm.run()
        plm.wait_synced()
        for _ in range(3):
            plm.wait_applied(pair.source.cluster_time())
            plm.kill9()
            plm.run()
            plm.wait_applied(pair.source.cluster_time())
    assert plm.finish()["finalization"]["differences"] == []
    assert differences(pair.source, pair.target) == []


def test_a_collection_smaller_than_its_rate_of_writes(pair, plm):
    """Every read of the copy finds it rolled over."""
    client = pair.source.admin
    client.a.create_collection("hot", capped=True, size=4096, max=5)
    plm.run()
    with CappedWriter(client, "a", "hot", rate=1000):
        plm.start()
        plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("max_documents", [None, 7], ids=["size", "size_and_max"])
def test_size_and_maximum_are_exact_in_the_end(pair, plm, max_documents):
    client = pair.source.admin
    limits = {} if max_documents is None else {"max": max_documents}
    client.a.create_collection("log", capped=True, size=5000, **limits)  # becomes 5120
    client.a.create_collection("modified", capped=True, size=100_000)
    client.a.log.insert_many([{"_id": n} for n in range(20)])
    client.a.modified.insert_many([{"_id": n} for n in range(50)])
    plm.run()
    plm.start()
    plm.wait_synced()
    client.a.command("collMod", "modified", cappedSize=50_000, cappedMax=11)
    assert len(order(pair.source, "modified")) == 50  # until the next insertion
    client.a.modified.insert_one({"_id": "next"})
    client.a.log.insert_one({"_id": "next"})
    plm.finish()
    assert options(pair.target, "log") == options(pair.source, "log")
    assert options(pair.target, "modified") == {"capped": True, "size": 50_176, "max": 11}
    assert differences(pair.source, pair.target) == []
    for server in pair:  # both push out the same from here on
        server.admin.a.log.insert_many([{"_id": f"after {n}", "filler": "x" * 500} for n in range(8)])
    assert order(pair.source, "log") == order(pair.target, "log")


@both_modes
def test_collections_that_become_capped_while_they_are_written(pair, plm):
    """convertToCapped and cloneCollectionAsCapped write their documents without events."""
    client = pair.source.admin
    for name in ("early", "late"):
        fill(client, "a", name, 10_000)
    fill(client, "a", "cloned", 2000)
    plm.run()
    with Writer(client, "a", "cloned", rate=50), slow_command(pair.target, "insert", 50):
        plm.start(**SMALL_STEPS)
        plm.wait_for("the middle of the copy", copying)
        client.a.command("convertToCapped", "early", size=1 << 22)
        client.a.early.insert_many([{"_id": f"new {n}"} for n in range(10)])
        plm.wait_synced()
        client.a.command("convertToCapped", "late", size=500_000)  # not all of it fits
        client.a.late.insert_many([{"_id": f"new {n}"} for n in range(10)])
        client.a.command("cloneCollectionAsCapped", "cloned", toCollection="clone", size=1 << 20)
        client.a.clone.insert_one({"_id": "newest"})
        client.a.late.rename("renamed")
        client.admin.command("renameCollection", "a.clone", to="b.clone")
    plm.wait_synced()
    plm.finish()
    assert options(pair.target, "renamed")["capped"] is True
    assert differences(pair.source, pair.target) == []


def test_a_clone_is_copied_only_when_it_is_full(pair, plm):
    """Its creation is in the stream while its documents are still being written, and readers see a part of them."""
    client = pair.source.admin
    fill(client, "a", "large", 80_000, size=100)
    plm.run()
    plm.start()
    plm.wait_synced()
    cloning = threading.Thread(
        target=lambda: client.a.command("cloneCollectionAsCapped", "large", toCollection="clone", size=1 << 26)
    )
    cloning.start()
    plm.wait_for("the creation of the clone", lambda status: "a.clone" in plm.log())
    assert cloning.is_alive()
    cloning.join()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_what_somebody_moved_on_the_target_is_reported(pair, plm):
    client, target = pair.source.admin, pair.target.admin
    client.a.create_collection("log", **CAPPED)
    client.a.log.insert_many([{"_id": n} for n in range(5)])
    plm.run()
    plm.start()
    plm.wait_synced()
    target.a.log.delete_one({"_id": 2})
    target.a.log.insert_one({"_id": 2})
    found = plm.finish()["finalization"]["differences"]
    assert len(found) == 1 and "a.log" in found[0] and "natural order" in found[0], found
