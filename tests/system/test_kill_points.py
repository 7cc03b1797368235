"""kill -9 at named points: while a command that plm sent is held back by the server, which then carries it out all the same.

Each save of state is a transaction, so the points at its commit are those between any two writes of state; what is killed
there has written its data, but not what it knows of it, and the commit lands when the next process is at work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import requests
from bson import Timestamp
from conftest import CLIENT, SMALL_STEPS, lose_views
from lab.compare import differences
from lab.daemon import Plm, Refused, Status, replicated_time
from lab.load import fill
from lab.servers import ADMIN, Pair, ReplicaSet
from pymongo import MongoClient

HELD_MS = 1500
PATIENCE = 60.0

# What plm is about to do, by the how-manieth command of a sort it is (from 0).
POINTS = {
    "the start is saved": ("target", "commitTransaction", 0),
    "the listing is saved": ("target", "commitTransaction", 1),
    "the first twins are saved": ("target", "commitTransaction", 2),
    "the first ranges are saved": ("target", "commitTransaction", 3),
    **{f"save number {number} is committed": ("target", "commitTransaction", number) for number in range(4, 11)},
    "the start is fixed": ("source", "appendOplogNote", 0),
    "the source is listed": ("source", "listCollections", 1),
    "the stream is opened": ("source", "aggregate", 6),
    "the first range is read": ("source", "find", 0),
    "the first twin is created": ("target", "create", 1),
    "a later twin is created": ("target", "create", 3),
    "the first documents are inserted": ("target", "insert", 2),
    "the middle of a copy": ("target", "insert", 8),
    "a copied collection gets its name": ("target", "renameCollection", 0),
    "a collection is renamed as on the source": ("target", "renameCollection", 1),
    "a collection is dropped": ("target", "drop", 1),
    "an index is built": ("target", "createIndexes", 1),
    "an option is changed": ("target", "collMod", 0),
    "changes are applied": ("target", "applyOps", 3),
    "indexes are made real": ("target", "collMod", 2),
}


class Killed:
    """plm is killed when a command of it is held back, and started again."""

    def __init__(self, plm: Plm, server: ReplicaSet, command: str, before: int) -> None:
        self.happened = False
        self._plm, self._server = plm, server
        held = {"failCommands": [command], "blockConnection": True, "blockTimeMS": HELD_MS, "appName": CLIENT["appName"]}
        reply = server.admin.admin.command("configureFailPoint", "failCommand", mode={"skip": before}, data=held)
        self._entered = reply["count"]
        self._thread = Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        with MongoClient(self._server.uri(ADMIN)) as client:
            client.admin.command("waitForFailPoint", "failCommand", timesEntered=self._entered + 1, maxTimeMS=90_000)
        self._plm.kill9()
        self._server.fail_point("failCommand", "off")
        self.happened = True
        self._plm.run(standby=True)

    def done(self) -> None:
        self._thread.join(PATIENCE)
        assert self.happened, "this point was not reached"


def until(plm: Plm, what: str, holds: Callable[[Status], bool]) -> None:
    """Also while plm is being started again."""
    deadline, status = time.monotonic() + PATIENCE, {}
    while time.monotonic() < deadline:
        try:
            status = plm.status()
            assert status["state"] != "failed", status["error"]
            if holds(status):
                return
        except requests.RequestException:
            pass
        time.sleep(0.02)
    raise AssertionError(f"not {what}: {status}\n{plm.log()[-3000:]}")


def request(plm: Plm, name: str, done: set[str], **options: Any) -> None:
    """Once more when nobody knows whether the first one was heard."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if plm.status()["state"] in done:
                return
            getattr(plm, name)(**options)
            return
        except (requests.RequestException, Refused):
            time.sleep(0.1)
    raise AssertionError(f"{name} was not answered:\n{plm.log()[-3000:]}")


def prepare(client: MongoClient) -> None:
    fill(client, "shop", "orders", 4000)
    client.shop.orders.create_index("n", unique=True, sparse=True)
    fill(client, "shop", "people", 300)
    client.shop.people.create_index("n", hidden=True)
    fill(client, "shop", "gone", 50)
    client.shop.create_collection("ring", capped=True, size=100_000)
    client.shop.ring.insert_many([{"_id": n} for n in range(20)])


def change(client: MongoClient) -> Timestamp:
    shop = client.shop
    shop.orders.rename("sales")
    shop.people.update_many({}, {"$set": {"seen": True}})
    shop.gone.drop()
    shop.create_collection("gone", validator={"x": {"$exists": True}})
    shop.gone.insert_one({"_id": 1, "x": 1})
    shop.command("collMod", "gone", validationLevel="off")
    shop.sales.create_index("name")
    shop.sales.delete_many({"_id": {"$lt": 100}})
    shop.ring.insert_many([{"_id": n} for n in range(20, 30)])
    with client.start_session() as session, session.start_transaction():
        shop.gone.insert_one({"_id": 2}, session=session)
        shop.people.insert_one({"_id": "new"}, session=session)
    return client.admin.command("appendOplogNote", data={"note": "test"})["operationTime"]


@pytest.mark.parametrize("side, command, before", POINTS.values(), ids=POINTS)
def test_killed_where(pair: Pair, plm: Plm, side: str, command: str, before: int):
    client = pair.source.admin
    prepare(client)
    plm.run()
    killed = Killed(plm, getattr(pair, side), command, before)
    request(plm, "start", {"running"}, **SMALL_STEPS)
    until(plm, "synced", lambda status: status["initialSync"]["completed"])
    mark = change(client)
    until(plm, "applied", lambda status: replicated_time(status) >= mark)
    request(plm, "finalize", {"finalizing", "finalized"})
    until(plm, "finalized", lambda status: status["state"] == "finalized")
    killed.done()
    assert differences(pair.source, pair.target) == []
    assert plm.status()["finalization"]["unsuccessfulIndexes"] == []


def test_killed_while_a_collection_takes_the_name_of_a_view(pair: Pair, plm: Plm):
    """The view was dropped without an event. The next process must not take the collection for it."""
    client = pair.source.admin
    client.lossy.a.insert_one({"_id": 1})
    client.lossy.create_collection("w", viewOn="a", pipeline=[])
    plm.run()
    plm.start()
    plm.wait_synced()
    lose_views(pair.source, "lossy")
    client.lossy.early.insert_many([{"_id": n} for n in range(10)])
    plm.wait_applied(pair.source.cluster_time())
    killed = Killed(plm, pair.target, "renameCollection", 0)
    client.lossy.early.rename("w")
    killed.done()
    until(plm, "at work", lambda status: status["state"] == "running")
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_killed_while_views_are_ahead_of_what_is_saved(pair: Pair, plm: Plm):
    """One of a later time does not go together with one of an earlier time, which the next process begins with."""
    client = pair.source.admin
    client.views.a.insert_one({"_id": 1})
    client.views.create_collection("earlier", viewOn="a", pipeline=[], collation={"locale": "fr"})
    plm.run()
    plm.start()
    plm.wait_synced()
    no_saves = {"failCommands": ["commitTransaction"], "closeConnection": True, "appName": CLIENT["appName"]}
    pair.target.fail_point("failCommand", "alwaysOn", **no_saves)
    client.views.drop_collection("earlier")
    client.views.create_collection("later", viewOn="earlier", pipeline=[])
    deadline = time.monotonic() + PATIENCE
    while "later" not in pair.target.admin.views.list_collection_names():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    plm.kill9()
    pair.target.fail_point("failCommand", "off")
    plm.run(standby=True)
    until(plm, "at work", lambda status: status["state"] == "running")
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []
