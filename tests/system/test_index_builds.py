"""Index builds that fail, that run when plm starts, and that take long on the target while their collection changes.

Fault points of the servers hold a build where it is, and tell when one is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import middle_of_the_copy, operations, wait_until
from lab.compare import differences, indexes
from lab.daemon import replicated_time
from lab.load import fill
from lab.servers import ReplicaSet
from pymongo.database import Database
from pymongo.errors import OperationFailure

# The scan is done, keys of new writes are not in yet; and all keys are in.
SCANNED, ALMOST_DONE = "hangAfterStartingIndexBuildUnlocked", "hangIndexBuildBeforeCommit"
both_places = pytest.mark.parametrize("place", [SCANNED, ALMOST_DONE], ids=["scanned", "almost_done"])


class HangingBuilds:
    """From here until let_go() index builds hang at a place of the server's code."""

    def __init__(self, server: ReplicaSet, place: str) -> None:
        self.server, self.place = server, place
        command = {"configureFailPoint": place, "mode": "alwaysOn"}
        self.before = server.admin.admin.command(command)["count"]

    def wait(self) -> None:
        """Until one more build is there."""
        self.before += 1
        self.server.admin.admin.command("waitForFailPoint", self.place, timesEntered=self.before, maxTimeMS=20_000)

    def let_go(self) -> None:
        self.server.fail_point(self.place, "off")


@contextmanager
def hanging_builds(server: ReplicaSet, place: str) -> Iterator[HangingBuilds]:
    builds = HangingBuilds(server, place)
    try:
        yield builds
    finally:
        builds.let_go()


class Build(threading.Thread):
    """createIndexes on the source, whose answer comes late."""

    def __init__(self, collection, *specs: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.collection, self.specs = collection, specs
        self.error: OperationFailure | None = None
        self.start()

    def run(self) -> None:
        try:
            self.collection.database.command("createIndexes", self.collection.name, indexes=list(self.specs))
        except OperationFailure as error:
            self.error = error

    def succeeded(self) -> bool:
        self.join(30)
        assert not self.is_alive()
        return self.error is None


def index(*fields: str, **options: Any) -> dict[str, Any]:
    return {"key": dict.fromkeys(fields, 1), "name": "_".join(fields), **options}


def names(server: ReplicaSet, collection: str = "b") -> set[str]:
    return set(indexes(server.admin, "a", collection))


def unfinished(server: ReplicaSet, collection: str) -> set[str]:
    """Indexes that are being built; servers list them beside the others."""
    reply = server.admin.a.command("listIndexes", collection, includeBuildUUIDs=True)
    return {entry["spec"]["name"] for entry in reply["cursor"]["firstBatch"] if "buildUUID" in entry}


def works_on(server: ReplicaSet, *commands: str) -> bool:
    """Whether somebody waits for one of these commands."""
    running = operations(server, op="command")
    return any(command in operation.get("command", {}) for operation in running for command in commands)


def built(status: dict[str, Any]) -> bool:
    counts = status["initialSync"]["indexes"]
    return counts["built"] >= counts["total"]


# -- builds that fail on the source ------------------------------------------------------------------------------------
FAILING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # the document that is in the way, and the index
    "duplicates": ({"n": 5}, index("n", unique=True)),
    "bad_geometry": ({"at": {"type": "Point", "coordinates": "nowhere"}}, {"key": {"at": "2dsphere"}, "name": "at"}),
    "parallel_arrays": ({"x": [1], "y": [1]}, index("x", "y")),
}


@pytest.mark.parametrize("kind", FAILING)
@pytest.mark.parametrize("stage", ["copying", "following"])
def test_a_build_that_fails_on_the_source_leaves_nothing(pair, plm, stage, kind):
    """Nor do those that were to be built with it; what is built when its cause is gone arrives."""
    source, (document, spec) = pair.source.admin.a.b, FAILING[kind]
    fill(pair.source.admin, "a", "b", 2000)
    source.create_index("group", name="group")
    source.insert_one({"_id": "in the way", **document})

    def fail() -> None:
        assert not Build(source, index("filler"), spec).succeeded()
        assert not Build(source, spec).succeeded()
        source.update_many({"group": 3}, {"$set": {"m": 1}})

    with middle_of_the_copy(pair, plm, 150):
        if stage == "copying":
            fail()
    if stage == "following":
        fail()
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_for("indexes", built)
    assert names(pair.target) == {"_id_", "group"}
    source.delete_one({"_id": "in the way"})
    assert Build(source, index("filler"), spec).succeeded()
    plm.wait_applied(pair.source.cluster_time())
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert names(pair.target) == {"_id_", "group", "filler", spec["name"]}
    assert differences(pair.source, pair.target) == []


