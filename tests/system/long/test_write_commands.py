"""Commands that write by more than one way: findAndModify, bulk writes, mapReduce and $merge.
Each runs on a collection that is being copied and on one that is followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import both_modes, middle_of_the_copy
from lab.compare import differences
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, ReturnDocument, UpdateMany, UpdateOne
from pymongo.database import Database

COUNT = 2000


def fill(db: Database) -> None:
    db.a.insert_many([{"_id": n, "n": n, "m": n % 5, "list": [n], "pad": "x" * 300} for n in range(COUNT)])
    db.b.insert_many([{"_id": n, "n": -n, "own": True, "pad": "x" * 300} for n in range(0, COUNT, 2)])


# -- findAndModify -----------------------------------------------------------------------------------------------------
def find_and_modify(db: Database) -> None:
    a = db.a
    a.find_one_and_update({"_id": 5}, {"$set": {"x": 1}, "$push": {"list": 2}})
    a.find_one_and_update({"m": 3}, {"$inc": {"n": 1000}}, sort=[("n", -1)], return_document=ReturnDocument.AFTER)
    pipeline = [{"$set": {"sum": {"$add": ["$n", "$m"]}}}, {"$unset": "pad"}]
    a.find_one_and_update({"_id": 6}, pipeline, projection={"sum": 1})
    a.find_one_and_update({"_id": 7}, {"$set": {"list.$[e]": "changed"}}, array_filters=[{"e": {"$gte": 0}}])
    a.find_one_and_update({"_id": 8, "list": 8}, {"$set": {"list.$": "found"}})
    a.find_one_and_update({"_id": "upserted"}, {"$set": {"x": 1}, "$setOnInsert": {"y": 2}}, upsert=True)
    a.find_one_and_update({"_id": "upserted"}, {"$set": {"x": 2}, "$setOnInsert": {"y": 3}}, upsert=True)
    a.find_one_and_update({"by": "a field"}, {"$inc": {"n": 1}}, upsert=True)  # its _id is made by the server
    a.find_one_and_replace({"_id": 9}, {"whole": {"new": [1, 2]}})
    a.find_one_and_replace({"m": 4}, {"last": True}, sort=[("_id", -1)])
    a.find_one_and_replace({"_id": "replaced"}, {"x": 1}, upsert=True)
    a.find_one_and_delete({"_id": 10})
    a.find_one_and_delete({"m": 2}, sort=[("n", -1)])
    a.find_one_and_delete({"m": 2}, sort=[("n", 1)], projection={"n": 1})
    a.find_one_and_delete({"_id": "nobody"})
    a.find_one_and_update({"_id": "nobody"}, {"$set": {"x": 1}})
    with db.client.start_session() as session, session.start_transaction():
        a.find_one_and_update({"_id": 11}, {"$set": {"in": "a transaction"}}, session=session)
        a.find_one_and_delete({"_id": 12}, session=session)
        a.find_one_and_replace({"_id": 12}, {"again": True}, upsert=True, session=session)


def find_and_modify_with_images_in_the_oplog(db: Database) -> None:
    """As older servers do it: no-op entries hold the documents that a repeated command would answer with."""
    parameter = "storeFindAndModifyImagesInSideCollection"
    db.client.admin.command("setParameter", 1, **{parameter: False})
    try:
        find_and_modify(db)
    finally:
        db.client.admin.command("setParameter", 1, **{parameter: True})


# -- bulk writes -------------------------------------------------------------------------------------------------------
def bulk(db: Database) -> None:
    for turn, ordered in enumerate((True, False)):
        writes: list[Any] = []
        for n in range(100, 130):
            key = n + 100 * turn
            writes += [
                InsertOne({"_id": f"bulk {key}", "turn": turn}),
                UpdateOne({"_id": key}, {"$inc": {"n": 1}}),
                UpdateOne({"_id": key}, [{"$set": {"list": {"$concatArrays": ["$list", ["$n"]]}}}]),
                ReplaceOne({"_id": key + 30}, {"replaced": turn}, upsert=True),
                DeleteOne({"_id": key + 60}),
            ]
        writes += [UpdateOne({"_id": f"upsert {turn}"}, {"$inc": {"n": 1}}, upsert=True)] * 3
        db.a.bulk_write(writes, ordered=ordered)
    db.a.bulk_write([UpdateMany({"m": 1}, {"$set": {"many": 1}}), DeleteMany({"_id": {"$gte": 500, "$lt": 550}})])


def other(db: Database) -> Database:
    return db.client[db.name + "_2"]


def merge(db: Database) -> None:
    """$merge into what exists and what does not, here and in another database, with every answer to a match."""
    some = [{"$match": {"n": {"$lt": 300}}}]
    db.a.create_index("n", unique=True)
    db.b.create_index("n", unique=True)
    db.a.aggregate([*some, {"$project": {"pad": 0}}, {"$merge": {"into": "new"}}])
    db.a.aggregate([*some, {"$merge": {"into": {"db": other(db).name, "coll": "new"}}}])
    db.a.aggregate([*some, {"$set": {"turn": 2}}, {"$merge": {"into": "new", "whenMatched": "replace"}}])
    db.a.aggregate([*some, {"$set": {"turn": 3}}, {"$merge": {"into": "b", "whenMatched": "keepExisting"}}])
    only_matches = {"into": "b", "whenMatched": "merge", "whenNotMatched": "discard"}
    db.a.aggregate([{"$set": {"turn": 4}}, {"$merge": only_matches}])
    added = [{"$set": {"sum": {"$add": ["$n", "$$new.n", "$$by"]}}}]
    stage = {"into": "b", "let": {"by": 7, "new": "$$ROOT"}, "whenMatched": added, "whenNotMatched": "insert"}
    db.a.aggregate([{"$match": {"m": 1}}, {"$set": {"n": {"$add": ["$n", 10**6]}}}, {"$merge": stage}])
    by_field = {"into": "b", "on": "n", "whenMatched": "merge", "whenNotMatched": "insert"}
    negative = {"$project": {"_id": 0, "n": {"$multiply": ["$n", -1]}, "by": "n"}}
    db.a.aggregate([{"$match": {"m": 2}}, negative, {"$merge": by_field}])
    db.a.aggregate([{"$match": {"m": 3}}, {"$set": {"self": True}}, {"$merge": {"into": "a"}}])
    unmatched = [{"$match": {"m": 4}}, {"$set": {"_id": {"k": "$_id"}, "n": {"$add": ["$n", 10**7]}}}]
    db.a.aggregate([*unmatched, {"$merge": {"into": "b", "whenMatched": "fail"}}])


def map_reduce(db: Database) -> None:
    """Its result comes by way of a temporary collection."""
    function = {"map": "function() { emit(this.m === undefined ? -1 : this.m, this.n || 0); }"}
    function["reduce"] = "function(key, values) { return Array.sum(values); }"
    db.counts.insert_many([{"_id": n, "value": 100.0} for n in range(-1, 9)])
    db.counts.create_index("value")
    db.totals.insert_one({"_id": "old"})
    db.totals.create_index("value")

    def run(out: dict[str, Any], **options: Any) -> None:
        db.command("mapReduce", "a", **function, out=out, **options)

    run({"replace": "fresh"})
    run({"replace": "totals"}, query={"n": {"$lt": 500}})
    run({"merge": "counts"}, query={"m": {"$in": [1, 2]}})
    run({"reduce": "counts"}, query={"m": {"$in": [2, 3]}}, finalize="function(key, value) { return value + 0.5; }")
    run({"merge": "also fresh"})
    run({"reduce": "again fresh"})
    run({"replace": "result", "db": other(db).name})
    db.totals.update_one({"_id": 1}, {"$set": {"x": 1}})


COMMANDS: list[Callable[[Database], None]] = [
    find_and_modify, find_and_modify_with_images_in_the_oplog, bulk, merge, map_reduce,
]  # fmt: skip


@both_modes
@pytest.mark.parametrize("write", COMMANDS, ids=lambda write: write.__name__)
def test_what_a_command_writes_arrives(pair, plm, write):
    client = pair.source.admin
    for name in ("copied", "followed"):
        fill(client[name])
    with middle_of_the_copy(pair, plm, 400):
        write(client.copied)
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target, synchronising=True) == []
    write(client.followed)
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []
