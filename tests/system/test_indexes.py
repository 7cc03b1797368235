"""Every kind of index: plain while synchronising, real after finalize, whether it was copied or came later.

One job replicates a collection for each kind; the tests look at what arrived at each stage.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bson
import pytest
from bson.son import SON
from conftest import SMALL_STEPS, both_modes, slow_command
from lab.compare import NEVER_EXPIRES, differences, indexes, plain_index

KINDS: dict[str, tuple[list[tuple[str, Any]], dict[str, Any]]] = {
    "plain": ([("n", 1)], {}),
    "descending": ([("n", -1)], {}),
    "compound": ([("n", 1), ("s", -1), ("sub.x", 1)], {}),
    "multikey": ([("tags", 1)], {}),
    "text": ([("s", "text")], {}),
    "text_weighted": (
        [("n", 1), ("s", "text"), ("t", "text")],
        {"weights": {"s": 5, "t": 2}, "default_language": "german", "language_override": "lang"},
    ),
    "text_wildcard": ([("$**", "text")], {}),
    "2dsphere": ([("geo", "2dsphere")], {}),
    "2dsphere_version_2": ([("geo", "2dsphere")], {"2dsphereIndexVersion": 2}),
    "2d": ([("flat", "2d")], {"bits": 20, "min": -500.0, "max": 500.0}),
    "hashed": ([("n", "hashed")], {}),
    "hashed_compound": ([("s", 1), ("n", "hashed")], {}),
    "wildcard": ([("$**", 1)], {}),
    "wildcard_projection": ([("$**", 1)], {"wildcardProjection": {"sub": 1, "tags": 1}}),
    "wildcard_path": ([("sub.$**", 1)], {}),
    "sparse": ([("rare", 1)], {"sparse": True}),
    "partial": ([("n", 1)], {"partialFilterExpression": {"n": {"$gt": 10}}}),
    "ttl": ([("when", 1)], {"expireAfterSeconds": 3600}),
    "ttl_partial": ([("when", 1)], {"expireAfterSeconds": 7200, "partialFilterExpression": {"n": {"$gt": 1}}}),
    "unique": ([("n", 1)], {"unique": True}),
    "unique_sparse": ([("rare", 1)], {"unique": True, "sparse": True}),
    "unique_partial": ([("n", 1)], {"unique": True, "partialFilterExpression": {"n": {"$gt": 1}}}),
    "hidden": ([("n", 1)], {"hidden": True}),
    "hidden_ttl": ([("when", 1)], {"hidden": True, "expireAfterSeconds": 3600}),
    "prepare_unique": ([("n", 1)], {"prepareUnique": True}),
    "collation": ([("s", 1)], {"collation": {"locale": "de", "strength": 2, "numericOrdering": True}}),
    "long_name": ([("n", 1)], {"name": "n" * 200}),
    "storage": ([("n", 1)], {"storageEngine": {"wiredTiger": {"configString": "prefix_compression=false"}}}),
    "dollar_and_dots": ([("a.b.c", 1), ("a.b.d", 1)], {}),
}


def document(number: int) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "_id": number,
        "n": number,
        "s": f"text number {number}",
        "t": "noch mehr Text",
        "sub": {"x": number % 5},
        "tags": [number, str(number)],
        "geo": {"type": "Point", "coordinates": [number % 180, number % 90]},
        "flat": [number % 400, number % 300],
        "when": now,
        **({"rare": number} if number % 3 == 0 else {}),
        "a": {"b": {"c": number, "d": [1, 2]}},
    }


def create_index(database, collection: str, kind: str) -> None:
    keys, options = KINDS[kind]
    spec = {"name": kind, **options, "key": SON(keys)}
    database.command("createIndexes", collection, indexes=[spec])


@dataclass
class Stages:
    """The indexes of the source and of the target by collection, at each stage."""

    source: dict[str, dict[str, bytes]]
    synchronising: dict[str, dict[str, bytes]]
    finalized: dict[str, dict[str, bytes]]
    report: list[dict[str, Any]]


def names_of(kind: str) -> list[str]:
    return [f"copied_{kind}", f"followed_{kind}"]


@pytest.fixture(scope="module", params=[False, True], ids=["exact", "portable"])
def stages(servers, module_plm, request) -> Stages:
    """copied_KIND has its index from the beginning, followed_KIND gets it while changes are followed."""
    plm = module_plm(portable=request.param)
    source, target = servers.source.admin.kinds, servers.target.admin
    for kind in KINDS:
        for name in names_of(kind):
            source[name].insert_many([document(n) for n in range(30)])
        create_index(source, f"copied_{kind}", kind)
    plm.run()
    plm.start()
    plm.wait_synced(120)
    for kind in KINDS:
        create_index(source, f"followed_{kind}", kind)
    plm.wait_applied(servers.source.cluster_time())
    collections = [name for kind in KINDS for name in names_of(kind)]

    def look(client) -> dict[str, dict[str, bytes]]:
        return {name: indexes(client, "kinds", name) for name in collections}

    def all_built(status) -> bool:
        return status["initialSync"]["indexes"]["built"] >= status["initialSync"]["indexes"]["total"]

    plm.wait_for("indexes", all_built)
    wanted = look(servers.source.admin)
    synchronising = look(target)
    report = plm.finish(120)["finalization"]["unsuccessfulIndexes"]
    plm.stop()  # other tests work on this target before the module ends
    return Stages(wanted, synchronising, look(target), report)


@pytest.mark.parametrize("kind", KINDS)
def test_while_synchronising_an_index_is_plain(stages, kind):
    for name in names_of(kind):
        wanted = {key: plain_index(bson.decode(spec)) for key, spec in stages.source[name].items()}
        assert {key: bson.decode(spec) for key, spec in stages.synchronising[name].items()} == wanted
        assert len(wanted) == 2  # with _id


@pytest.mark.parametrize("kind", KINDS)
def test_after_finalize_an_index_is_as_on_the_source(stages, kind):
    for name in names_of(kind):
        assert stages.finalized[name] == stages.source[name], (stages.finalized[name], stages.source[name])


def test_no_index_was_reported(stages):
    assert stages.report == []


# -- what happens to indexes -------------------------------------------------------------------------------------------
def follow(pair, plm, change: Callable[[Any], Any], *, before: Callable[[Any], Any] = lambda _: None) -> None:
    """Prepares, synchronises, changes the source, waits."""
    pair.source.admin.a.b.insert_many([{"_id": n, "n": n, "m": n} for n in range(100)])
    before(pair.source.admin.a.b)
    plm.run()
    plm.start()
    plm.wait_synced()
    change(pair.source.admin.a.b)
    plm.wait_applied(pair.source.cluster_time())


def same_indexes(pair) -> None:
    assert indexes(pair.source.admin, "a", "b") == indexes(pair.target.admin, "a", "b")


def test_a_dropped_index_does_not_come_back(pair, plm):
    follow(pair, plm, lambda b: b.drop_index("n_1"), before=lambda b: (b.create_index("n", unique=True), b.create_index("m")))
    assert list(indexes(pair.target.admin, "a", "b")) == ["_id_", "m_1"]
    plm.finish()
    same_indexes(pair)


def test_all_indexes_dropped_at_once(pair, plm):
    follow(pair, plm, lambda b: b.drop_indexes(), before=lambda b: (b.create_index("n"), b.create_index("m")))
    plm.finish()
    assert list(indexes(pair.target.admin, "a", "b")) == ["_id_"]


def test_an_index_dropped_and_created_otherwise(pair, plm):
    def change(b):
        b.drop_index("n_1")
        b.create_index([("m", 1)], name="n_1", unique=True)

    follow(pair, plm, change, before=lambda b: b.create_index("n"))
    plm.finish()
    same_indexes(pair)


def test_two_indexes_on_the_same_keys_of_which_one_is_unique(pair, plm):
    """Their plain forms are the same; the second waits for finalize."""

    def both(b):
        b.create_index("n", name="first")
        b.create_index("n", name="second", unique=True)
        b.create_index("n", name="third", sparse=True)
        b.create_index("n", name="fourth", sparse=True, unique=True)

    follow(pair, plm, lambda b: b.insert_one({"_id": "later"}), before=both)
    plm.finish()
    same_indexes(pair)


def test_two_indexes_that_differ_in_collation_only(pair, plm):
    def both(b):
        b.create_index("n", name="simple")
        b.create_index("n", name="german", collation={"locale": "de"})

    follow(pair, plm, both)
    plm.finish()
    same_indexes(pair)


def test_coll_mod_of_indexes_is_real_after_finalize(pair, plm):
    def change(b):
        b.database.command("collMod", "b", index={"name": "n_1", "hidden": True})
        b.database.command("collMod", "b", index={"name": "m_1", "expireAfterSeconds": 7200})
        b.database.command("collMod", "b", index={"name": "u_1", "prepareUnique": True})
        b.database.command("collMod", "b", index={"name": "u_1", "unique": True})

    def before(b):
        b.create_index("n")
        b.create_index("m", expireAfterSeconds=3600)
        b.create_index("u", sparse=True)

    follow(pair, plm, change, before=before)
    synchronising = {name: bson.decode(spec) for name, spec in indexes(pair.target.admin, "a", "b").items()}
    assert "hidden" not in synchronising["n_1"] and "unique" not in synchronising["u_1"]
    assert synchronising["m_1"]["expireAfterSeconds"] == NEVER_EXPIRES
    plm.finish()
    same_indexes(pair)


def test_a_transient_violation_of_a_unique_index_does_no_harm(pair, plm):
    """Documents that exchange a unique value arrive in any order."""

    def exchange(b):
        for n in range(0, 40, 2):
            b.update_one({"_id": n}, {"$set": {"n": -1 - n}})
            b.update_one({"_id": n + 1}, {"$set": {"n": n}})
            b.update_one({"_id": n}, {"$set": {"n": n + 1}})

    follow(pair, plm, exchange, before=lambda b: b.create_index("n", unique=True))
    plm.finish()
    same_indexes(pair)
    assert pair.target.admin.a.b.find_one(0)["n"] == 1


def test_an_index_build_does_not_stop_the_stream(pair, plm):
    source, target = pair.source.admin, pair.target
    source.a.b.insert_many([{"_id": n, "n": n} for n in range(100)])
    plm.run()
    plm.start()
    plm.wait_synced()
    with slow_command(target, "createIndexes", 5000):
        source.a.b.create_index("n")
        source.a.b.insert_one({"_id": "behind the index"})
        time_of_write = pair.source.cluster_time()
        plm.wait_applied(time_of_write, timeout=4)
        assert target.admin.a.b.find_one("behind the index")
    plm.finish()
    same_indexes(pair)


def test_versions_between_that_an_index_cannot_hold_do_no_harm(pair, plm):
    """The copy of a later moment meets older changes: parallel arrays exist for a while on the target only."""
    source = pair.source.admin.a.b
    source.insert_many([{"_id": n, "x": [1, 2], "y": n, "pad": "x" * 300} for n in range(3000)])
    source.create_index([("x", 1), ("y", 1)])
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        for n in range(0, 3000, 7):
            source.update_one({"_id": n}, {"$set": {"x": 0}})
            source.update_one({"_id": n}, {"$set": {"y": [3, 4]}})
            source.update_one({"_id": n}, {"$set": {"y": n}})
            source.update_one({"_id": n}, {"$set": {"x": [n]}})
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_indexes_of_version_one_stay_so(pair, plm):
    """Those of collections that are older than MongoDB 3.4, also the one on _id."""
    database = pair.source.admin.a
    old_id = {"idIndex": {"v": 1, "key": {"_id": 1}, "name": "_id_"}}

    def create(name: str) -> None:
        database.command("create", name, **old_id)
        database.command("createIndexes", name, indexes=[{"v": 1, "key": {"x": 1}, "name": "x_1", "unique": True}])
        database[name].insert_many({"_id": n, "x": n} for n in range(10))

    create("copied")
    plm.run()
    plm.start()
    plm.wait_synced()
    create("followed")
    create("renamed")
    database.renamed.rename("again")
    plm.wait_applied(pair.source.cluster_time())
    assert plm.finish()["finalization"]["differences"] == []
    assert differences(pair.source, pair.target) == []
    for name in ("copied", "followed", "again"):
        indexes = pair.target.admin.a[name].list_indexes()
        assert {index["name"]: index["v"] for index in indexes} == {"_id_": 1, "x_1": 1}