def test_a_build_that_fails_after_documents_came_in_its_way(pair, plm):
    """It begins well; what breaks it is written, and replicated, while it runs."""
    source = pair.source.admin.a.b
    source.insert_many([{"_id": n, "n": n} for n in range(100)])
    plm.run()
    plm.start()
    plm.wait_synced()
    with hanging_builds(pair.source, SCANNED) as builds:
        build = Build(source, index("n", unique=True))
        builds.wait()
        source.insert_one({"_id": "the same n", "n": 5})
        plm.wait_applied(pair.source.cluster_time())
        assert names(pair.target) == {"_id_"}
    assert not build.succeeded()
    source.insert_one({"_id": "later", "n": 5})
    plm.wait_applied(pair.source.cluster_time())
    assert names(pair.target) == {"_id_"}
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []


# -- builds that run on the source when plm starts ---------------------------------------------------------------------
def commit(db: Database, builds: HangingBuilds) -> None:
    builds.let_go()


def drop_index(db: Database, builds: HangingBuilds) -> None:
    ended_by(lambda: db.command("dropIndexes", "b", index=["n", "m"]), "dropIndexes", builds)


def drop_collection(db: Database, builds: HangingBuilds) -> None:
    ended_by(lambda: db.drop_collection("b"), "drop", builds)
    db.b.insert_one({"_id": "a new one of the same name"})


def drop_database(db: Database, builds: HangingBuilds) -> None:
    ended_by(lambda: db.client.drop_database("a"), "dropDatabase", builds)


def ended_by(action: Callable[[], Any], command: str, builds: HangingBuilds) -> None:
    """A build notices the command that ends it where it hangs no more."""
    ending = threading.Thread(target=action, daemon=True)
    ending.start()
    wait_until(lambda: works_on(builds.server, command) or not ending.is_alive())
    builds.let_go()
    ending.join(30)
    assert not ending.is_alive()


ENDS = {"commit": commit, "drop_index": drop_index, "drop_collection": drop_collection, "drop_database": drop_database}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("stage", ["copying", "following"])
def test_a_build_that_runs_at_the_start_ends_later(pair, plm, stage, end):
    """What is listed of it then is no index as yet; it arrives when it is one, and only then."""
    source = pair.source.admin.a
    fill(pair.source.admin, "a", "b", 2000)
    source.b.create_index("group", name="group")
    source.b.update_many({}, [{"$set": {"m": {"$subtract": [0, "$n"]}}}])

    def end_it(builds: HangingBuilds, build: Build) -> None:
        source.b.update_many({"group": 4}, {"$set": {"changed": True}})
        ENDS[end](source, builds)
        assert build.succeeded() == (end == "commit")

    with hanging_builds(pair.source, SCANNED) as builds:
        build = Build(source.b, index("n", unique=True), index("m"))
        builds.wait()
        with middle_of_the_copy(pair, plm, 150):
            if stage == "copying":
                end_it(builds, build)
        if stage == "following":
            plm.wait_for("indexes", built)
            assert names(pair.target) == {"_id_", "group"}
            end_it(builds, build)
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_synced()
    plm.wait_for("indexes", built)
    assert differences(pair.source, pair.target, synchronising=True) == []
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []
    if end == "commit":
        assert names(pair.target) == {"_id_", "group", "n", "m"}


@pytest.mark.parametrize("killed", ["while_it_runs", "behind_its_end"])
def test_a_build_of_the_source_that_lasts_longer_than_plm(pair, plm, killed):
    source = pair.source.admin.a.b
    source.insert_many([{"_id": n, "n": n} for n in range(200)])
    plm.run()
    with hanging_builds(pair.source, ALMOST_DONE) as builds:
        build = Build(source, index("n", unique=True))
        builds.wait()
        plm.start()
        plm.wait_synced()
        plm.kill9()
        if killed == "while_it_runs":
            plm.run()
            plm.wait_state("running")
            plm.wait_applied(pair.source.cluster_time())
            assert names(pair.target) == {"_id_"}
    assert build.succeeded()
    if killed == "behind_its_end":
        source.insert_one({"_id": "behind it"})
        plm.run()
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_for("the index", lambda _: names(pair.target) == {"_id_", "n"})
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- changes of a collection while the target builds its indexes -------------------------------------------------------
def convert_to_capped(db: Database) -> None:
    db.command("convertToCapped", "b", size=1 << 20)
    db.b.insert_one({"_id": "newest"})


def rename_another_onto(db: Database) -> None:
    db.small.rename("b", dropTarget=True)
    db.b.insert_one({"_id": "of the other"})


def drop_and_create(db: Database) -> None:
    db.drop_collection("b")
    db.b.insert_many([{"_id": n, "n": n} for n in range(50)])
    db.command("createIndexes", "b", indexes=[index("n")])


def create_again(db: Database) -> None:
    """The same name, other keys."""
    db.command("dropIndexes", "b", index="n")
    db.command("createIndexes", "b", indexes=[{"key": {"n": -1}, "name": "n", "unique": True}])


def move_to_another_database(db: Database) -> None:
    db.client.admin.command("renameCollection", "a.b", to="a_2.b")


