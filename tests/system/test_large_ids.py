"""_ids of megabytes: the server's change stream breaks at their changes (10334), replication must not (H9)."""

from __future__ import annotations

import pytest
from conftest import both_modes
from lab.compare import differences
from lab.load import Writer

MEGABYTE = 1_000_000


def key(megabytes: float, name: str = "") -> str:
    return name + "k" * int(megabytes * MEGABYTE)


def insert_in_a_transaction(client, *documents: dict) -> None:
    with client.start_session() as session:
        session.with_transaction(lambda inner: client.a.b.insert_many(documents, session=inner))


@both_modes
def test_every_kind_of_change(pair, plm):
    client = pair.source.admin
    client.a.b.insert_many([{"_id": key(5, "updated"), "v": 0}, {"_id": key(5, "deleted")}, {"_id": "small"}])
    plm.run()
    plm.start()
    plm.wait_synced()
    with Writer(client, "a", "busy", rate=50):
        for megabytes in (1, 3, 4, 5, 8.3):  # larger ones a server refuses
            client.a.b.insert_one({"_id": key(megabytes), "v": 1})
            client.a.b.insert_one({"_id": f"after {megabytes}"})
        client.a.b.update_one({"_id": key(5, "updated")}, {"$set": {"v": 1}})
        client.a.b.replace_one({"_id": key(4)}, {"replaced": True})
        client.a.b.delete_one({"_id": key(5, "deleted")})
        insert_in_a_transaction(client, {"_id": key(5, "one")}, {"_id": "beside it"})
        filler = {"filler": "x" * 4 * MEGABYTE}
        insert_in_a_transaction(client, {"_id": key(5, "of several oplog entries")}, filler, dict(filler))
        plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_large_document_under_a_key_that_is_not_small(pair, plm):
    """16 MB of document fill an event up to the last byte."""
    client = pair.source.admin
    plm.run()
    plm.start()
    plm.wait_synced()
    client.a.b.insert_one({"_id": "k" * 20_000, "filler": "x" * (16 * 1024 * 1024 - 30_000)})
    client.a.b.insert_one({"_id": "behind"})
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_kill_while_such_changes_are_replicated(pair, plm):
    client = pair.source.admin
    client.a.b.insert_one({"_id": 0})
    plm.run()
    plm.start()
    plm.wait_synced()
    for turn in range(4):
        client.a.b.insert_one({"_id": key(5, f"{turn} ")})
        client.a.b.insert_one({"_id": turn + 1})
        client.a.c.insert_one({"_id": turn})
        if turn % 2:
            plm.wait_applied(pair.source.cluster_time())
        plm.kill9()
        client.a.b.update_one({"_id": key(5, f"{turn} ")}, {"$set": {"while": "away"}})
        plm.run()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("rename", ["b", "renamed"])
def test_collections_change_meanwhile(pair, plm, rename):
    client = pair.source.admin
    client.a.b.insert_one({"_id": 0})
    plm.run()
    plm.start()
    plm.wait_synced()
    client.a.b.insert_one({"_id": key(5)})
    client.a.dropped.insert_one({"_id": key(5)})
    client.a.dropped.drop()
    client.a.created.insert_one({"_id": key(6)})
    if rename != "b":
        client.a.b.rename(rename)
    client.a[rename].create_index("v")
    client.a[rename].update_one({"_id": key(5)}, {"$set": {"v": 1}})
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []
