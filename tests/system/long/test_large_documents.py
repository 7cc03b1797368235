"""Documents of the very largest size, and arrays of a hundred thousand elements or ten megabytes: every kind of change,
in the copy and in the stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bson
import pytest
from bson import Timestamp
from conftest import both_modes, slow_command
from lab.compare import differences
from pymongo.collection import Collection

LARGEST = 16 * 1024 * 1024


def filled_up(document: dict[str, Any], size: int = LARGEST) -> dict[str, Any]:
    """With a field that makes it exactly so large."""
    empty = len(bson.encode({**document, "filler": ""}))
    return {**document, "filler": "x" * (size - empty)}


def is_largest(collection: Collection, key: Any) -> bool:
    (found,) = collection.aggregate([{"$match": {"_id": key}}, {"$project": {"size": {"$bsonSize": "$$ROOT"}}}])
    return found["size"] == LARGEST


# -- 16 MB to the last byte --------------------------------------------------------------------------------------------
def grow_by_set(documents: Collection) -> None:
    documents.update_one({"_id": "set"}, {"$set": {"n": 1}})


def grow_by_pipeline(documents: Collection) -> None:
    documents.update_one({"_id": "pipeline"}, [{"$set": {"n": {"$toInt": "1"}}}])


def grow_by_push(documents: Collection) -> None:
    documents.update_one({"_id": "push"}, {"$push": {"list": 1}})


def change_in_place(documents: Collection) -> None:
    documents.update_one({"_id": "in place"}, {"$set": {"filler": "y" * (LARGEST - 100)}})
    filler = filled_up({"_id": "in place"})["filler"]
    documents.update_one({"_id": "in place"}, {"$set": {"filler": filler.replace("x", "y")}})


def rewrite_by_pipeline(documents: Collection) -> None:
    """What is deleted from its place and written at another is a change as large as the document."""
    pipeline = [{"$replaceWith": {"_id": "$_id", "moved": {"$concat": ["$filler"]}}}, {"$set": {"n": {"$toInt": "1"}}}]
    documents.update_one({"_id": "rewritten"}, pipeline)


def replace(documents: Collection) -> None:
    documents.replace_one({"_id": "replaced"}, filled_up({"_id": "replaced", "n": 1}))


def replace_by_less_and_more(documents: Collection) -> None:
    documents.replace_one({"_id": "to and fro"}, {"small": 1})
    documents.replace_one({"_id": "to and fro"}, filled_up({"_id": "to and fro"}))


def insert(documents: Collection) -> None:
    documents.insert_one(filled_up({"_id": "inserted"}))


def insert_by_upsert(documents: Collection) -> None:
    documents.replace_one({"_id": "upserted"}, filled_up({"_id": "upserted", "z": Timestamp(0, 0)}), upsert=True)


def delete(documents: Collection) -> None:
    documents.delete_one({"_id": "deleted"})


def delete_and_insert(documents: Collection) -> None:
    documents.delete_one({"_id": "again"})
    documents.insert_one(filled_up({"_id": "again", "second": True}))


INT_FIELD = len("n") + 2 + 4
ARRAY_ELEMENT = len("0") + 2 + 4
# Each with the documents that it needs, and the one that fills 16 MB afterwards.
CHANGES: dict[Callable[[Collection], None], tuple[list[dict[str, Any]], str | None]] = {
    grow_by_set: ([filled_up({"_id": "set"}, LARGEST - INT_FIELD)], "set"),
    grow_by_pipeline: ([filled_up({"_id": "pipeline"}, LARGEST - INT_FIELD)], "pipeline"),
    grow_by_push: ([filled_up({"_id": "push", "list": []}, LARGEST - ARRAY_ELEMENT)], "push"),
    change_in_place: ([filled_up({"_id": "in place"})], "in place"),
    rewrite_by_pipeline: ([filled_up({"_id": "rewritten"}, LARGEST - INT_FIELD + 1)], "rewritten"),
    replace: ([filled_up({"_id": "replaced"})], "replaced"),
    replace_by_less_and_more: ([filled_up({"_id": "to and fro", "before": True})], "to and fro"),
    insert: ([], "inserted"),
    insert_by_upsert: ([], "upserted"),
    delete: ([filled_up({"_id": "deleted"})], None),
    delete_and_insert: ([filled_up({"_id": "again"})], "again"),
}


@both_modes
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_documents_of_the_largest_size_are_changed(pair, plm, change):
    """In one collection while it is copied, in the other one behind the copy."""
    before, changed = CHANGES[change]
    source = pair.source.admin.a
    for name in ("copied", "followed"):
        source.create_collection(name)
        if before:
            source[name].insert_many(before)
    plm.run()
    with slow_command(pair.target, "insert", 300):
        plm.start()
        change(source.copied)
        plm.wait_synced()
    change(source.followed)
    plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["parked"]["count"] == 0
    for name in ("copied", "followed"):
        assert changed is None or is_largest(pair.target.admin.a[name], changed)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_a_replay_that_would_make_a_document_too_large(pair, plm):
    """Older changes on a newer document: for a moment it would hold what was never there at the same time."""
    source = pair.source.admin.a.b
    source.insert_many([{"_id": n} for n in range(3)])
    plm.run()
    plm.start()
    plm.wait_synced()
    for _ in range(2):
        for n in range(3):
            source.update_one({"_id": n}, {"$set": {"first": "x" * 9_000_000}})
            source.update_one({"_id": n}, {"$unset": {"first": 1}})
            source.update_one({"_id": n}, {"$set": {"second": "y" * 9_000_000}})
        plm.wait_applied(pair.source.cluster_time())
        plm.kill9()  # the position is saved every other second only
        plm.run()
        plm.wait_applied(pair.source.cluster_time())
        source.update_many({}, {"$unset": {"second": 1}})
    assert plm.status()["parked"]["count"] == 0
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- arrays ------------------------------------------------------------------------------------------------------------
# Where $push has to slice, it drops few: a server takes a time for it that grows with the square.
NUMBERS = {"$range": [0, 100_000]}
RECORDS = {
    "$map": {
        "input": {"$range": [0, 30_000]},
        "in": {"n": "$$this", "m": {"$mod": ["$$this", 7]}, "w": ["$$this", "some text that makes the element larger"]},
    }
}
TEXTS = {"$map": {"input": {"$range": [0, 5_000]}, "in": {"$concat": ["x" * 2000, {"$toString": "$$this"}]}}}

Update = tuple[Any, list[dict[str, Any]] | None]

NUMBER_UPDATES: dict[str, Update] = {
    "push": ({"$push": {"list": {"$each": [-1, -2]}}}, None),
    "push_in_front": ({"$push": {"list": {"$each": [-1, -2], "$position": 0}}}, None),
    "push_in_the_middle": ({"$push": {"list": {"$each": [-1, -2], "$position": 50_000}}}, None),
    "keep_the_first": ({"$push": {"list": {"$each": [], "$slice": 99_990}}}, None),
    "keep_the_last": ({"$push": {"list": {"$each": [5], "$slice": -99_990}}}, None),
    "sort": ({"$push": {"list": {"$each": [5], "$sort": -1}}}, None),
    "pop": ({"$pop": {"list": -1}}, None),
    "pull": ({"$pull": {"list": {"$mod": [1000, 3]}}}, None),
    "one_element": ({"$set": {"list.99999": "text"}}, None),
    "far_element": ({"$set": {"list.100100": 1}}, None),
    "every_tenth": ({"$set": {"list.$[e]": "changed"}}, [{"e": {"$mod": [10, 0]}}]),
    "reverse": ([{"$set": {"list": {"$reverseArray": "$list"}}}], None),
    "shorten": ([{"$set": {"list": {"$slice": ["$list", 70_000]}}}], None),
    "shorten_and_change": (
        [
            {"$set": {"list": {"$slice": ["$list", 60_000]}}},
            {"$set": {"list": {"$map": {"input": "$list", "in": {"$multiply": ["$$this", {"$mod": ["$$this", 2]}]}}}}},
        ],
        None,
    ),
    "lengthen": ([{"$set": {"list": {"$concatArrays": ["$list", {"$range": [0, 50_000]}]}}}], None),
    "filter": ([{"$set": {"list": {"$filter": {"input": "$list", "cond": {"$mod": ["$$this", 3]}}}}}], None),
    "empty": ({"$set": {"list": []}}, None),
    "no_array": ({"$set": {"list": {"5": 1}}}, None),
}

RECORD_UPDATES: dict[str, Update] = {
    "every_element": ({"$inc": {"list.$[].n": 1}}, None),
    "matching": ({"$set": {"list.$[e].w.1": "changed", "list.$[e].new": {"x": 1}}}, [{"e.m": 3}]),
    "inner": ({"$unset": {"list.$[e].w.$[f]": 1}}, [{"e.m": {"$gt": 4}}, {"f": {"$type": "number"}}]),
    "matching_rarely": ({"$set": {"list.$[e]": {"whole": 1}}}, [{"e.n": {"$mod": [9999, 5]}}]),
    "sort": ({"$push": {"list": {"$each": [], "$sort": {"m": -1, "n": 1}}}}, None),
    "sort_and_slice": ({"$push": {"list": {"$each": [{"n": -1, "m": 9}], "$sort": {"m": -1}, "$slice": 29_990}}}, None),
    "pull": ({"$pull": {"list": {"m": 6, "n": {"$gt": 29_000}}}}, None),
    "reverse": ([{"$set": {"list": {"$reverseArray": "$list"}}}], None),
    "shorten_and_change": (
        [
            {"$set": {"list": {"$slice": ["$list", 25_000]}}},
            {"$set": {"list": {"$map": {"input": "$list", "in": {"n": {"$add": ["$$this.n", 1]}, "m": "$$this.m"}}}}},
        ],
        None,
    ),
    "lengthen": ([{"$set": {"list": {"$concatArrays": ["$list", {"$slice": ["$list", 10_000]}]}}}], None),
    "fields_in_another_order": (
        [{"$set": {"list": {"$map": {"input": "$list", "in": {"w": "$$this.w", "n": "$$this.n", "m": "$$this.m"}}}}}],
        None,
    ),
}

TEXT_UPDATES: dict[str, Update] = {
    "push": ({"$push": {"list": {"$each": ["y" * 1_000_000], "$position": 2500}}}, None),
    "sort": ({"$push": {"list": {"$each": [], "$sort": -1}}}, None),
    "every_third": ([{"$set": {"list": {"$map": {"input": "$list", "in": {"$concat": ["$$this", "z"]}}}}}], None),
    "reverse": ([{"$set": {"list": {"$reverseArray": "$list"}}}], None),
    "keep_the_last": ({"$push": {"list": {"$each": ["end"], "$slice": -4000}}}, None),
}


def make_arrays(collection: Collection, array: Any, updates: dict[str, Update]) -> None:
    """A document with such an array for each update, made on the server."""
    collection.insert_one({"_id": "seed"})
    for name in updates:
        document = {"_id": name, "a": {"$literal": 1}, "list": array, "z": {"$literal": 1}}
        collection.aggregate([{"$match": {"_id": "seed"}}, {"$project": document}, {"$merge": collection.name}])


@both_modes
@pytest.mark.parametrize(
    "array, updates",
    [(NUMBERS, NUMBER_UPDATES), (RECORDS, RECORD_UPDATES), (TEXTS, TEXT_UPDATES)],
    ids=["numbers", "records", "texts"],
)
def test_large_arrays_are_changed(pair, plm, array, updates):
    """Each update has a document of its own, and then another change follows it on the same one."""
    source = pair.source.admin.a.b
    make_arrays(source, array, updates)
    plm.run()
    plm.start()
    plm.wait_synced()
    for name, (update, filters) in updates.items():
        assert source.update_one({"_id": name}, update, array_filters=filters).modified_count == 1
    for name in updates:
        source.update_one({"_id": name}, {"$set": {"list.3": "behind", "z": 2}})
    plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["parked"]["count"] == 0
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_arrays_that_are_changed_while_they_are_copied(pair, plm):
    """Also twice in a row: the older change meets the newer array."""
    source, names = pair.source.admin.a.b, ["reverse", "sort", "keep_the_first", "shorten", "filter", "lengthen"]
    updates = {name: NUMBER_UPDATES[name] for name in names}
    make_arrays(source, NUMBERS, updates)
    plm.run()
    with slow_command(pair.source, "getMore", 100), slow_command(pair.target, "insert", 100):
        plm.start(cloneReadBatchSize="100KB", cloneNumReadWorkers=1)
        for name, (update, filters) in updates.items():
            source.update_one({"_id": name}, update, array_filters=filters)
            source.update_one({"_id": name}, {"$push": {"list": {"$each": [7, 8], "$position": 500}}})
            source.update_one({"_id": name}, [{"$set": {"list": {"$slice": ["$list", 900]}}}])
        plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []
