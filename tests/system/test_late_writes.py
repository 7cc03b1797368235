"""Commands that arrive late, in the words of the invariant I6: no write of the past lands late.

A proxy between plm and the target holds a command back: plm sees its connection break and does not know the outcome. It
goes on; later the command arrives. In each of these tests it would do harm, and the server refuses it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from conftest import CLIENT, SMALL_STEPS, behind, both_modes, copying, failing, fault_point, operations, slow_command, wait_until
from lab.compare import differences
from lab.daemon import Plm
from lab.load import fill
from lab.proxy import HeldCommand
from lab.servers import STATE_DATABASE

FENCE_IS_GONE = 26
TOO_OLD = 225
UUID_DOES_NOT_MATCH = 361
BEHIND_AN_OPERATION = "applyOpsPauseBetweenOperations"  # applyOps hangs there


@pytest.fixture
def plm(pair, proxy, tmp_path, portable) -> Iterator[Plm]:
    """Its way to the target leads through the proxy."""
    daemon = Plm(pair.source.uri(**CLIENT), behind(proxy, pair.target), tmp_path, portable=portable)
    yield daemon
    daemon.stop()


@pytest.fixture
def second(pair, tmp_path, portable) -> Iterator[Plm]:
    """One that goes straight to the target."""
    daemon = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path / "second", portable=portable)
    yield daemon
    daemon.stop()


def writes_to(namespace: str, *names: str):
    """Picks the next command of these names, or applyOps, that writes to the namespace, or to a working name beside it."""
    database, _, _ = namespace.partition(".")

    def meant(written: str) -> bool:
        return written == namespace or written.startswith(f"{database}.plm_copy_")

    def wanted(name: str, command: dict) -> bool:
        if name not in names:
            return False
        if name == "applyOps":
            return any(meant(operation["ns"]) for operation in command["applyOps"])
        return meant(f"{command['$db']}.{command[name]}")

    return wanted


def refused(answer: dict) -> bool:
    return answer["ok"] == 0 and answer["code"] in (FENCE_IS_GONE, TOO_OLD)


def synced(pair, plm: Plm) -> None:
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.wait_applied(pair.source.cluster_time())


def equal(pair, plm: Plm) -> None:
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target, synchronising=True) == []


@both_modes
def test_c2_an_update_of_unknown_outcome_does_not_undo_a_later_one(pair, plm, proxy):
    documents = pair.source.admin.a.b
    documents.insert_one({"_id": 1, "n": 0})
    synced(pair, plm)
    proxy.hold_next(writes_to("a.b", "applyOps", "update"))
    documents.update_one({"_id": 1}, {"$set": {"n": 1}})
    held = proxy.wait_held()
    plm.wait_applied(pair.source.cluster_time())
    documents.update_one({"_id": 1}, {"$set": {"n": 2}})
    plm.wait_applied(pair.source.cluster_time())
    assert refused(held.arrive())
    equal(pair, plm)


@both_modes
def test_c2_a_delete_of_unknown_outcome_does_not_remove_a_newer_document(pair, plm, proxy):
    documents = pair.source.admin.a.b
    documents.insert_one({"_id": 1, "n": 0})
    synced(pair, plm)
    proxy.hold_next(writes_to("a.b", "applyOps", "delete"))
    documents.delete_one({"_id": 1})
    held = proxy.wait_held()
    plm.wait_applied(pair.source.cluster_time())
    documents.insert_one({"_id": 1, "n": "newer"})
    plm.wait_applied(pair.source.cluster_time())
    assert refused(held.arrive())
    equal(pair, plm)


def test_c2_an_insert_of_unknown_outcome_does_not_bring_back_what_was_deleted(pair, plm, proxy):
    """One of the copy."""
    fill(pair.source.admin, "a", "b", 200)
    proxy.hold_next(writes_to("a.b", "insert"))
    synced(pair, plm)
    held = proxy.wait_held()
    pair.source.admin.a.b.delete_many({"n": {"$gte": 0}})
    plm.wait_applied(pair.source.cluster_time())
    assert refused(held.arrive())
    equal(pair, plm)


# ---- Copies under a working name: a collection of more than a megabyte -------------------------------------------------


def refused_by_name(answer: dict) -> bool:
    return answer["n"] == 0 and {error["code"] for error in answer["writeErrors"]} == {UUID_DOES_NOT_MATCH}


def names_on_target(pair, database: str) -> list[str]:
    return sorted(pair.target.admin[database].list_collection_names())


# Small ranges, so that one of them is done, and what happened to it meanwhile is applied, long before the whole copy is.
arrivals = pytest.mark.parametrize("arrives", ["while_copying", "afterwards"])


def delete_what_is_held(pair, plm: Plm, held: HeldCommand) -> None:
    """Once it was copied without that insert, and applied."""
    keys = [document["_id"] for document in held.documents()]
    assert keys
    wait_until(lambda: any(pair.target.admin.a[name].find_one(keys[0]) for name in names_on_target(pair, "a")))
    pair.source.admin.a.b.delete_many({"_id": {"$in": keys}})
    plm.wait_applied(pair.source.cluster_time())


@arrivals
def test_c2_a_copys_insert_of_unknown_outcome_is_shut_out_by_another_name(pair, plm, proxy, arrives):
    fill(pair.source.admin, "a", "b", 20_000)
    proxy.hold_next(writes_to("a.b", "insert"))
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        held = proxy.wait_held()
        delete_what_is_held(pair, plm, held)
        assert copying(plm.status())
        if arrives == "while_copying":
            assert refused_by_name(held.arrive())
    plm.wait_synced()
    assert names_on_target(pair, "a") == ["b"]
    if arrives == "afterwards":
        assert refused_by_name(held.arrive())
    equal(pair, plm)


@arrivals
def test_c3_a_copys_insert_of_a_dead_process_is_shut_out_by_another_name(pair, plm, proxy, second, arrives):
    fill(pair.source.admin, "a", "b", 20_000)
    plm.run()
    with slow_command(pair.target, "insert", 100):
        proxy.hold_next(writes_to("a.b", "insert"))
        plm.start(**SMALL_STEPS)
        held = proxy.wait_held()
        plm.kill9()
        second.run(standby=True)
        delete_what_is_held(pair, second, held)
        assert copying(second.status())
        if arrives == "while_copying":
            assert refused_by_name(held.arrive())
    second.wait_synced()
    assert names_on_target(pair, "a") == ["b"]
    if arrives == "afterwards":
        assert refused_by_name(held.arrive())
    equal(pair, second)


def under_way(pair) -> int:
    """How many applyOps the target works on."""
    return len(operations(pair.target, **{"active": True, "command.applyOps": {"$exists": True}}))


def test_an_apply_ops_that_the_server_still_works_on_is_waited_for(pair, plm, proxy):
    """Its fence is behind it: dropping that would not keep the rest of it from landing."""
    documents = pair.source.admin.a.b
    documents.insert_one({"_id": 1, "n": 0})
    synced(pair, plm)
    with fault_point(pair.target, BEHIND_AN_OPERATION):
        proxy.lose_answer_of_next(writes_to("a.b", "applyOps"))
        documents.update_one({"_id": 1}, {"$set": {"n": 1}})
        wait_until(lambda: under_way(pair) == 1)
        time.sleep(3)  # plm knows of the break, and has had time to send it again
        assert under_way(pair) == 1
    documents.update_one({"_id": 1}, {"$set": {"n": 2}})
    equal(pair, plm)


def test_a_new_owner_waits_for_what_the_server_still_does_for_the_one_before(pair, plm, second):
    """Who sent it is dead; the next one knows of it only from the server."""
    documents = pair.source.admin.a.b
    documents.insert_one({"_id": 1, "n": 0})
    synced(pair, plm)
    with fault_point(pair.target, BEHIND_AN_OPERATION):
        documents.update_one({"_id": 1}, {"$set": {"n": 1}})
        wait_until(lambda: under_way(pair) == 1)
        plm.kill9()
        second.run(standby=True)
        wait_until(lambda: "this plm works on the target now" in second.log())
        end = time.monotonic() + 4  # it has long since had time to begin
        while time.monotonic() < end:
            status = second.status()
            assert any("the saved state could not be read yet" in warning for warning in status["warnings"])
            assert "mode" not in status  # which is found out by an applyOps
            assert under_way(pair) == 1
            time.sleep(0.1)
    documents.update_one({"_id": 1}, {"$set": {"n": 2}})
    equal(pair, second)


# ---- Changes of structure ----------------------------------------------------------------------------------------------


def test_a_change_of_structure_that_the_server_still_works_on_is_waited_for(pair, plm, proxy):
    """The drop of a view, sent once more and followed by a collection of this name, would drop that."""
    database = pair.source.admin.a
    database.b.insert_one({"_id": 1})
    database.command("create", "v", viewOn="b", pipeline=[])
    synced(pair, plm)
    proxy.lose_answer_of_next(lambda name, command: name == "drop" and command["drop"] == "v")
    with failing(pair.target, ["drop"], 1, blockConnection=True, blockTimeMS=2000):
        database.v.drop()
        database.v.insert_many({"_id": n} for n in range(10))
        plm.wait_applied(pair.source.cluster_time())
        time.sleep(2)  # the one that was begun has ended, whenever that was
    equal(pair, plm)


# ---- Other processes ---------------------------------------------------------------------------------------------------


@both_modes
@pytest.mark.parametrize("command", ["insert", "update"])
def test_c3_what_a_dead_process_had_sent_does_not_reach_the_work_of_the_next(pair, plm, proxy, second, command):
    documents = pair.source.admin.a.b
    documents.insert_many([{"_id": n, "n": 0} for n in range(10)])
    synced(pair, plm)
    if command == "insert":
        proxy.hold_next(writes_to("a.b", "insert"))
        documents.insert_one({"_id": "new"})
    else:
        proxy.hold_next(writes_to("a.b", "applyOps", "update"))
        documents.update_one({"_id": 1}, {"$set": {"n": 1}})
    held = proxy.wait_held()
    plm.kill9()
    second.run(standby=True)
    second.wait_applied(pair.source.cluster_time())
    documents.delete_one({"_id": "new"})
    documents.update_one({"_id": 1}, {"$set": {"n": 2}})
    second.wait_applied(pair.source.cluster_time())
    assert refused(held.arrive())
    equal(pair, second)


def test_c4_a_save_of_a_dead_process_does_not_change_the_saved_state(pair, plm, proxy, second):
    """Its last save is on its way when the next process has already gone on from the one before."""
    pair.source.admin.a.b.insert_one({"_id": 1})
    synced(pair, plm)
    proxy.hold_next(lambda name, _command: name == "commitTransaction")
    pair.source.admin.a.b.insert_one({"_id": 2})
    held = proxy.wait_held()
    plm.kill9()
    second.run(standby=True)
    second.wait_applied(pair.source.cluster_time())
    second.pause()
    saved = {name: list(pair.target.admin[STATE_DATABASE][name].find()) for name in ("state", "collections", "ranges")}
    assert refused(held.arrive())
    assert saved == {name: list(pair.target.admin[STATE_DATABASE][name].find()) for name in saved}


def test_c10_clearing_a_range_does_not_reach_what_was_copied_again(pair, plm, proxy):
    """What was not saved as copied is cleared and copied again; the clearing arrives behind the copy."""
    fill(pair.source.admin, "a", "b", 3000)
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", copying)
        plm.kill9()
    proxy.hold_next(writes_to("a.b", "delete"))
    plm.run()
    held = proxy.wait_held()
    plm.wait_synced()
    assert refused(held.arrive())
    equal(pair, plm)


@both_modes
def test_c10_a_change_of_unknown_outcome_does_not_land_behind_the_comparison(pair, plm, proxy):
    """Copied again, both sides are found equal, so nothing is written that would shut it out."""
    documents = pair.source.admin.a.b
    documents.insert_one({"_id": 1, "n": 0})
    synced(pair, plm)
    with failing(pair.target, ["drop"], 1_000_000, errorCode=91):  # no fence is dropped: nothing is sent again
        proxy.hold_next(writes_to("a.b", "applyOps", "update"))
        documents.update_one({"_id": 1}, {"$set": {"n": 1}})
        held = proxy.wait_held()
        documents.update_one({"_id": 1}, {"$set": {"n": 0}})
        with failing(pair.source, ["aggregate", "getMore"], 3, errorCode=286):  # ChangeStreamHistoryLost
            plm.wait_for("failure", lambda status: status["state"] == "failed")
    assert pair.target.admin.a.b.find_one(1) == {"_id": 1, "n": 0}
    plm.resume(recopy="changed")
    plm.wait_synced()
    assert refused(held.arrive())
    equal(pair, plm)


def test_fences_are_few_and_go_with_their_owner(pair, plm, second):
    """Every process has its own; none of an earlier one stays."""
    fill(pair.source.admin, "a", "b", 500)
    synced(pair, plm)
    for daemon in (second, plm, second):
        (plm if daemon is second else second).kill9()
        daemon.run(standby=True)
        daemon.wait_applied(pair.source.cluster_time())
    names = pair.target.admin[STATE_DATABASE].list_collection_names()
    epoch = pair.target.admin[STATE_DATABASE].lease.find_one({"_id": "lease"})["epoch"]
    fences = [name for name in names if name.startswith("fence_")]
    assert all(name.startswith(f"fence_{epoch}_") for name in fences)
    assert len(fences) < 20
