"""Transactions that make collections, that end otherwise than they began, and that span a step of the job. What they
write is tested in test_documents.py, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import both_modes, middle_of_the_copy, slow_command
from lab.compare import differences
from lab.load import fill, insert_20_mb


@contextmanager
def transaction(client) -> Iterator[Any]:
    """One that its user ends."""
    with client.start_session() as session:
        session.start_transaction()
        yield session


def write(client, session, name: str) -> None:
    """In several ranges of two collections."""
    client.t.a.update_many({"n": {"$mod": [50, 7]}}, {"$set": {"by": name}}, session=session)
    client.t.a.delete_many({"n": {"$mod": [200, 11]}}, session=session)
    client.t.b.insert_many([{"_id": f"{name} {n}"} for n in range(20)], session=session)
    client.t.b.update_one({"_id": f"{name} 3"}, {"$set": {"again": True}}, session=session)


def make_collections(client, session, name: str) -> None:
    db = client.t
    db[f"{name} implied"].insert_one({"_id": 1}, session=session)
    db.create_collection(f"{name} empty", session=session, check_exists=False)
    options = {"validator": {"n": 1}, "collation": {"locale": "de"}}
    db.create_collection(f"{name} with options", session=session, check_exists=False, **options)
    indexes = [{"key": {"n": 1}, "name": "n", "unique": True}, {"key": {"m": -1}, "name": "m"}]
    db.command({"createIndexes": f"{name} indexed", "indexes": indexes}, session=session)
    db[f"{name} indexed"].insert_many([{"_id": n, "n": n} for n in range(20)], session=session)
    db[f"{name} indexed"].update_one({"_id": 3}, {"$set": {"m": [1, 2]}}, session=session)


@both_modes
@pytest.mark.parametrize("stage", ["copying", "following"])
def test_collections_that_are_made_in_a_transaction(pair, plm, stage):
    """With their indexes; not those of one that is aborted, though it takes the same names later."""
    client = pair.source.admin
    fill(client, "t", "a", 2000)

    def act() -> None:
        with transaction(client) as session:
            make_collections(client, session, "made")
            session.abort_transaction()
        with transaction(client) as session:
            make_collections(client, session, "made")
            write(client, session, "made")
            session.commit_transaction()
        client.t["made indexed"].insert_one({"_id": "behind it", "n": 100})
        client.t["made implied"].rename("renamed")
        with transaction(client) as session:
            make_collections(client, session, "never")
            session.abort_transaction()

    client.t.b.insert_one({"_id": 1})
    with middle_of_the_copy(pair, plm, 150):
        if stage == "copying":
            act()
    if stage == "following":
        act()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    names = set(pair.target.admin.t.list_collection_names())
    assert names == {"a", "b", "renamed", "made empty", "made with options", "made indexed"}
    assert differences(pair.source, pair.target) == []


@both_modes
@pytest.mark.parametrize("end", ["committed", "aborted"])
def test_a_transaction_that_began_before_the_start_ends_while_its_collections_are_copied(pair, plm, end):
    client = pair.source.admin
    fill(client, "t", "a", 4000)
    fill(client, "t", "b", 50)
    with transaction(client) as session:
        write(client, session, "early")
        with middle_of_the_copy(pair, plm, 150):
            client.t.a.update_many({"n": {"$mod": [50, 8]}}, {"$set": {"by": "another"}})
            client.t.a.insert_one({"_id": "late", "n": 7}, session=session)
            session.commit_transaction() if end == "committed" else session.abort_transaction()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert pair.target.admin.t.a.count_documents({"by": "early"}) == (80 if end == "committed" else 0)
    assert differences(pair.source, pair.target) == []


@both_modes
def test_a_transaction_that_is_committed_behind_finalize_is_not_on_the_target(pair, plm):
    """It does not hold up finalize, and nothing of it arrives; the report calls nothing different."""
    client = pair.source.admin
    fill(client, "t", "a", 500)
    fill(client, "t", "b", 50)
    plm.run()
    plm.start()
    plm.wait_synced()
    with transaction(client) as session:
        write(client, session, "late")
        client.t.b.insert_one({"_id": "outside of it"})
        report = plm.finish()["finalization"]
        assert report["differences"] == [] and report["unsuccessfulIndexes"] == []
        assert client.t.b.count_documents({"_id": {"$regex": "^late"}}) == 0
        assert differences(pair.source, pair.target) == []
        session.commit_transaction()
    assert client.t.b.count_documents({"_id": {"$regex": "^late"}}) == 20
    assert pair.target.admin.t.b.count_documents({}) == 51
    assert pair.target.admin.t.a.count_documents({}) == 500


def test_a_transaction_that_is_committed_while_finalize_runs_arrives_whole_or_not_at_all(pair, plm):
    client, target = pair.source.admin, pair.target.admin
    fill(client, "t", "a", 1000)
    for name in "bcd":
        client.t[name].create_index("n", unique=True, sparse=True)
    plm.run()
    plm.start()
    plm.wait_synced()
    with transaction(client) as session, slow_command(pair.target, "collMod", 300):
        write(client, session, "meanwhile")
        plm.finalize()
        session.commit_transaction()
    plm.wait_state("finalized")
    assert plm.status()["finalization"]["unsuccessfulIndexes"] == []
    inserted = target.t.b.count_documents({})
    assert inserted in (0, 20)
    assert target.t.a.count_documents({"by": "meanwhile"}) == inserted
    assert target.t.b.count_documents({"again": True}) == inserted / 20


@both_modes
def test_a_transaction_of_several_oplog_entries_that_is_aborted(pair, plm):
    """Nothing of it arrives, and what its documents are called is free for others."""
    client = pair.source.admin
    client.t.create_collection("large")
    plm.run()
    plm.start()
    plm.wait_synced()
    with transaction(client) as session:
        insert_20_mb(client, session)
        session.abort_transaction()
    client.t.large.insert_one({"_id": 5, "of": "another"})
    plm.wait_applied(pair.source.cluster_time())
    assert list(pair.target.admin.t.large.find()) == [{"_id": 5, "of": "another"}]
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_a_transaction_of_several_oplog_entries_while_its_collection_is_copied(pair, plm, killed):
    """All its entries have one time, and stand in ranges of every state."""
    client = pair.source.admin
    client.t.large.insert_many([{"_id": n + 0.5, "filler": "y" * 1000} for n in range(4000)])
    with middle_of_the_copy(pair, plm, 150):
        with transaction(client) as session:
            insert_20_mb(client, session)
            client.t.large.delete_many({"_id": {"$lt": 4000, "$mod": [100, 0]}}, session=session)
            client.t.large.update_many({"_id": {"$gt": 3900}}, {"$set": {"filler": "z"}}, session=session)
            session.commit_transaction()
        if killed:
            plm.kill9()
            plm.run()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []
