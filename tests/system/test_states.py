"""Which request is allowed in which state, and restarts in each of them."""

from __future__ import annotations

import pytest
from conftest import SMALL_STEPS, copying, failing, slow_command
from lab.compare import differences
from lab.daemon import Refused
from lab.load import fill

REQUESTS = ("start", "pause", "resume", "finalize", "reset")


def refused(plm, request: str, state: str, reason: str = "") -> None:
    """The request is answered with 409, says why (or names the state), and changes nothing."""
    with pytest.raises(Refused) as answer:
        getattr(plm, request)()
    assert answer.value.http_status == 409, request
    assert (reason or state) in answer.value.error, answer.value.error
    assert plm.status()["state"] == state


def go_to(state: str, pair, plm) -> None:
    """Brings a job into a state where it stays."""
    fill(pair.source.admin, "shop", "orders", 200)
    plm.run()
    if state == "idle":
        return
    plm.start()
    plm.wait_synced()
    if state == "paused":
        plm.pause()
    elif state == "finalized":
        plm.finish()
    elif state == "failed":
        fail_job(pair, plm)


def fail_job(pair, plm) -> None:
    """The source's oplog does not reach back to the position, as far as plm can see."""
    with failing(pair.source, ["aggregate", "getMore"], 3, errorCode=286):  # ChangeStreamHistoryLost
        pair.source.admin.shop.orders.insert_one({"_id": "unread"})
        plm.wait_for("failure", lambda status: status["state"] == "failed")


ALLOWED = {
    "idle": {"start", "reset"},
    "running": {"pause", "finalize"},
    "paused": {"resume", "finalize", "reset"},
    "finalized": {"start", "reset"},
    "failed": {"reset"},
}


@pytest.mark.parametrize("state", ALLOWED)
def test_what_a_state_does_not_allow_is_refused(pair, plm, state):
    go_to(state, pair, plm)
    for request in REQUESTS:
        if request not in ALLOWED[state]:
            refused(plm, request, state)


def test_resume_from_failure_goes_on(pair, plm):
    go_to("failed", pair, plm)
    status = plm.status()
    assert status["error"] and status["info"] == "Failed"
    refused(plm, "resume", "failed")
    plm.resume(fromFailure=True)
    plm.wait_applied(pair.source.cluster_time())
    assert pair.target.admin.shop.orders.find_one("unread")
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_failed_or_paused_job_can_be_reset_and_started_again(pair, plm):
    go_to("failed", pair, plm)
    plm.reset()
    assert plm.status()["state"] == "idle" and "error" not in plm.status()
    plm.start(replaceTarget=True)
    plm.wait_synced()
    plm.pause()
    plm.reset()
    plm.start(replaceTarget=True)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_finalize_is_refused_before_the_initial_sync_is_done(pair, plm):
    fill(pair.source.admin, "shop", "orders", 5000)
    plm.run()
    with slow_command(pair.target, "insert"):
        plm.start(**SMALL_STEPS)
        plm.wait_for("copy", copying)
        refused(plm, "finalize", "running", "initial sync")
        plm.pause()
        refused(plm, "finalize", "paused", "initial sync")
        plm.resume()
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_finalize_is_possible_while_paused(pair, plm):
    go_to("paused", pair, plm)
    pair.source.admin.shop.orders.insert_one({"_id": "while paused"})
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_pause_stops_the_writes_and_resume_follows_at_once(pair, plm):
    go_to("running", pair, plm)
    for round_number in range(5):  # resume right after the answer to pause
        plm.pause()
        assert plm.status()["state"] == "paused"
        pair.source.admin.shop.orders.insert_one({"_id": f"round {round_number}"})
        plm.resume()
        assert plm.status()["state"] == "running"
    plm.wait_applied(pair.source.cluster_time())
    plm.pause()
    pair.source.admin.shop.orders.insert_one({"_id": "not seen"})
    before = plm.status()["eventsApplied"]
    plm.kill9()
    plm.run()
    assert plm.wait_state("paused")["eventsApplied"] == before
    assert not pair.target.admin.shop.orders.find_one("not seen")


@pytest.mark.parametrize("state", ["idle", "running", "paused", "finalized", "failed"])
@pytest.mark.parametrize("end", ["kill -9", "SIGTERM"])
def test_a_restart_finds_the_state_again(pair, plm, state, end):
    go_to(state, pair, plm)
    before = plm.status()
    if end == "kill -9":
        plm.kill9()
    else:
        assert plm.terminate() == 0
    pair.source.admin.shop.orders.insert_one({"_id": "while away"})
    plm.run()
    status = plm.wait_state(state)
    assert status.get("error") == before.get("error")
    assert status["initialSync"]["completed"] == before["initialSync"]["completed"] or state == "running"
    if state == "running":
        plm.wait_applied(pair.source.cluster_time())
        assert pair.target.admin.shop.orders.find_one("while away")
        plm.finish()
        assert differences(pair.source, pair.target) == []
    if state == "finalized":
        assert status["finalization"] == before["finalization"]


def test_a_kill_while_finalizing_is_followed_by_the_end_of_finalize(pair, plm):
    pair.source.admin.shop.orders.create_index("n", unique=True)
    go_to("running", pair, plm)
    with slow_command(pair.target, "collMod", 1000):
        plm.finalize()
        status = plm.status()
        assert status["state"] == "finalizing" and status["info"] == "Finalizing"
        for request in REQUESTS:
            refused(plm, request, "finalizing")
        plm.kill9()
    plm.run()
    status = plm.wait_state("finalized")
    assert status["finalization"]["completed"] is True
    assert differences(pair.source, pair.target) == []


def test_reset_state_forgets_the_job(pair, plm):
    go_to("paused", pair, plm)
    plm.kill9()
    plm.run("--reset-state")
    assert plm.status()["state"] == "idle"
    plm.start(replaceTarget=True)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_sigterm_saves_the_position(pair, plm):
    go_to("running", pair, plm)
    pair.source.admin.shop.orders.insert_many([{"_id": f"before {n}"} for n in range(100)])
    plm.wait_applied(pair.source.cluster_time())
    applied = plm.status()["eventsApplied"]
    assert plm.terminate() == 0
    plm.run()
    assert plm.wait_state("running")["eventsApplied"] >= applied  # nothing is done again
