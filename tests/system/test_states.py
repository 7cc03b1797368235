"""Which request is allowed in which state, and restarts in each of them."""

from __future__ import annotations

import json

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


# -- by the command line -----------------------------------------------------------------------------------------------
COMMANDS = (
    "start",
    "pause",
    "resume",
    "resume --from-failure",
    "resume --recopy changed",
    "resume --recopy all",
    "finalize",
    "finalize --waive-parked",
    "reset",
)

# What each state allows, and what follows.
STEPS = {
    "idle": {"start --replace-target": "running", "reset": "idle"},
    "running": {"pause": "paused", "finalize": "finalized", "finalize --waive-parked": "finalized"},
    "paused": {
        "resume": "running",
        "resume --from-failure": "running",
        "resume --recopy changed": "running",
        "resume --recopy all": "running",
        "finalize": "finalized",
        "finalize --waive-parked": "finalized",
        "reset": "idle",
    },
    "finalized": {"start --replace-target": "running", "reset": "idle"},
    "failed": {
        "resume --from-failure": "running",
        "resume --recopy changed": "running",
        "resume --recopy all": "running",
        "reset": "idle",
    },
}


def give(plm, command: str) -> None:
    result = plm.command(*command.split())
    assert result.returncode == 0 and result.stderr == "", result.stderr


def refused_by_the_command_line(plm, state: str, allowed: set[str]) -> None:
    """All commands but these: with exit code 1 and one line that names the state and what would be possible."""
    for command in COMMANDS:
        if command in allowed:
            continue
        result = plm.command(*command.split())
        assert result.returncode == 1 and result.stdout == "", command
        assert state in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert plm.status()["state"] == state, command


@pytest.mark.parametrize("state", STEPS)
def test_commands_that_a_state_does_not_allow_are_refused(pair, plm, state):
    go_to(state, pair, plm)
    refused_by_the_command_line(plm, state, {step.removesuffix(" --replace-target") for step in STEPS[state]})
    assert plm.command("health").returncode == (1 if state == "failed" else 0)
    assert plm.command("status").stdout.startswith(f"state        {state}")
    assert f'plm_state{{state="{state}"}} 1' in plm.get("/metrics").text


@pytest.mark.parametrize("state, step", [(state, step) for state, steps in STEPS.items() for step in steps])
def test_a_step_that_a_state_allows_is_taken(pair, plm, state, step):
    go_to(state, pair, plm)
    follows = STEPS[state][step]
    give(plm, step)
    plm.wait_state(follows)
    assert "error" not in plm.status()
    if follows == "running":
        plm.wait_synced()
        plm.wait_applied(pair.source.cluster_time())
    if follows != "idle":
        assert differences(pair.source, pair.target, synchronising=follows == "running") == []


def test_commands_are_refused_while_finalizing(pair, plm):
    pair.source.admin.shop.orders.create_index("n", unique=True)
    go_to("running", pair, plm)
    with failing(pair.target, ["collMod"], 1_000_000, errorCode=24):  # LockTimeout: tried again
        plm.finalize()
        refused_by_the_command_line(plm, "finalizing", set())
        assert plm.command("health").returncode == 0
    plm.wait_state("finalized")
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize(
    "step, follows",
    [
        ("resume --from-failure", "finalized"),
        ("finalize --waive-parked", "finalized"),
        ("resume --recopy changed", "running"),
        ("resume --recopy all", "running"),
        ("reset", "idle"),
    ],
)
def test_a_job_that_failed_while_finalizing_goes_on_with_that_or_is_copied_again(pair, plm, step, follows):
    go_to("paused", pair, plm)
    orders = pair.source.admin.shop.orders
    orders.insert_one({"_id": "unread"})
    with failing(pair.source, ["getMore"], 1, errorCode=286, namespace="admin.$cmd.aggregate"):
        plm.finalize()
        plm.wait_for("failure", lambda status: status["state"] == "failed")
    assert "completedAt" not in plm.status()["finalization"]
    possible = {"resume --from-failure", "resume --recopy changed", "resume --recopy all", "finalize --waive-parked"}
    refused_by_the_command_line(plm, "failed", possible | {"reset"})
    plm.kill9()
    plm.run()
    plm.wait_for("the same failure", lambda status: status["state"] == "failed")
    give(plm, step)
    if follows == "idle":
        assert plm.status()["state"] == "idle"
        return
    if follows == "running":
        assert plm.status()["state"] == "running"
        plm.wait_synced()
        plm.finish()
    assert plm.wait_state("finalized")["finalization"]["completed"] is True
    assert pair.target.admin.shop.orders.find_one("unread")
    assert differences(pair.source, pair.target) == []


def test_a_failed_job_goes_on_by_the_command_line(pair, plm):
    """A plain resume is not enough, and says what is; the failure is shown until then."""
    go_to("failed", pair, plm)
    error = plm.status()["error"]
    shown = plm.command("status").stdout
    assert error in shown
    refused = plm.command("resume")
    assert refused.returncode == 1 and error in refused.stderr
    assert json.loads(plm.command("resume", "--json").stdout)["code"] == "wrong_state"
    assert plm.command("resume", "--from-failure").stdout == "Resumed.\n"
    plm.wait_applied(pair.source.cluster_time())
    assert error not in plm.command("status").stdout
    assert plm.command("health").returncode == 0
    give(plm, "finalize")
    plm.wait_state("finalized")
    assert pair.target.admin.shop.orders.find_one("unread")
    assert differences(pair.source, pair.target) == []


def test_reset_while_idle_is_allowed_and_leaves_the_target_alone(pair, plm):
    pair.target.admin.shop.orders.insert_one({"_id": "the target's own"})
    go_to("idle", pair, plm)
    for _ in range(2):
        assert plm.command("reset").stdout == "Reset.\n"
        assert plm.reset() == {"ok": True}
        assert plm.status()["state"] == "idle"
    assert list(pair.target.admin.shop.orders.find()) == [{"_id": "the target's own"}]
