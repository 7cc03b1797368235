"""Many changes of names in one burst, while what they name is being copied and with kills in between; what of them the
filter selects."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from conftest import both_modes, copying, middle_of_the_copy, slow_command
from lab.compare import differences
from lab.load import fill
from pymongo.database import Database

# Each collection is one range, copied beside the others in many batches.
ALL_AT_ONCE = {"cloneSegmentSize": "100MB", "cloneReadBatchSize": "20KB", "cloneNumReadWorkers": 3}
Step = Callable[[Database], Any]


def write(db: Database, name: str, turn: int) -> None:
    """So that the content of one collection is told from that of another, and older from newer."""
    db[name].insert_one({"n": ObjectId(), "as": name, "turn": turn})
    db[name].update_many({"n": {"$mod": [50, turn % 50]}}, {"$set": {"as": name, "turn": turn}})
    db[name].delete_many({"n": 100 + turn})


# The collections are a, b and c; each burst comes back to these names.
BURSTS: dict[str, list[tuple[str, str]]] = {
    "swap": [("a", "t"), ("b", "a"), ("t", "b")],
    "chain": [("c", "t"), ("b", "c"), ("a", "b"), ("t", "a")],
    "chain_back": [("a", "t"), ("b", "a"), ("c", "b"), ("t", "c")],
    "two_swaps": [("a", "t"), ("b", "a"), ("t", "b"), ("b", "t"), ("c", "b"), ("t", "c")],
}


@pytest.mark.parametrize("portable, kills", [(False, 0), (False, 4), (True, 2)], ids=["exact", "kills", "portable-kills"])
@pytest.mark.parametrize("burst", BURSTS)
def test_names_change_hands_while_all_of_them_are_copied(pair, plm, burst, kills):
    db = pair.source.admin.db
    for number, name in enumerate("abc"):
        fill(pair.source.admin, "db", name, 2500 + 100 * number)
        db[name].create_index([("n", 1), (name, 1)], name=f"first called {name}")
    plm.run()
    with slow_command(pair.target, "insert", 300):
        plm.start(**ALL_AT_ONCE)
        plm.wait_for("all three copies", lambda s: len(s["initialSync"]["collections"]["copying"]) == 3 and copying(s))
        for turn in range(max(kills, 2)):
            read = plm.status()["eventsRead"]
            for old, new in BURSTS[burst]:
                write(db, old, turn)
                db[old].rename(new)
                write(db, new, turn)
            if kills:
                plm.wait_for("some of the burst", lambda s, read=read: s["eventsRead"] > read)
                plm.kill9()
                plm.run()
        assert not plm.status()["initialSync"]["cloneCompleted"]
    plm.wait_synced()
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target, synchronising=True) == []
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- one name, again and again -----------------------------------------------------------------------------------------
def ordinary(db: Database, turn: int) -> None:
    db.a.insert_many([{"_id": n, "turn": turn} for n in range(20)])
    db.a.create_index("turn", name=f"of turn {turn}")


def capped(db: Database, turn: int) -> None:
    db.create_collection("a", capped=True, size=100_000, max=10)
    db.a.insert_many([{"_id": n, "turn": turn} for n in range(20, 0, -1)])


def clustered(db: Database, turn: int) -> None:
    db.command({"create": "a", "clusteredIndex": {"key": {"_id": 1}, "unique": True}, "expireAfterSeconds": 10**9})
    db.a.insert_many([{"_id": n, "turn": turn} for n in range(20)])


def collated(db: Database, turn: int) -> None:
    db.create_collection("a", collation={"locale": "en", "strength": 2})
    db.a.insert_many([{"_id": f"Name {n}", "turn": turn} for n in range(20)])


def series(db: Database, turn: int) -> None:
    db.command({"create": "a", "timeseries": {"timeField": "t", "metaField": "m"}})
    begin = datetime.datetime(2030, 1, 1)
    db.a.insert_many([{"t": begin + datetime.timedelta(seconds=n), "m": n % 3, "turn": turn} for n in range(20)])


def view(db: Database, turn: int) -> None:
    db.command({"create": "a", "viewOn": "other", "pipeline": [{"$match": {"n": turn}}]})


def moved_here(db: Database, turn: int) -> None:
    ordinary(db.client[f"{db.name}_2"], turn)
    db.client.admin.command("renameCollection", f"{db.name}_2.a", to=f"{db.name}.a")


def result(db: Database, turn: int) -> None:
    db.other.aggregate([{"$match": {"n": {"$lt": 10}}}, {"$set": {"turn": turn}}, {"$out": "a"}])


def converted(db: Database, turn: int) -> None:
    ordinary(db, turn)
    db.command("convertToCapped", "a", size=100_000)


MADE: list[Callable[[Database, int], None]] = [
    ordinary, capped, clustered, collated, series, view, moved_here, result, converted, ordinary
]  # fmt: skip


@both_modes
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
@pytest.mark.parametrize("stage", ["copying", "following"])
def test_one_name_is_taken_ten_times_by_all_kinds(pair, plm, stage, killed):
    """It begins as a collection that is being copied; each of the next is dropped at once for the one behind it."""
    db = pair.source.admin.db
    fill(pair.source.admin, "db", "a", 2000)
    fill(pair.source.admin, "db", "other", 2000)
    chance = random.Random(5)

    def burst() -> None:
        for turn in range(3):
            order = list(MADE)
            chance.shuffle(order)
            for number, make in enumerate(order):
                db.drop_collection("a")
                make(db, 10 * turn + number)
            if killed:
                plm.kill9()
                plm.run()

    with middle_of_the_copy(pair, plm, 100):
        if stage == "copying":
            burst()
    if stage == "following":
        burst()
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- across databases --------------------------------------------------------------------------------------------------
@both_modes
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_a_rename_onto_another_database_while_both_are_copied(pair, plm, killed):
    client = pair.source.admin
    for database in ("one", "two"):
        fill(client, database, "a", 2500)
        client[database].a.create_index("n", unique=True, name=f"of {database}")
    plm.run()
    with slow_command(pair.target, "insert", 300):
        plm.start(**ALL_AT_ONCE)
        both = ["one.a", "two.a"]
        plm.wait_for("both copies", lambda s: sorted(s["initialSync"]["collections"]["copying"]) == both and copying(s))
        write(client.one, "a", 1)
        write(client.two, "a", 2)
        client.admin.command("renameCollection", "one.a", to="two.a", dropTarget=True)
        write(client.two, "a", 3)
        client.one.a.insert_one({"_id": "a new one of the old name"})
        if killed:
            plm.kill9()
            plm.run()
        assert not plm.status()["initialSync"]["cloneCompleted"]
    plm.wait_synced()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- what the filter selects -------------------------------------------------------------------------------------------
SELECTED = ["a.in", "a.also", "b.in"]


def out_into(db: Database) -> None:
    """From an excluded one into a selected name: a new one, and onto one that is there."""
    db.out.aggregate([{"$match": {"n": {"$lt": 700}}}, {"$out": "also"}])
    db.out.aggregate([{"$match": {"n": {"$gte": 700}}}, {"$set": {"by": "$out"}}, {"$out": "in"}])
    write(db, "in", 1)


def out_from(db: Database) -> None:
    """From a selected one onto excluded names, and back."""
    db["in"].aggregate([{"$set": {"was": "in"}}, {"$out": "out"}])
    db["in"].aggregate([{"$out": "new outside"}])
    db["in"].aggregate([{"$out": {"db": "c", "coll": "in"}}])
    db.out.aggregate([{"$match": {"n": {"$lt": 50}}}, {"$out": "also"}])
    write(db, "out", 1)


def merge_across(db: Database) -> None:
    db.out.aggregate([{"$match": {"n": {"$lt": 100}}}, {"$set": {"by": "$merge"}}, {"$merge": {"into": "in"}}])
    db["in"].aggregate([{"$set": {"by": "$merge"}}, {"$merge": {"into": "out"}}])
    db.out.aggregate([{"$match": {"n": {"$lt": 30}}}, {"$merge": {"into": {"db": "b", "coll": "in"}}}])


def swap_across(db: Database) -> None:
    """The selected and the excluded one exchange their names."""
    db["in"].rename("t")
    db.out.rename("in")
    db.t.rename("out")
    write(db, "in", 1)
    write(db, "out", 2)


def there_and_back(db: Database) -> None:
    for turn in range(3):
        db["in"].rename("gone")
        write(db, "gone", turn)
        db.gone.rename("in")
        write(db, "in", 10 + turn)


def drop_all(db: Database) -> None:
    write(db, "in", 1)
    db.client.drop_database("a")
    db.out.insert_one({"_id": "of the second life"})
    fill(db.client, "a", "also", 300)


ACROSS: dict[str, Step] = {
    "out_into": out_into, "out_from": out_from, "merge": merge_across, "swap": swap_across,
    "there_and_back": there_and_back, "drop_database": drop_all,
}  # fmt: skip


@both_modes
@pytest.mark.parametrize("stage", ["copying", "following", "killed"])
@pytest.mark.parametrize("change", ACROSS)
def test_changes_across_the_border_of_the_filter(pair, plm, stage, change):
    """Databases have selected collections beside excluded ones; of these the target has its own, which stay."""
    source, target = pair.source.admin, pair.target.admin
    for name in ("in", "out"):
        fill(source, "a", name, 1500)
        source.a[name].update_many({}, {"$set": {"first": name}})
        source.a[name].create_index("n", name=f"of {name}")
    fill(source, "b", "in", 20)
    target.a.out.insert_one({"_id": "of the target"})
    target.c["in"].insert_one({"_id": "of the target"})
    with middle_of_the_copy(pair, plm, 100, includeNamespaces=SELECTED):
        if stage != "following":
            ACROSS[change](source.a)
        if stage == "killed":
            plm.kill9()
            plm.run()
    if stage == "following":
        ACROSS[change](source.a)
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_synced()
    plm.finish()
    assert list(target.a.out.find()) == list(target.c["in"].find()) == [{"_id": "of the target"}]
    target.a.out.drop()
    target.drop_database("c")
    for database in ("a", "c"):
        for name in source[database].list_collection_names():
            if f"{database}.{name}" not in SELECTED:
                source[database].drop_collection(name)
    assert differences(pair.source, pair.target) == []
