"""Kinds of collections and options that are rarer than others: clustered, stored functions, encrypted, pre-images,
validators; and what is said about that which is not carried."""

from __future__ import annotations

import datetime
import itertools
import random
import re
from typing import Any

import bson
import gridfs
import pytest
from bson import Timestamp
from conftest import (
    NOT_CONFIRMED,
    SMALL_STEPS,
    both_modes,
    copying,
    expires,
    expiring_nothing,
    failing,
    slow_command,
    wait_for_ttl_passes,
)
from lab.compare import differences
from lab.load import Writer

CLUSTERED = {"key": {"_id": 1}, "unique": True}
LONG = 10**9  # an expiry that nothing reaches


def follow(plm, **options: Any) -> None:
    plm.run()
    plm.start(**options)
    plm.wait_synced()


def applied(plm, pair) -> None:
    plm.wait_applied(pair.source.cluster_time())


# -- clustered collections ---------------------------------------------------------------------------------------------
def create_clustered(database, name: str, **options: Any) -> None:
    database.command({"create": name, "clusteredIndex": {**CLUSTERED, "name": "by kéy"}, **options})


@both_modes
def test_clustered_collections_arrive(pair, plm):
    source = pair.source.admin.a
    ids: list[Any] = [None, 1, 2.5, "s", {"a": [1]}, datetime.datetime(2030, 1, 1), bson.MinKey(), bson.MaxKey(), float("nan")]
    create_clustered(source, "plain")
    create_clustered(source, "expiring", expireAfterSeconds=LONG)
    create_clustered(source, "collated", collation={"locale": "en", "strength": 2})
    for name in ("plain", "expiring", "collated"):
        source[name].insert_many([{"_id": value, "n": n} for n, value in enumerate(ids)])
        source[name].insert_many([{"_id": f"key {n}", "n": -n} for n in range(1, 2000)])
        source[name].create_index("n", unique=True)
    follow(plm, **SMALL_STEPS)
    create_clustered(source, "later", expireAfterSeconds=LONG)
    source.command({"collMod": "plain", "expireAfterSeconds": LONG})
    source.command({"collMod": "expiring", "expireAfterSeconds": "off"})
    for name in ("plain", "expiring", "collated", "later"):
        for n, value in enumerate(ids):
            source[name].update_one({"_id": value}, {"$set": {"changed": [value]}}, upsert=True)
            source[name].delete_one({"_id": f"key {n}"})
    source.later.rename("renamed")
    applied(plm, pair)
    assert differences(pair.source, pair.target, synchronising=True) == []
    assert not any("expireAfterSeconds" in spec["options"] for spec in pair.target.admin.a.list_collections())
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_a_clustered_collection_under_load_and_kill_9(pair, plm):
    source = pair.source.admin.a
    create_clustered(source, "busy")
    source.busy.insert_many([{"_id": n, "filler": "x" * 300} for n in range(3000)])
    plm.run()
    with Writer(pair.source.admin, "a", "busy", seed=5, rate=200):
        with slow_command(pair.target, "insert", 50):
            plm.start(**SMALL_STEPS)
            plm.wait_for("the middle of the copy", copying)
            plm.kill9()
            plm.run()
        plm.wait_synced()
        plm.kill9()
        plm.run()
    plm.wait_for("work again", lambda status: status["state"] == "running")
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_fractions_as_keys_of_a_clustered_collection_are_inserted_again(pair, plm):
    """Of a fraction that is there already 6.0 does not say so: it fails to name it."""
    source = pair.source.admin.a
    follow(plm)
    create_clustered(source, "parts")
    with failing(pair.target, ["insert"], 2, **NOT_CONFIRMED):
        source.parts.insert_many([{"_id": n + 0.5} for n in range(100)])
        applied(plm, pair)
    assert plm.status()["parked"]["count"] == 0
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_clustered_collections_that_became_capped_arrive(pair, plm):
    """No server creates one, but each makes one of a clustered collection."""
    source, keys = pair.source.admin.a, itertools.count(1)

    def convert(name: str) -> None:
        create_clustered(source, name, expireAfterSeconds=LONG)
        source[name].insert_many([{"_id": n, "n": n} for n in (5, 3, 9)])
        source.command({"convertToCapped": name, "size": 100_000})
        write(name)

    def write(name: str) -> None:
        source[name].insert_one({"_id": -next(keys)})
        source[name].update_many({"n": {"$gt": 3}}, {"$inc": {"n": 1}})

    convert("copied")
    follow(plm)
    write("copied")
    source.copied.delete_one({"_id": 9})
    convert("later")
    source.later.rename("renamed")
    source.command({"convertToCapped": "copied", "size": 50_000})
    write("copied")
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize(
    "answer",
    [{"closeConnection": True}, {"writeConcernError": {"code": 91, "errmsg": "shutting down"}}],
    ids=["not_carried_out", "carried_out_all_the_same"],
)
def test_a_conversion_to_capped_that_is_interrupted_is_made_again(pair, plm, answer):
    source = pair.source.admin.a
    create_clustered(source, "b", expireAfterSeconds=LONG)
    source.b.insert_many([{"_id": n} for n in range(50)])
    source.command({"convertToCapped": "b", "size": 100_000})
    with failing(pair.target, ["convertToCapped"], 1, **answer):
        follow(plm)
    assert "trying again" in plm.log()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_clustered_collection_expires_nothing_before_finalize(pair, plm):
    source = pair.source.admin.a
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=30)
    with expiring_nothing(pair.source):
        create_clustered(source, "expiring", expireAfterSeconds=60)
        source.expiring.insert_many([{"_id": old + datetime.timedelta(seconds=n)} for n in range(10)])
        follow(plm)
        wait_for_ttl_passes(pair.target)
        assert differences(pair.source, pair.target, synchronising=True) == []
    plm.finish()
    assert expires(pair.target.admin.a.expiring)  # the target expires by itself now