DURING_A_BUILD: dict[str, Callable[[Database], Any]] = {
    "rename": lambda db: db.b.rename("c"),
    "rename_onto_another": lambda db: db.b.rename("small", dropTarget=True),
    "rename_another_onto": rename_another_onto,
    "move_to_another_database": move_to_another_database,
    "collmod": lambda db: db.command("collMod", "b", validator={"n": {"$exists": True}}, validationLevel="moderate"),
    "collmod_of_the_index": lambda db: db.command("collMod", "b", index={"name": "n", "hidden": True}),
    "drop": lambda db: db.drop_collection("b"),
    "drop_and_create": drop_and_create,
    "drop_database": lambda db: db.client.drop_database("a"),
    "drop_the_index": lambda db: db.command("dropIndexes", "b", index="n"),
    "drop_another_index": lambda db: db.command("dropIndexes", "b", index="group"),
    "drop_all_indexes": lambda db: db.command("dropIndexes", "b", index="*"),
    "create_again": create_again,
    "create_another": lambda db: db.command("createIndexes", "b", indexes=[index("filler")]),
    "convert_to_capped": convert_to_capped,
    "out_onto": lambda db: db.small.aggregate([{"$out": "b"}]),
}


@pytest.mark.parametrize("portable, place", [(False, SCANNED), (True, ALMOST_DONE)], ids=["scanned", "almost_done"])
@pytest.mark.parametrize("change", DURING_A_BUILD)
def test_a_collection_changes_while_the_target_builds_its_indexes(pair, plm, place, change):
    db = pair.source.admin.a
    fill(pair.source.admin, "a", "b", 1000)
    fill(pair.source.admin, "a", "small", 50)
    db.b.create_index("group", name="group")
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.wait_for("indexes", built)
    with hanging_builds(pair.target, place) as builds:
        db.command("createIndexes", "b", indexes=[index("n", unique=True), index("m", "n")])
        builds.wait()
        db.b.update_many({"group": 1}, {"$set": {"m": 1}})
        db.other.insert_one({"_id": "of another collection"})
        plm.wait_applied(pair.source.cluster_time())  # the stream does not wait for the build
        DURING_A_BUILD[change](db)
        db.other.insert_one({"_id": "behind the change"})
        end = pair.source.cluster_time()
        wait_until(
            lambda: works_on(pair.target, "dropIndexes", "drop", "renameCollection", "collMod")
            or replicated_time(plm.status()) >= end
        )
    plm.wait_applied(end)
    plm.wait_synced()
    plm.wait_for("indexes", built)
    found = differences(pair.source, pair.target, synchronising=True)
    assert [line for line in found if change != "convert_to_capped" or "other options" not in line] == []
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []


@both_places
def test_a_build_on_the_target_holds_up_nobody_else(pair, plm, place):
    """Other collections, their DDL, the copy of a new one, and the documents of the same collection."""
    db = pair.source.admin.a
    fill(pair.source.admin, "a", "b", 1000)
    fill(pair.source.admin, "outside", "moved", 1000)
    plm.run()
    plm.start(excludeNamespaces=["outside.*"])
    plm.wait_synced()
    with hanging_builds(pair.target, place) as builds:
        db.command("createIndexes", "b", indexes=[index("n")])
        builds.wait()
        db.created.insert_one({"_id": 1})
        db.created.rename("renamed")
        db.b.delete_many({"group": 2})
        db.dropped.insert_one({"_id": 1})
        db.dropped.drop()
        pair.source.admin.admin.command("renameCollection", "outside.moved", to="a.moved")
        plm.wait_applied(pair.source.cluster_time())
        plm.wait_synced()
        assert differences(pair.source, pair.target, ["a"], synchronising=True) == []
        assert plm.status()["state"] == "running"
        assert unfinished(pair.target, "b") == {"n"}
    plm.wait_for("the index", lambda _: unfinished(pair.target, "b") == set())
    plm.finish()
    assert differences(pair.source, pair.target, ["a"]) == []


@both_places
@pytest.mark.parametrize("change", ["rename", "drop_and_create", "drop_the_index", "collmod"])
def test_kill_9_while_the_target_builds_and_the_collection_changes(pair, plm, place, change):
    """The build lives on without the process that began it; the next one makes it give way."""
    db = pair.source.admin.a
    fill(pair.source.admin, "a", "b", 1000)
    plm.run()
    plm.start()
    plm.wait_synced()
    with hanging_builds(pair.target, place) as builds:
        db.command("createIndexes", "b", indexes=[index("n", unique=True), index("m", "n")])
        builds.wait()
        plm.wait_applied(pair.source.cluster_time())
        plm.kill9()
        DURING_A_BUILD[change](db)
        db.other.insert_one({"_id": "behind the change"})
        end = pair.source.cluster_time()
        plm.run()
        wait_until(
            lambda: works_on(pair.target, "dropIndexes", "drop", "renameCollection", "collMod")
            or replicated_time(plm.status()) >= end
        )
    plm.wait_applied(end)
    assert plm.finish()["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []
