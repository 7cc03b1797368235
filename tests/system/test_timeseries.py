"""Time-series collections: copied and followed as the buckets that they are, equal to the byte in the end."""

from __future__ import annotations

import datetime
import time
from typing import Any

import bson
import pytest
from conftest import SMALL_STEPS, both_modes, copying, expires, expiring_nothing, slow_command, wait_for_ttl_passes
from lab.compare import differences
from pymongo.errors import OperationFailure

BEGIN = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
SERIES = {"timeField": "t", "metaField": "m"}
UNPACK = {**SERIES, "bucketMaxSpanSeconds": 3600}
LONG = 10**9  # an expiry that nothing reaches


def measurements(first: int, count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"t": BEGIN + datetime.timedelta(seconds=n), "m": {"sensor": n % 5}, "x": n, "text": "word " * (n % 7), **fields}
        for n in range(first, first + count)
    ]


def create(database, name: str = "series", **options: Any) -> None:
    database.command({"create": name, "timeseries": {**SERIES, "granularity": "seconds"}, **options})


def follow(plm, pair, **options: Any) -> None:
    plm.run()
    plm.start(**options)
    plm.wait_synced()


def applied(plm, pair) -> None:
    plm.wait_applied(pair.source.cluster_time())


def options_of(server, name: str = "series") -> dict[str, Any]:
    return next(server.admin.a.list_collections(filter={"name": name}))["options"]


@both_modes
def test_buckets_options_and_indexes_arrive(pair, plm):
    source = pair.source.admin.a
    engine = {"wiredTiger": {"configString": "block_compressor=zlib"}}
    create(source, expireAfterSeconds=LONG, collation={"locale": "en", "strength": 2}, storageEngine=engine)
    create(source, "plain.one")
    for name in ("series", "plain.one"):
        source[name].insert_many(measurements(0, 3000))
        indexes: list[dict[str, Any]] = [
            {"key": {"m.sensor": 1}, "name": "meta"},
            {"key": {"m.sensor": 1, "t": -1}, "name": "meta and time", "hidden": True},
            {"key": {"x": 1}, "name": "measurement"},
            {"key": {"x": -1}, "name": "partial", "partialFilterExpression": {"m.sensor": {"$gt": 2}}},
            {"key": {"place": "2dsphere"}, "name": "sphere", "collation": {"locale": "simple"}},
            {"key": {"m.other": 1}, "name": "sparse", "sparse": True, "collation": {"locale": "simple"}},
        ]
        source.command({"createIndexes": name, "indexes": indexes})
    source.command({"create": "on_top", "viewOn": "plain.one", "pipeline": [{"$match": {"x": 1}}]})
    follow(plm, pair)
    assert not any("series" in warning for warning in plm.status()["warnings"])
    assert differences(pair.source, pair.target, synchronising=True) == []
    assert "expireAfterSeconds" not in options_of(pair.target)
    plm.finish()
    assert differences(pair.source, pair.target) == []
    assert list(pair.target.admin.a.on_top.find({}, {"_id": 0})) == measurements(1, 1)
    pair.target.admin.a.series.insert_one(measurements(5000, 1)[0])  # as usable as any
    assert pair.target.admin.a.series.count_documents({}) == 3001


