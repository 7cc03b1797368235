"""A job that is copied again after its position was lost, or to repair the target: what is equal is not written."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import CLIENT, SMALL_STEPS, copying, slow_command
from lab.compare import differences
from lab.daemon import Plm, Refused, replicated_time
from lab.servers import ReplicaSet
from test_oplog_window import roll_over, source  # noqa: F401 - the fixture

BOTH = pytest.mark.parametrize("recopy", ["changed", "all"])
BEGIN = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture
def plm(source: ReplicaSet, pair, tmp_path: Path) -> Iterator[Plm]:  # noqa: F811
    """A plm for the source whose oplog is small, not running yet."""
    source.wipe()
    daemon = Plm(source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path)
    yield daemon
    daemon.stop()


def fill(source: ReplicaSet) -> None:  # noqa: F811
    a = source.admin.a
    a.same.insert_many({"_id": n, "text": "x" * 100} for n in range(300))
    a.written.insert_many({"_id": n, "n": n, "text": "x" * 100} for n in range(300))
    a.written.create_index("n", unique=True, name="n_1")
    a.written.create_index("text", name="text_1")
    for name in ("dropped", "renamed", "left", "right"):
        a[name].insert_many({"_id": n, "of": name} for n in range(50))
    a.create_collection("capped", capped=True, size=100_000, max=20)
    a.capped.insert_many({"_id": n} for n in range(30))
    a.command({"create": "series", "timeseries": {"timeField": "t", "metaField": "m"}})
    a.series.insert_many({"t": BEGIN + datetime.timedelta(seconds=n), "m": n % 3, "x": n} for n in range(100))
    a.command({"create": "view", "viewOn": "same", "pipeline": []})
    a.create_collection("modified")
    a.modified.insert_one({"_id": 1})


def change(source: ReplicaSet) -> None:  # noqa: F811
    """What nobody reads of."""
    a = source.admin.a
    a.written.insert_many({"_id": n, "n": n} for n in range(300, 330))
    a.written.update_many({"_id": {"$lt": 20}}, {"$set": {"changed": True}})
    a.written.delete_many({"_id": {"$gte": 100, "$lt": 120}})
    a.written.delete_one({"_id": 50})
    a.written.insert_one({"_id": 50.0, "n": 50})
    a.written.drop_index("text_1")
    a.written.create_index("changed", name="changed_1")
    a.dropped.drop()
    a.created.insert_one({"_id": "new"})
    a.renamed.rename("other_name")
    for old, new in (("left", "between"), ("right", "left"), ("between", "right")):
        a[old].rename(new)
    a.left.insert_one({"_id": "was right"})
    a.capped.insert_many({"_id": n} for n in range(30, 45))
    a.series.insert_many({"t": BEGIN + datetime.timedelta(seconds=n), "m": n % 3, "x": n} for n in range(200, 230))
    a.view.drop()
    a.command({"collMod": "modified", "validator": {"n": 1}})


def lose_position(plm: Plm, source: ReplicaSet) -> None:  # noqa: F811
    roll_over(source, replicated_time(plm.status()))


def finish(plm: Plm, source: ReplicaSet, target: ReplicaSet) -> None:  # noqa: F811
    plm.wait_synced()
    source.admin.a.written.insert_one({"_id": "behind", "n": -1})
    plm.wait_applied(source.cluster_time())
    status = plm.finish()
    assert status["finalization"]["differences"] == []
    assert status["finalization"]["unsuccessfulIndexes"] == []
    assert differences(source, target) == []


def uuids(server: ReplicaSet) -> dict[str, Any]:
    specs = server.admin.a.list_collections(filter={"name": {"$ne": "system.views"}})
    return {spec["name"]: spec["info"]["uuid"] for spec in specs if "uuid" in spec["info"]}


def refused(plm: Plm, http_status: int, **options: Any) -> str:
    with pytest.raises(Refused) as refusal:
        plm.resume(**options)
    assert refusal.value.http_status == http_status
    return refusal.value.error


def follow(plm: Plm, source: ReplicaSet) -> None:  # noqa: F811
    fill(source)
    plm.run()
    plm.start()
    plm.wait_synced()


@contextmanager
def profiled(target: ReplicaSet) -> Iterator[list[dict[str, Any]]]:
    """The writes of documents that the target's database `a` sees meanwhile."""
    seen: list[dict[str, Any]] = []
    target.admin.a.command("profile", 2)
    try:
        yield seen
    finally:
        target.admin.a.command("profile", 0)
        seen += target.admin.a["system.profile"].find({"op": {"$in": ["insert", "update", "remove"]}})
        target.admin.a["system.profile"].drop()


