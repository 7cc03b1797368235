"""Going on after a pause, a kill or a restart: nothing is lost, and what was copied is not copied again."""

from __future__ import annotations

import signal
import time

import pytest
from conftest import SMALL_STEPS, both_modes, copying, slow_command
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.load import Writer, fill


def inserts(server) -> int:
    """How many documents were inserted into the server since it started."""
    return server.admin.admin.command("serverStatus")["opcounters"]["insert"]


def share_copied(share: float):
    def reached(status) -> bool:
        sync = status["initialSync"]
        return copying(status) and sync["clonedSizeBytes"] > share * sync["estimatedCloneSizeBytes"]

    return reached


def resume_with_pause(plm: Plm) -> None:
    plm.pause()
    assert plm.status()["state"] == "paused"
    plm.resume()


def resume_with_kill(plm: Plm) -> None:
    plm.kill9()
    plm.run()


def resume_with_sigterm(plm: Plm) -> None:
    assert plm.terminate() == 0
    plm.run()


def resume_with_sigint(plm: Plm) -> None:
    assert plm.terminate(signal.SIGINT) == 0
    plm.run()


INTERRUPTIONS = [resume_with_pause, resume_with_kill, resume_with_sigterm, resume_with_sigint]


@both_modes
@pytest.mark.parametrize("interrupt", INTERRUPTIONS, ids=lambda f: f.__name__)
def test_the_copy_goes_on_where_it_was(pair, plm, interrupt):
    """Three interruptions in the middle of the copy, under load; the daemon goes on by itself."""
    client = pair.source.admin
    for name in ("one", "two"):
        fill(client, "a", name, 5000)
    client.a.one.create_index("n", unique=True, partialFilterExpression={"n": {"$type": "string"}})
    plm.run()
    with Writer(client, "a", "one", rate=100), Writer(client, "a", "three", rate=100):
        with slow_command(pair.target, "insert", 80):
            plm.start(**SMALL_STEPS)
            for share in (0.2, 0.4, 0.6):
                plm.wait_for(f"{share:.0%} of the copy", share_copied(share))
                interrupt(plm)
                assert plm.wait_state("running")["initialSync"]["cloneCompleted"] is False
        plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("interrupt", INTERRUPTIONS, ids=lambda f: f.__name__)
def test_ranges_that_were_copied_are_not_copied_again(pair, plm, interrupt):
    """The target counts inserts: an interruption costs the ranges under way and no more."""
    fill(pair.source.admin, "a", "b", 20000)
    plm.run()
    before = inserts(pair.target)
    with slow_command(pair.target, "insert", 150):
        plm.start(**SMALL_STEPS)
        copied = plm.wait_for("most of the copy", share_copied(0.7))["initialSync"]["clonedSizeBytes"]
        interrupt(plm)
        after = plm.wait_state("running")["initialSync"]["clonedSizeBytes"]
        # Lost are the ranges under way and what was finished within the 2 s between two savings.
        assert after > 0.4 * copied
    plm.wait_synced()
    assert inserts(pair.target) - before < 20000 * 1.5
    assert differences(pair.source, pair.target, synchronising=True) == []


def test_what_was_not_saved_as_copied_is_cleared_first(pair, plm):
    """Documents deleted on the source while plm was away must not stay behind on the target."""
    fill(pair.source.admin, "a", "b", 5000)
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", share_copied(0.3))
        plm.kill9()
        pair.source.admin.a.b.delete_many({"n": {"$mod": [3, 0]}})
        pair.source.admin.a.b.update_many({"n": {"$mod": [3, 1]}}, {"$set": {"while": "away"}})
        plm.run()
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_collection_that_was_dropped_or_renamed_while_plm_was_away(pair, plm):
    client = pair.source.admin
    for name in ("dropped", "renamed", "replaced", "other"):
        fill(client, "a", name, 2000)
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", share_copied(0.3))
        plm.kill9()
        client.a.dropped.drop()
        client.a.renamed.rename("new name")
        client.a.replaced.drop()
        client.a.replaced.insert_one({"_id": "second"})
        client.a.other.rename("renamed")
        plm.run()
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_kills_while_following_lose_nothing(pair, plm):
    client = pair.source.admin
    fill(client, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    with Writer(client, "a", "b", rate=400, seed=5), Writer(client, "a", "c", rate=200, seed=6):
        for _ in range(4):
            read = plm.status()["eventsRead"]
            plm.wait_for("events", lambda status, read=read: status["eventsRead"] > read + 100)
            plm.kill9()
            plm.run()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_kills_around_changes_of_structure(pair, plm):
    """A rename, a drop or an index that the target already has is done again, or found done."""
    client = pair.source.admin
    plm.run()
    plm.start()
    plm.wait_synced()
    for turn in range(6):
        fill(client, "a", f"c{turn}", 20)
        client.a[f"c{turn}"].create_index("n", unique=True)
        client.a[f"c{turn}"].rename(f"d{turn}")
        if turn:
            client.a[f"d{turn}"].rename("d0", dropTarget=True)
        client.drop_database("gone")
        client.gone.x.insert_one({"_id": turn})
        plm.kill9()
        plm.run()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_change_that_a_killed_process_had_sent_only_is_sent_again(pair, plm):
    """Whatever else was saved meanwhile: not a position behind it."""
    documents = pair.source.admin.a.b
    documents.insert_many([{"_id": n, "n": 0} for n in range(10)])
    plm.run()
    plm.start()
    plm.wait_synced()
    with slow_command(pair.target, "applyOps", 7000):
        documents.update_one({"_id": 1}, {"$set": {"n": 1}})
        time.sleep(5)  # twice the time between two saves
        plm.kill9()
        plm.run()  # what was sent is shut out
    plm.wait_applied(pair.source.cluster_time())
    assert pair.target.admin.a.b.find_one(1) == {"_id": 1, "n": 1}


def test_the_job_moves_to_another_machine(pair, plm, tmp_path):
    """Nothing is kept on the local disk: a second plm with the same servers goes on."""
    fill(pair.source.admin, "a", "b", 5000)
    plm.run()
    with slow_command(pair.target, "insert", 80):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", share_copied(0.3))
        plm.kill9()
        second = Plm(pair.source.uri(), pair.target.uri(), tmp_path / "second").run()
    try:
        second.wait_synced()
        second.finish()
    finally:
        second.stop()
    assert differences(pair.source, pair.target) == []


def test_the_position_moves_on_a_quiet_source(pair, plm):
    """Otherwise a collection that nobody writes makes the resume token too old."""
    pair.source.admin.a.b.insert_one({"_id": 1})
    plm.run()
    plm.start(includeNamespaces=["a.*"])
    plm.wait_synced()
    pair.source.admin.other.busy.insert_many([{"_id": n} for n in range(100)])  # outside the filter
    plm.wait_applied(pair.source.cluster_time())


def test_saved_state_of_a_newer_version_is_refused(pair, plm):
    pair.source.admin.a.b.insert_one({"_id": 1})
    plm.run()
    plm.start()
    plm.wait_synced()
    assert plm.terminate() == 0
    states = pair.target.admin.percona_link_mongodb.state
    states.update_many({}, {"$set": {"v": 1000}})
    plm.run()
    plm.wait_for("warning", lambda status: any("newer plm" in warning for warning in status["warnings"]))
    with pytest.raises(Refused) as refused:
        plm.start()
    assert refused.value.http_status == 500 and "1000" in refused.value.error