@both_modes
def test_every_change_is_followed(pair, plm):
    source = pair.source.admin.a
    create(source)
    source.series.insert_many(measurements(0, 100))
    follow(plm, pair)
    for turn in range(60):  # buckets grow, are closed when full or too long, and are compressed then
        source.series.insert_many(measurements(100 + turn * 100, 100))
    source.series.insert_one({"t": BEGIN, "m": None, "x": bson.Timestamp(0, 0), "": {"$odd.name": 1}})
    source.series.insert_one({"t": BEGIN - datetime.timedelta(days=40000)})  # no meta, and before 1970
    source.series.delete_many({"m.sensor": 3})
    source.series.update_many({"m.sensor": 2}, {"$set": {"m.place": "here"}})
    source.command({"createIndexes": "series", "indexes": [{"key": {"x": 1}, "name": "later"}]})
    source.command({"createIndexes": "series", "indexes": [{"key": {"m": 1}, "name": "gone"}]})
    source.command({"collMod": "series", "index": {"name": "later", "hidden": True}})
    source.command({"dropIndexes": "series", "index": "gone"})
    versions = {document["control"]["version"] for document in source["system.buckets.series"].find()}
    assert versions == {1, 2}
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_create_modify_drop_and_create_again(pair, plm):
    source = pair.source.admin.a
    source.other.insert_one({"_id": 1})
    follow(plm, pair)
    create(source, expireAfterSeconds=LONG)
    create(source, "second")
    create(source, "expiring")
    for name in ("series", "second", "expiring"):
        source[name].insert_many(measurements(0, 50))
    applied(plm, pair)
    source.command({"collMod": "series", "timeseries": {"granularity": "minutes"}})
    source.command({"collMod": "series", "timeseries": {"granularity": "hours"}, "expireAfterSeconds": "off"})
    source.command({"collMod": "expiring", "expireAfterSeconds": LONG})
    applied(plm, pair)
    assert options_of(pair.target)["timeseries"] == options_of(pair.source)["timeseries"]
    assert pair.target.admin.a.series.count_documents({"t": {"$lt": BEGIN + datetime.timedelta(days=20)}}) == 50
    source.second.drop()
    applied(plm, pair)
    assert differences(pair.source, pair.target, synchronising=True) == []
    source.second.insert_one({"_id": "an ordinary one"})
    source.expiring.drop()
    create(source, "expiring", expireAfterSeconds=LONG)
    source.expiring.insert_many(measurements(0, 10))
    plm.finish()
    assert differences(pair.source, pair.target) == []


SECONDS_APART = {"seconds": 1, "minutes": 60, "hours": 3600}
COARSER = {"seconds": ["minutes", "hours"], "minutes": ["hours"], "hours": []}


@both_modes
@pytest.mark.parametrize("meta", [True, False], ids=["meta", "no_meta"])
def test_every_granularity(pair, plm, meta):
    """Of each one collection that stays as it is and one that becomes coarser."""
    source = pair.source.admin.a
    fields = SERIES if meta else {"timeField": "t"}
    names = {f"{granularity} {way}": granularity for granularity in SECONDS_APART for way in ("kept", "changed")}

    def create_all(stage: str) -> None:
        for name, granularity in names.items():
            source.command({"create": f"{stage} {name}", "timeseries": {**fields, "granularity": granularity}})
            insert(f"{stage} {name}", granularity, 0)

    def insert(name: str, granularity: str, first: int, count: int = 1500) -> None:
        """More than one bucket holds, with some that are out of order."""
        apart, middle = datetime.timedelta(seconds=SECONDS_APART[granularity]), first + count // 2
        numbers = [*range(middle, first + count), *range(first, middle)]
        sensors = [{"m": {"sensor": n}} if meta else {} for n in range(5)]
        source[name].insert_many([{"t": BEGIN + n * apart, "x": n, **sensors[n % 5]} for n in numbers])

    def delete(name: str) -> None:
        """Without a metaField servers delete all measurements or none, so a bucket goes."""
        deleted = source[name].delete_many({"m.sensor": 3}) if meta else source["system.buckets." + name].delete_one({})
        assert deleted.deleted_count > 0

    def change(stage: str) -> None:
        for name, granularity in names.items():
            insert(f"{stage} {name}", granularity, 1500)
            delete(f"{stage} {name}")
            for coarser in COARSER[granularity] if "changed" in name else []:
                source.command({"collMod": f"{stage} {name}", "timeseries": {"granularity": coarser}})
                insert(f"{stage} {name}", coarser, 3000)
        source[f"{stage} seconds kept"].delete_many({})
        insert(f"{stage} seconds kept", "seconds", 10, 20)

    create_all("copied")
    follow(plm, pair)
    assert differences(pair.source, pair.target, synchronising=True) == []
    create_all("followed")
    for stage in ("copied", "followed"):
        change(stage)
    applied(plm, pair)
    assert differences(pair.source, pair.target, synchronising=True) == []
    assert plm.finish()["finalization"]["differences"] == []
    assert differences(pair.source, pair.target) == []
    for stage in ("copied", "followed"):
        for name, granularity in names.items():
            expected = "hours" if "changed" in name else granularity
            options = options_of(pair.target, f"{stage} {name}")["timeseries"]
            assert options == options_of(pair.source, f"{stage} {name}")["timeseries"]
            assert options["granularity"] == expected and ("metaField" in options) == meta


