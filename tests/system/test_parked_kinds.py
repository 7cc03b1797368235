"""What else the target may refuse than parallel arrays, and what becomes of parked documents later: each kind of index,
the copy, kills, renames, other reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from bson.son import SON
from conftest import SMALL_STEPS, both_modes, slow_command
from lab.compare import differences
from lab.daemon import Refused

CROSSED = [[[0, 0], [5, 5], [0, 5], [5, 0], [0, 0]]]  # a polygon whose edges cross


@dataclass(frozen=True)
class Refusal:
    """An index, and fields that it refuses and their reason, as the server gives it."""

    keys: list[tuple[str, Any]]
    fields: dict[str, Any]
    reason: str


REFUSALS = {
    "parallel_arrays": Refusal([("x", 1), ("y", 1)], {"x": [1, 2], "y": [3, 4]}, "parallel arrays"),
    "crossed_polygon": Refusal([("geo", "2dsphere")], {"geo": {"type": "Polygon", "coordinates": CROSSED}}, "geo keys"),
    "no_geometry": Refusal([("n", 1), ("geo", "2dsphere")], {"geo": "somewhere"}, "geo keys"),
    "flat_point_outside": Refusal([("flat", "2d")], {"flat": [500, 0]}, "interval"),
    "array_to_hash": Refusal([("h", "hashed")], {"h": [1, 2]}, "hashed index"),
    "unknown_language": Refusal([("s", "text")], {"s": "nuqneH", "language": "klingon"}, "language"),
    "array_beside_a_hash": Refusal([("n", "hashed"), ("list", 1)], {"list": [[1]]}, "hashed index"),
}


def follow(pair, plm) -> None:
    pair.source.admin.a.b.insert_many([{"_id": n} for n in range(10)])
    plm.run()
    plm.start()
    plm.wait_synced()


def refuse(pair, collection: str, refusal: Refusal) -> str:
    """An index that somebody makes on the target; its name."""
    return pair.target.admin.a[collection].create_index(refusal.keys)


def wait_parked(plm, count: int) -> list[str]:
    return plm.wait_for(f"{count} parked", lambda status: status["parked"]["count"] == count)["parked"]["sample"]


def write_refused(collection, refusal: Refusal) -> None:
    """One insertion and one update, between others that are taken."""
    collection.insert_many([{"_id": "before"}, {"_id": "inserted", **refusal.fields}, {"_id": "after"}])
    collection.update_one({"_id": 4}, {"$set": {"before": 1}})
    collection.update_one({"_id": 5}, {"$set": refusal.fields})
    collection.update_one({"_id": 6}, {"$set": {"after": 1}})


@both_modes
@pytest.mark.parametrize("kind", REFUSALS)
def test_what_an_index_refuses_is_parked_and_written_when_the_index_is_gone(pair, plm, kind):
    source, target, refusal = pair.source.admin.a.b, pair.target.admin.a.b, REFUSALS[kind]
    follow(pair, plm)
    index = refuse(pair, "b", refusal)
    write_refused(source, refusal)
    sample = wait_parked(plm, 2)
    plm.wait_applied(pair.source.cluster_time())
    assert [entry.partition(": ")[0] for entry in sorted(sample)] == ['a.b "inserted"', "a.b 5"]
    assert all(refusal.reason in entry for entry in sample), sample
    assert target.count_documents({"_id": {"$in": ["before", "after"]}}) == 2
    assert target.find_one(4) == {"_id": 4, "before": 1} and target.find_one(6) == {"_id": 6, "after": 1}
    assert target.find_one("inserted") is None and target.find_one(5) == {"_id": 5}
    source.update_one({"_id": 5}, {"$set": {"newest": True}})
    plm.wait_applied(pair.source.cluster_time())
    wait_parked(plm, 2)
    target.drop_index(index)
    assert "waivedParked" not in plm.finish()["finalization"]
    assert plm.status()["parked"]["count"] == 0
    assert differences(pair.source, pair.target) == []


def test_finalize_names_what_each_kind_of_index_refuses(pair, plm):
    follow(pair, plm)
    for kind, refusal in REFUSALS.items():
        pair.source.admin.a[kind].insert_one({"_id": "first"})
        plm.wait_applied(pair.source.cluster_time())
        refuse(pair, kind, refusal)
        pair.source.admin.a[kind].insert_one({"_id": f"of {kind}", **refusal.fields})
    sample = wait_parked(plm, len(REFUSALS))
    with pytest.raises(Refused) as refused:
        plm.finalize()
    assert refused.value.http_status == 409
    assert any(entry in refused.value.error for entry in sample)
    plm.post("/finalize", {"waiveParked": True})
    waived = plm.wait_state("finalized")["finalization"]["waivedParked"]
    assert waived["count"] == len(REFUSALS)
    documents = {document["namespace"]: document for document in waived["documents"]}
    for kind, refusal in REFUSALS.items():
        assert documents[f"a.{kind}"]["_id"] == f"of {kind}"
        assert refusal.reason in documents[f"a.{kind}"]["reason"]


@both_modes
def test_what_the_copy_cannot_write_is_parked(pair, plm):
    source, target, refusal = pair.source.admin.a.b, pair.target.admin.a, REFUSALS["array_to_hash"]
    source.insert_many([{"_id": n, "filler": "x" * 1000} for n in range(2000)])
    source.insert_many([{"_id": n, "filler": "x" * 1000, **refusal.fields} for n in range(2000, 2003)])
    plm.run()
    with slow_command(pair.target, "insert"):
        plm.start(**SMALL_STEPS)
        plm.wait_for("the first range", lambda status: status["initialSync"]["clonedSizeBytes"] > 0)
        (copy,) = target.list_collection_names()  # it may have a name of its own as yet
        index = target[copy].create_index(refusal.keys)
    sample = wait_parked(plm, 3)
    assert sorted(entry.partition(": ")[0] for entry in sample) == ["a.b 2000", "a.b 2001", "a.b 2002"]
    plm.wait_synced()
    assert target.b.count_documents({}) == 2000
    source.delete_one({"_id": 2000})
    source.update_one({"_id": 2001}, {"$set": {"h": "no array"}})
    wait_parked(plm, 1)
    target.b.drop_index(index)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("kind", ["parallel_arrays", "crossed_polygon", "array_to_hash", "unknown_language"])
def test_an_index_that_the_source_drops_while_it_is_copied_parks_nothing(pair, plm, kind):
    """It was listed, and the documents that come to be in its place would be refused by it."""
    source, refusal = pair.source.admin.a.b, REFUSALS[kind]
    source.insert_many([{"_id": n, "filler": "x" * 1000} for n in range(1000)])
    index = source.create_index(refusal.keys)
    plm.run()
    with slow_command(pair.target, "insert"):
        plm.start(**SMALL_STEPS)
        plm.wait_for("the first range", lambda status: status["initialSync"]["clonedSizeBytes"] > 0)
        source.drop_index(index)
        for n in range(0, 1000, 90):
            source.update_one({"_id": n}, {"$set": refusal.fields})
        source.insert_one({"_id": "inserted", **refusal.fields})
    status = plm.wait_synced()
    assert status["parked"]["count"] == 0
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []


@both_modes
def test_an_index_that_comes_and_goes_on_the_source_parks_nothing(pair, plm):
    """Also when all of it is replayed after a kill, upon documents that are newer."""
    source = pair.source.admin.a.b
    follow(pair, plm)
    for _ in range(2):
        for refusal in REFUSALS.values():
            source.update_many({"_id": {"$lt": 3}}, {"$set": refusal.fields})
            source.update_many({}, {"$unset": dict.fromkeys(refusal.fields, 1)})
            index = source.create_index(refusal.keys)
            source.update_many({}, {"$inc": {"turn": 1}})
            source.drop_index(index)
            source.update_many({"_id": {"$gt": 7}}, {"$set": refusal.fields})
        plm.wait_applied(pair.source.cluster_time())
        assert plm.status()["parked"]["count"] == 0
        plm.kill9()
        source.update_many({}, {"$unset": {"s": 1, "h": 1}})
        plm.run()
    plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["parked"]["count"] == 0
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- later -------------------------------------------------------------------------------------------------------------
PARALLEL = REFUSALS["parallel_arrays"]


@pytest.fixture
def parked(pair, plm):
    """a.b with three documents that an index of the target refuses: "one", "two", SON(k=3)."""
    follow(pair, plm)
    refuse(pair, "b", PARALLEL)
    pair.source.admin.a.b.insert_many([{"_id": key, **PARALLEL.fields} for key in ("one", "two", SON(k=3))])
    wait_parked(plm, 3)
    return plm


@both_modes
def test_parked_documents_survive_kills_and_arrive_in_their_newest_version(pair, parked):
    source = pair.source.admin.a.b
    sample = sorted(parked.status()["parked"]["sample"])
    for turn in range(2):
        parked.kill9()
        source.update_one({"_id": "one"}, {"$set": {"turn": turn}, "$push": {"x": turn}})
        source.insert_one({"_id": f"turn {turn}"})
        parked.run()
        parked.wait_applied(pair.source.cluster_time())
        assert sorted(wait_parked(parked, 3)) == sample
        assert pair.target.admin.a.b.find_one(f"turn {turn}")
    parked.kill9()
    source.delete_one({"_id": "two"})
    pair.target.admin.a.b.drop_index("x_1_y_1")
    source.replace_one({"_id": {"k": 3}}, {"x": [3], "y": [3]})
    parked.run()
    parked.wait_applied(pair.source.cluster_time())
    parked.finish()
    assert parked.status()["parked"]["count"] == 0
    assert differences(pair.source, pair.target) == []
    assert pair.target.admin.a.b.find_one("one") == {"_id": "one", "x": [1, 2, 0, 1], "y": [3, 4], "turn": 1}


def test_parked_documents_are_told_while_paused_and_after_a_kill_there(pair, parked):
    sample = sorted(parked.status()["parked"]["sample"])
    parked.pause()
    parked.kill9()
    parked.run()
    status = parked.wait_state("paused")
    assert status["parked"]["count"] == 3 and sorted(status["parked"]["sample"]) == sample
    pair.target.admin.a.b.drop_index("x_1_y_1")
    parked.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_kills_while_many_are_parked_forget_none(pair, plm):
    source = pair.source.admin.a.b
    follow(pair, plm)
    refuse(pair, "b", PARALLEL)
    for turn in range(4):
        source.insert_many([{"_id": f"{turn} {n}", **(PARALLEL.fields if n % 2 else {})} for n in range(200)])
        plm.wait_for("some parked", lambda status, turn=turn: status["parked"]["count"] > turn * 100)
        plm.kill9()
        plm.run()
    wait_parked(plm, 400)
    plm.wait_applied(pair.source.cluster_time())
    assert pair.target.admin.a.b.count_documents({}) == 410
    pair.target.admin.a.b.drop_index("x_1_y_1")
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_what_is_no_trouble_any_more_is_no_longer_parked(pair, parked):
    """Deleted, changed, or written again under the same key."""
    source = pair.source.admin.a.b
    source.delete_one({"_id": "one"})
    source.update_one({"_id": "two"}, {"$set": {"y": 1}})
    source.delete_one({"_id": {"k": 3}})
    source.insert_one({"_id": {"k": 3}, "x": [1]})
    wait_parked(parked, 0)
    parked.wait_applied(pair.source.cluster_time())
    parked.finish()
    assert differences(pair.source, pair.target) == []


def test_keys_that_are_equal_are_parked_once(pair, parked):
    """1 and 1.0 are the same document, and a number inside a key is no other."""
    source = pair.source.admin.a.b
    source.delete_one({"_id": {"k": 3}})
    source.insert_one({"_id": {"k": 3.0}, **PARALLEL.fields})
    parked.wait_applied(pair.source.cluster_time())
    wait_parked(parked, 3)
    source.update_one({"_id": {"k": 3}}, {"$unset": {"x": 1}})
    wait_parked(parked, 2)
    source.delete_many({"_id": {"$type": "string"}})
    parked.finish()
    assert differences(pair.source, pair.target) == []


def test_a_renamed_collection_takes_its_parked_documents_along(pair, parked):
    pair.source.admin.a.b.rename("renamed")
    pair.source.admin.a.b.insert_one({"_id": "one", **PARALLEL.fields})
    parked.wait_applied(pair.source.cluster_time())
    assert parked.status()["parked"]["count"] == 3
    pair.target.admin.a.renamed.drop_index("x_1_y_1")
    parked.finish()
    assert differences(pair.source, pair.target) == []


def test_parked_documents_are_named_by_the_present_name_of_their_collection(pair, parked):
    pair.source.admin.a.b.rename("renamed")
    parked.wait_applied(pair.source.cluster_time())
    sample = wait_parked(parked, 3)
    assert all(entry.startswith("a.renamed ") for entry in sample), sample


def test_the_reason_is_that_of_the_last_try(pair, parked):
    """Somebody who removes what was named has to learn what else there is."""
    source, target, other = pair.source.admin.a.b, pair.target.admin.a.b, REFUSALS["array_to_hash"]
    refuse(pair, "b", other)
    target.drop_index("x_1_y_1")
    source.update_one({"_id": "one"}, {"$set": other.fields})
    source.delete_many({"_id": {"$in": ["two", {"k": 3}]}})
    parked.wait_applied(pair.source.cluster_time())
    (entry,) = wait_parked(parked, 1)
    assert entry.startswith('a.b "one": ') and other.reason in entry


@both_modes
def test_a_unique_index_of_the_target_alone_parks_until_its_cause_is_gone(pair, plm):
    source, target = pair.source.admin.a.b, pair.target.admin.a.b
    follow(pair, plm)
    source.update_many({}, [{"$set": {"u": "$_id"}}])
    plm.wait_applied(pair.source.cluster_time())
    target.create_index("u", unique=True)
    source.insert_one({"_id": "second", "u": 1})
    source.update_one({"_id": 3}, {"$set": {"u": 2}})
    sample = wait_parked(plm, 2)
    assert all("duplicate key" in entry for entry in sample), sample
    source.delete_one({"_id": 1})
    source.update_one({"_id": 2}, {"$set": {"u": "free"}})
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()  # tries once more; whoever does not trust in that has to wait for it
    assert target.find_one("second") == {"_id": "second", "u": 1} and target.find_one(3) == {"_id": 3, "u": 2}


def test_keys_that_do_not_fit_in_the_cache_do_not_stop_the_others(pair, plm):
    """A document of few megabytes, but each element of its array makes a key of them all."""
    follow(pair, plm)
    pair.target.admin.a.b.create_index([("text", 1), ("list", 1)])
    pair.source.admin.a.b.insert_one({"_id": "large", "text": "x" * 7_000_000, "list": list(range(100))})
    pair.source.admin.a.b.insert_one({"_id": "other"})
    plm.wait_applied(pair.source.cluster_time(), timeout=90)
    wait_parked(plm, 1)