# -- stored functions --------------------------------------------------------------------------------------------------
@both_modes
def test_stored_functions_are_documents_like_others(pair, plm):
    source = pair.source.admin
    for database in ("a", "b", "c"):
        source[database]["system.js"].insert_one({"_id": "copied", "value": bson.Code("function() { return 1; }")})
        source[database]["system.js"].insert_one({"_id": "changed", "value": bson.Code("function() { return 2; }")})
    follow(plm)
    assert differences(pair.source, pair.target, synchronising=True) == []
    source.a["system.js"].update_one({"_id": "changed"}, {"$set": {"value": bson.Code("function() { return 3; }")}})
    source.a["system.js"].delete_one({"_id": "copied"})
    source.a["system.js"].create_index("value")
    source.new["system.js"].insert_one({"_id": "later", "value": 5})
    source.drop_database("b")
    source.b["system.js"].insert_one({"_id": "of a new database", "value": 6})
    source.admin.command("renameCollection", "c.system.js", to="c.ordinary")
    source.c["system.js"].insert_one({"_id": "in its place", "value": 7})
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []
    functions = pair.target.admin.a["system.js"].find()
    assert [function["_id"] for function in functions] == ["changed"]


def test_stored_functions_follow_the_filter_and_replace_those_of_the_target(pair, plm):
    for database in ("a", "b"):
        pair.source.admin[database]["system.js"].insert_one({"_id": "f", "value": 1})
    pair.target.admin.a["system.js"].insert_one({"_id": "old", "value": 2})
    plm.run()
    with pytest.raises(Exception, match="already holds a.system.js;"):
        plm.start(includeNamespaces=["a.*"])
    plm.start(includeNamespaces=["a.*"], replaceTarget=True)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target, ["a"]) == []
    assert pair.target.databases() == ["a"]


# -- files -------------------------------------------------------------------------------------------------------------
@both_modes
def test_files_of_gridfs_arrive(pair, plm):
    contents = {f"file {n}": random.Random(n).randbytes(size) for n, size in enumerate((0, 1, 255 * 1024, 3_000_000))}
    files = gridfs.GridFSBucket(pair.source.admin.photos, bucket_name="raw")
    for name in ("file 0", "file 3"):
        files.upload_from_stream(name, contents[name])
    files.upload_from_stream("removed", b"x" * 600_000)
    follow(plm)
    for name in ("file 1", "file 2"):
        files.upload_from_stream(name, contents[name])
    files.delete(files.find({"filename": "removed"}).next()._id)
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []
    arrived = gridfs.GridFSBucket(pair.target.admin.photos, bucket_name="raw")
    assert {file.filename: file.read() for file in arrived.find({})} == contents