def test_drop_database_takes_them_away(pair, plm):
    source = pair.source.admin
    for database in ("a", "b"):
        create(source[database])
        source[database].series.insert_many(measurements(0, 20))
    follow(plm, pair)
    source.drop_database("a")
    create(source.a, "anew")
    applied(plm, pair)
    assert differences(pair.source, pair.target, synchronising=True) == []
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_changes_during_the_copy(pair, plm):
    source = pair.source.admin.a
    create(source)
    for first in range(0, 20000, 5000):
        source.series.insert_many(measurements(first, 5000, filler="x" * 30))
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        plm.wait_for("the middle of the copy", copying)
        source.series.insert_many(measurements(20000, 500))
        source.series.delete_many({"m.sensor": 1})
        source.series.update_many({"m.sensor": 4}, {"$set": {"m.sensor": 14}})
        source.command({"collMod": "series", "timeseries": {"granularity": "minutes"}})
        source.command({"createIndexes": "series", "indexes": [{"key": {"x": 1}, "name": "x"}]})
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_kill_9_again_and_again(pair, plm):
    """What a restart meets again is changed to be the same; a granularity knows no way back."""
    source = pair.source.admin.a
    create(source)
    source.series.insert_many(measurements(0, 5000, filler="x" * 400))
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        plm.wait_for("the middle of the copy", copying)
        plm.kill9()
        plm.run()
    plm.wait_synced()
    for turn, granularity in enumerate(("minutes", "hours")):
        source.series.insert_many(measurements(5000 + turn * 200, 200))
        source.command({"collMod": "series", "timeseries": {"granularity": granularity}})
        create(source, f"new {turn}")
        source[f"new {turn}"].insert_many(measurements(0, 20))
    source["new 0"].drop()
    plm.wait_for("some of it", lambda status: options_of(pair.target)["timeseries"]["granularity"] == "hours")
    plm.kill9()
    plm.run()
    plm.wait_for("work again", lambda status: status["state"] == "running")
    source.series.delete_many({"m.sensor": 0})
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_nothing_expires_on_the_target_before_finalize(pair, plm):
    source = pair.source.admin.a
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=30)
    with expiring_nothing(pair.source):
        create(source, expireAfterSeconds=60)
        create(source, "later")
        for name in ("series", "later"):
            source[name].insert_many([{"t": old, "m": n, "x": n} for n in range(10)])
        follow(plm, pair)
        source.command({"collMod": "later", "expireAfterSeconds": 60})
        applied(plm, pair)
        wait_for_ttl_passes(pair.target)
        assert differences(pair.source, pair.target, synchronising=True) == []
    assert expires(source.series) and expires(source.later)
    plm.finish()
    assert differences(pair.source, pair.target) == []
    assert options_of(pair.target)["expireAfterSeconds"] == 60


def test_a_time_series_collection_is_selected_by_its_own_name(pair, plm):
    source = pair.source.admin.a
    for name in ("in", "out"):
        create(source, name)
        source[name].insert_many(measurements(0, 20))
    follow(plm, pair, includeNamespaces=["a.in", "a.in_too"])
    create(source, "in_too")
    create(source, "out_too")
    for name in ("in", "out", "in_too", "out_too"):
        source[name].insert_many(measurements(20, 20))
    plm.finish()
    names = {"in", "in_too", "system.buckets.in", "system.buckets.in_too", "system.views"}
    assert set(pair.target.admin.a.list_collection_names()) == names


def test_what_is_in_the_way_on_the_target_is_named_as_users_know_it(pair, plm):
    create(pair.source.admin.a)
    create(pair.target.admin.a)
    plm.run()
    with pytest.raises(Exception, match="already holds a.series;"):
        plm.start()
    plm.start(replaceTarget=True)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def lose(database, name: str = "series") -> None:
    """Buckets without their view, as two creations of one name may leave them."""
    database.command({"create": f"system.buckets.{name}", "timeseries": SERIES, "clusteredIndex": True})