@BOTH
def test_a_paused_job_goes_on_though_its_position_is_lost(source, pair, plm, recopy):  # noqa: F811
    follow(plm, source)
    plm.pause()
    change(source)
    lose_position(plm, source)
    assert "plm resume --recopy changed" in refused(plm, 409)
    before = uuids(pair.target)
    answer = plm.command("resume", "--recopy", recopy)
    assert answer.returncode == 0, answer.stderr
    plm.wait_synced()
    after = uuids(pair.target)
    kept = {"same", "written", "system.buckets.series"}
    same = {name for name in before.keys() & after.keys() if before[name] == after[name]}
    assert same == (kept if recopy == "changed" else set())
    if recopy == "changed":
        assert after["other_name"] == before["renamed"]
        assert (after["left"], after["right"]) == (before["right"], before["left"])
    assert plm.get("/health").status_code == 200
    finish(plm, source, pair.target)


def test_what_is_equal_is_not_written(source, pair, plm):  # noqa: F811
    follow(plm, source)
    plm.pause()
    source.admin.a.written.update_one({"_id": 7}, {"$set": {"n": -7}})
    source.admin.a.same.update_one({"_id": 1}, {"$set": {"text": "another"}})
    source.admin.a.same.update_one({"_id": 1}, {"$set": {"text": "x" * 100}})
    lose_position(plm, source)
    with profiled(pair.target) as writes:
        plm.resume(recopy="changed")
        plm.wait_synced()
    documents = {write["ns"] for write in writes}
    assert not documents & {"a.same", "a.left", "a.right", "a.renamed", "a.dropped", "a.system.buckets.series"}
    finish(plm, source, pair.target)


@BOTH
def test_a_failed_job_goes_on(source, pair, plm, recopy):  # noqa: F811
    follow(plm, source)
    plm.kill9()
    change(source)
    roll_over(source, source.cluster_time())
    plm.run()
    assert "plm resume --recopy changed" in plm.wait_state("failed")["error"]
    refused(plm, 409, fromFailure=True)
    plm.resume(recopy=recopy)
    finish(plm, source, pair.target)


@BOTH
def test_kills_in_the_middle_of_the_copy(source, pair, plm, recopy):  # noqa: F811
    source.admin.a.large.insert_many({"_id": n, "text": "y" * 1000} for n in range(1500))
    fill(source)
    plm.run()
    plm.start(**SMALL_STEPS)
    plm.wait_synced()
    plm.pause()
    change(source)
    source.admin.a.large.update_many({"_id": {"$mod": [3, 0]}}, {"$set": {"text": "z" * 900}})
    source.admin.a.large.delete_many({"_id": {"$mod": [7, 0]}})
    lose_position(plm, source)
    with slow_command(pair.target, "insert", 50):
        plm.resume(recopy=recopy)
        plm.kill9()
        plm.run()
        for _ in range(3):
            plm.wait_for("a copy", lambda status: copying(status) or status["initialSync"]["completed"])
            plm.kill9()
            plm.run()
    finish(plm, source, pair.target)


def test_it_repairs_the_target_though_the_position_is_kept(source, pair, plm):  # noqa: F811
    follow(plm, source)
    plm.pause()
    target = pair.target.admin.a
    target.same.delete_one({"_id": 3})
    target.same.update_one({"_id": 4}, {"$set": {"text": "spoilt"}})
    target.same.insert_one({"_id": "foreign"})
    target.left.drop()
    plm.resume(recopy="changed")
    finish(plm, source, pair.target)


def test_other_values_and_states_are_refused(source, pair, plm):  # noqa: F811
    plm.run()
    assert "recopy" in refused(plm, 400, recopy="some")
    assert "recopy" in refused(plm, 400, recopy=True)
    answer = plm.command("resume", "--recopy", "some")
    assert answer.returncode == 2 and "recopy" in answer.stderr
    refused(plm, 409, recopy="changed")
    fill(source)
    plm.start()
    plm.wait_synced()
    assert "running" in refused(plm, 409, recopy="changed")
    plm.finish()
    assert "finalized" in refused(plm, 409, recopy="all")