# -- options -----------------------------------------------------------------------------------------------------------
@both_modes
def test_pre_images_and_validators_are_options_like_others(pair, plm):
    """Documents that violate the validator arrive, before and after it came."""
    source = pair.source.admin.a
    enabled = {"enabled": True}
    source.command({"create": "copied", "changeStreamPreAndPostImages": enabled})
    source.copied.insert_one({"_id": 1})
    source.command({"collMod": "copied", "validator": {"n": {"$type": "int"}}, "validationLevel": "moderate"})
    source.command({"create": "warned", "validator": {"n": {"$type": "int"}}, "validationAction": "warn"})
    source.warned.insert_many([{"_id": n} for n in range(10)])
    follow(plm)
    source.copied.update_one({"_id": 1}, {"$set": {"m": 1}})
    source.command({"create": "later", "changeStreamPreAndPostImages": enabled, "validator": {"n": 1}})
    source.command({"insert": "later", "documents": [{"_id": 1}], "bypassDocumentValidation": True})
    source.command({"collMod": "copied", "changeStreamPreAndPostImages": {"enabled": False}})
    source.command({"collMod": "warned", "changeStreamPreAndPostImages": enabled})
    source.warned.insert_one({"_id": "violates", "n": "x"})
    source.warned.replace_one({"_id": 1}, {"n": "y"})
    applied(plm, pair)
    assert differences(pair.source, pair.target, synchronising=True) == []
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_options_of_the_storage_engine_arrive(pair, plm):
    """In the catalog, and in what the target's storage engine makes of them; also for indexes that do not name any."""
    source = pair.source.admin.a
    compressed = {"wiredTiger": {"configString": "block_compressor=zlib"}}
    defaults = {"storageEngine": {"wiredTiger": {"configString": "prefix_compression=false"}}}
    own = {"wiredTiger": {"configString": "prefix_compression=true,block_compressor=snappy"}}

    def fill(name: str, **options: Any) -> None:
        source.command({"create": name, "storageEngine": compressed, "indexOptionDefaults": defaults, **options})
        source[name].insert_many([{"_id": n, "n": n, "m": n} for n in range(100)])
        source[name].create_index("n", unique=True)
        source[name].create_index("m", storageEngine=own)

    def files(server, name: str) -> dict[str, str]:
        """How they were made. What became unique later keeps the format that it had."""
        stats = server.admin.a.command("collStats", name, indexDetails=True)
        details = {"collection": stats["wiredTiger"], **stats["indexDetails"]}
        return {part: re.sub(r"formatVersion=\d+", "", detail["creationString"]) for part, detail in details.items()}

    fill("copied")
    fill("copied_capped", capped=True, size=100_000)
    source.command({"create": "copied_clustered", "storageEngine": compressed, "clusteredIndex": CLUSTERED})
    follow(plm)
    fill("later")
    fill("later_capped", capped=True, size=100_000)
    source.later.update_many({}, {"$set": {"x": 1}})
    source.later.rename("renamed")
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []
    for name in source.list_collection_names():
        there, here = files(pair.target, name), files(pair.source, name)
        assert there == here and "block_compressor=zlib" in there["collection"], name
    assert "prefix_compression=false" in files(pair.target, "renamed")["n_1"]


@both_modes
def test_collections_of_queryable_encryption_arrive(pair, plm):
    """As the ciphers that they hold; the keys are the client's, the state collections are ordinary ones."""
    source = pair.source.admin.a
    field = {"path": "secret", "bsonType": "string", "keyId": bson.Binary(bytes(16), 4), "queries": {"queryType": "equality"}}
    tags = [bson.Binary(bytes([n]) * 32) for n in range(3)]

    def fill(name: str) -> None:
        source.command({"create": name, "encryptedFields": {"fields": [field]}})
        documents = [{"_id": n, "secret": bson.Binary(b"cipher", 6), "__safeContent__": [tags[n]]} for n in range(3)]
        source.command({"insert": name, "documents": documents, "bypassDocumentValidation": True})
        for state in ("esc", "ecc", "ecoc"):
            source[f"enxcol_.{name}.{state}"].insert_one({"_id": bson.Binary(bytes(32)), "value": bson.Binary(b"x", 6)})
        change = {"q": {"_id": 1}, "u": {"$push": {"__safeContent__": tags[2]}}}
        source.command({"update": name, "updates": [change], "bypassDocumentValidation": True})

    fill("copied")
    follow(plm)
    fill("later")
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_an_index_with_the_simple_collation_keeps_it(pair, plm):
    source = pair.source.admin.a
    source.command({"create": "b", "collation": {"locale": "en", "strength": 1}})
    source.b.insert_many([{"_id": 1, "s": "a"}, {"_id": 2, "s": "A"}])
    for collation in ("simple", "fr"):
        source.b.create_index("s", name=f"{collation} copied", collation={"locale": collation}, unique=collation == "simple")
    follow(plm)
    source.b.create_index("t", name="simple later", collation={"locale": "simple"})
    applied(plm, pair)
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []


# -- documents ---------------------------------------------------------------------------------------------------------
@both_modes
def test_a_zero_timestamp_stays_one(pair, plm):
    """A server puts its time in the place of those that are inserted, so they come by pipelines and operators."""
    source = pair.source.admin.a
    zero = Timestamp(0, 0)

    def fill(name: str) -> None:
        ids: list[Any] = [*range(10), zero, 2.5, {"z": zero}]
        source[name].insert_many([{"_id": value, "inner": {"z": zero}, "list": [zero], "b": 1} for value in ids])
        source[name].update_many({}, {"$set": {"z": zero, "a": 1}})
        source[name].update_one({"_id": 1}, [{"$replaceWith": {"$literal": {"_id": 1, "$x": zero, "y.z": zero, "": zero}}}])
        source[name].update_one({"_id": 2}, {"$set": {"inner.z": Timestamp(1, 1), "z": Timestamp(2, 2)}})
        source[name].update_one({"_id": 2}, {"$set": {"inner.z": zero, "z": zero}})
        source[name].update_one({"_id": 3}, [{"$set": {"large": {"$range": [0, 1000]}}}])
        source[name].replace_one({"_id": 4}, {"z": zero})

    fill("copied")
    follow(plm)
    assert differences(pair.source, pair.target) == []
    fill("later")
    source.copied.update_many({}, {"$set": {"c": 1}})
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []
    assert pair.target.admin.a.later.find_one({"_id": 5})["z"] == zero


@both_modes
def test_documents_of_16_mb_are_changed(pair, plm):
    source = pair.source.admin.a.large
    most = 16 * 1024 * 1024
    for n in range(4):
        source.insert_one({"_id": n, "filler": "x" * (most - 200), "list": [1, 2]})
    follow(plm)
    source.update_one({"_id": 0}, {"$push": {"list": 3}})
    source.update_one({"_id": 1}, {"$set": {"filler": "y" * (most - 100)}})
    source.replace_one({"_id": 2}, {"filler": bson.Binary(bytes(most - 60))})
    source.update_one({"_id": 3}, [{"$replaceWith": {"_id": 3, "z": Timestamp(0, 0), "filler": "$filler"}}])
    source.insert_one({"_id": 4, "filler": "z" * (most - 60)})
    applied(plm, pair)
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- the truth about the rest ------------------------------------------------------------------------------------------
def test_what_is_not_carried_is_said(pair, plm):
    client = pair.source.admin
    client.a.command("createUser", "somebody", pwd="x", roles=[])
    client.a.command("createRole", "something", privileges=[], roles=[])
    for name in ["misplaced", *(f"more{n:02}" for n in range(11))]:
        client.admin[name].insert_one({"_id": 1})
    try:
        client.a.command({"create": "v", "viewOn": "left_out", "pipeline": [{"$lookup": {"from": "in", "as": "x", "pipeline": []}}]})
        client.a["in"].insert_one({"_id": 1})
        client.a.left_out.insert_one({"_id": 1})
        follow(plm, excludeNamespaces=["a.left_out"])
        warnings = plm.status()["warnings"]
        assert "view a.v reads what is not replicated: a.left_out" in warnings
        assert "users and roles are not replicated; the source has 2 users and 1 role beside plm's own" in warnings
        others = ", ".join(f"more{n:02}" for n in range(9))
        assert f"collections in admin are not replicated; the source has misplaced, {others} and 2 more" in warnings
        assert "collections in admin are not replicated" in plm.log()
        client.a.command({"create": "w", "viewOn": "in", "pipeline": [{"$unionWith": "left_out"}]})
        plm.wait_for("a warning", lambda s: "view a.w reads what is not replicated: a.left_out" in s["warnings"])
        assert "view a.w reads what is not replicated" in plm.log()
        client.a.command({"collMod": "v", "viewOn": "left_out", "pipeline": [{"$match": {"_id": 1}}]})
        applied(plm, pair)
        # The views themselves are carried.
        assert differences(pair.source, pair.target, synchronising=True) == ["a.left_out is on one side only"]
        arrived = pair.target.admin.a.list_collections(filter={"type": "view"})
        assert {view["name"]: view["options"]["viewOn"] for view in arrived} == {"v": "left_out", "w": "in"}
        assert plm.finish()["finalization"]["differences"] == []
        assert differences(pair.source, pair.target) == ["a.left_out is on one side only"]
        assert [list(pair.target.admin.a[name].find()) for name in ("v", "w")] == [[], [{"_id": 1}]]
    finally:
        client.a.command("dropUser", "somebody")
        client.a.command("dropRole", "something")
        for name in client.admin.list_collection_names(filter={"name": {"$not": {"$regex": "^system[.]"}}}):
            client.admin[name].drop()


def test_what_the_source_has_stored_is_what_it_lists(pair, plm):
    """A listing counts when it agrees with what is stored, also where the server shows that in another form."""
    database = pair.source.admin.kinds
    create_clustered(database, "clustered", expireAfterSeconds=1000)
    create_clustered(database, "converted")
    database.converted.insert_one({"_id": 1})
    database.command("convertToCapped", "converted", size=8192)
    database.create_collection("capped", capped=True, size=5000, max=10)
    database.create_collection("series", timeseries={"timeField": "t", "metaField": "m"}, expireAfterSeconds=1000)
    database.series.create_index([("m.a", 1), ("t", -1)])
    french = {"locale": "fr", "strength": 2}
    database.create_collection("french", collation=french)
    database.french.create_index([("a", 1)], collation={"locale": "simple"})
    database.create_collection("view", viewOn="french", pipeline=[{"$match": {"a": 1}}], collation=french)
    database.create_collection("checked", validator={"a": {"$gt": 1}}, validationLevel="moderate")
    database.create_collection("images", changeStreamPreAndPostImages={"enabled": True})
    engine = {"wiredTiger": {"configString": "block_compressor=zlib"}}
    database.create_collection("engine", storageEngine=engine, indexOptionDefaults={"storageEngine": engine})
    indexes = [
        {"key": {"a": 1}, "name": "unique", "unique": True, "sparse": 1.0, "hidden": True},
        {"key": {"b": 1}, "name": "expires", "expireAfterSeconds": 3600.0, "background": True},
        {"key": {"c": "text"}, "name": "text", "default_language": "german"},
        {"key": {"d": "2d"}, "name": "plane", "min": -10, "max": 10, "bits": 20},
        {"key": {"e": "2dsphere"}, "name": "sphere"},
        {"key": {"f": "hashed"}, "name": "hashed"},
        {"key": {"$**": 1}, "name": "wild", "wildcardProjection": {"a": 1}},
        {"key": {"g": 1}, "name": "partial", "partialFilterExpression": {"a": {"$gt": 1}}},
    ]
    database.command("createIndexes", "indexed", indexes=indexes)
    database["system.js"].insert_one({"_id": "f", "value": 1})
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.finish()
    assert "goes on to differ" not in plm.log()
    assert differences(pair.source, pair.target) == []