def test_lost_buckets_are_named_and_do_not_touch_who_has_their_name(pair, plm):
    """What goes by name to the collection, goes to the buckets instead; the server does that to everybody."""
    source = pair.source.admin.a
    source.series.insert_many([{"_id": n, "x": n} for n in range(100)])
    source.series.create_index("x")
    lose(source)
    source.series.insert_many(measurements(0, 10))
    source.series.create_index("t")
    follow(plm, pair)
    lost = "a.system.buckets.{} is not replicated: there is no time-series collection a.{}"
    assert lost.format("series", "series") in plm.status()["warnings"]
    source.later.insert_one({"_id": 1})
    lose(source, "later")
    applied(plm, pair)
    plm.finish()
    assert lost.format("later", "later") in plm.status()["warnings"]
    assert plm.status()["finalization"]["differences"] == []
    names = ("a.system.buckets.later", "a.system.buckets.series")
    assert differences(pair.source, pair.target) == [f"{name} is on one side only" for name in names]
    assert set(pair.target.admin.a.list_collection_names()) == {"series", "later"}


@pytest.mark.parametrize("documents", [0, 10])
def test_buckets_that_are_lost_on_the_way_are_not_on_the_target(pair, plm, documents):
    """A creation that is interrupted leaves them so. What was written to them nobody can read on the source."""
    source = pair.source.admin.a
    follow(plm, pair)
    lose(source)
    if documents:
        source.series.insert_many(measurements(0, documents))
    applied(plm, pair)
    assert "series" in pair.target.admin.a.list_collection_names()
    plm.finish()
    assert plm.status()["finalization"]["differences"] == []
    assert pair.target.admin.a.system.buckets.series.estimated_document_count() == 0
    assert "series" not in pair.target.admin.a.list_collection_names()


def test_lost_buckets_on_the_target_are_in_the_way(pair, plm):
    """A collection of their name could be created, but its indexes would land on them."""
    source, target = pair.source.admin.a, pair.target.admin.a
    source.series.insert_many([{"_id": n, "x": n} for n in range(100)])
    source.series.create_index("x")
    lose(target)
    plm.run()
    with pytest.raises(Exception, match="already holds a.series"):
        plm.start()
    plm.start(replaceTarget=True)
    plm.wait_synced()
    source.series.drop_index("x_1")
    source.series.create_index("y")
    plm.finish()
    assert differences(pair.source, pair.target) == []


def lose_buckets(database, name: str = "series") -> None:
    """A view without its buckets, as a drop beside a creation may leave it."""
    database.command({"create": name, "viewOn": f"system.buckets.{name}", "pipeline": [{"$_internalUnpackBucket": UNPACK}]})


def test_a_view_without_its_buckets_is_named_and_not_replicated(pair, plm):
    lose_buckets(pair.source.admin.a)
    follow(plm, pair)
    lost = "a.{} is not replicated: a time-series collection without its buckets"
    assert lost.format("series") in plm.status()["warnings"]
    lose_buckets(pair.source.admin.a, "later")
    applied(plm, pair)
    plm.finish()
    assert lost.format("later") in plm.status()["warnings"]
    assert plm.status()["finalization"]["differences"] == []
    assert pair.target.admin.a.list_collection_names() == []


def test_a_view_without_its_buckets_on_the_target_is_in_the_way(pair, plm):
    create(pair.source.admin.a)
    lose_buckets(pair.target.admin.a)
    plm.run()
    with pytest.raises(Exception, match="already holds a.series"):
        plm.start()
    plm.start(replaceTarget=True)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_time_series_collections_cannot_be_renamed(pair):
    """What plm relies on; a server that can do it needs a plm that can."""
    create(pair.source.admin.a)
    for name in ("series", "system.buckets.series"):
        with pytest.raises(OperationFailure):
            pair.source.admin.admin.command("renameCollection", f"a.{name}", to=f"a.{name}2")
