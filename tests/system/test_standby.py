"""Two plms for one target: one works, the other stands by and takes over; who lost the target writes nothing more."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from conftest import CLIENT, SMALL_STEPS, slow_command
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.load import Writer, fill

TAKEN_OVER_WITHIN = 15  # seconds


@pytest.fixture
def second(pair, tmp_path) -> Iterator[Plm]:
    daemon = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path / "second")
    yield daemon
    daemon.stop()


def start_both(plm: Plm, second: Plm) -> None:
    plm.run()
    plm.start()
    plm.wait_synced()
    second.run(standby=True)
    second.wait_state("standby")


def set_running(plm: Plm, runs: bool) -> None:
    assert plm.process
    os.kill(plm.process.pid, signal.SIGCONT if runs else signal.SIGSTOP)


def finished_equal(pair, plm: Plm) -> None:
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_second_plm_stands_by_and_says_so(pair, plm, second):
    pair.source.admin.a.b.insert_one({"_id": 1})
    start_both(plm, second)
    owner = f"(process {plm.process.pid})"
    status = second.status()
    assert owner in status["standbyFor"] and owner in status["info"]
    health = second.get("/health")
    assert health.status_code == 200 and health.json()["state"] == "standby"
    assert "plm_standby 1" in second.get("/metrics").text
    for request in ("start", "pause", "resume", "finalize", "reset"):
        with pytest.raises(Refused) as refused:
            second.post(f"/{request}")
        assert refused.value.http_status == 409 and refused.value.code == "wrong_state"
        assert owner in refused.value.error
    assert second.command("status").stdout.startswith("state        standby")
    assert plm.status()["state"] == "running"


def test_the_standby_takes_over_when_the_first_is_killed(pair, plm, second):
    """Within moments here: the process is known to be gone."""
    fill(pair.source.admin, "a", "b", 500)
    start_both(plm, second)
    with Writer(pair.source.admin, "a", "b", rate=200):
        plm.kill9()
        second.wait_state("running", TAKEN_OVER_WITHIN)
    finished_equal(pair, second)


def test_the_standby_takes_over_when_the_first_ends_in_order(pair, plm, second):
    start_both(plm, second)
    assert plm.terminate() == 0
    second.wait_state("running", 5)


def test_the_standby_takes_over_when_the_first_freezes(pair, plm, second):
    """The first one wakes up in the middle of the second one's work, notices, and stands by."""
    fill(pair.source.admin, "a", "b", 500)
    start_both(plm, second)
    with Writer(pair.source.admin, "a", "b", rate=200):
        time.sleep(0.5)
        set_running(plm, False)
        began = time.monotonic()
        second.wait_state("running", TAKEN_OVER_WITHIN)
        assert time.monotonic() - began < TAKEN_OVER_WITHIN
        second.wait_applied(pair.source.cluster_time())
        set_running(plm, True)
        status = plm.wait_state("standby")
        plm.wait_for("owner", lambda status: f"(process {second.process.pid})" in status.get("standbyFor", ""))
        assert "error" not in status
        with pytest.raises(Refused):
            plm.pause()
    assert second.status()["state"] == "running"
    finished_equal(pair, second)


def test_a_first_one_that_freezes_in_the_middle_of_the_copy(pair, plm, second):
    """C4: what it had copied counts as the second one's only if it was saved before."""
    fill(pair.source.admin, "a", "b", 5000)
    plm.run()
    with slow_command(pair.target, "insert", 80):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", lambda status: status["initialSync"]["clonedSizeBytes"] > 300_000)
        second.run(standby=True)
        second.wait_state("standby")
        set_running(plm, False)
        second.wait_state("running", TAKEN_OVER_WITHIN)
        set_running(plm, True)
        pair.source.admin.a.b.delete_many({"n": {"$mod": [3, 0]}})
        plm.wait_state("standby")
    second.wait_synced()
    finished_equal(pair, second)


def test_the_two_change_places_again_and_again(pair, plm, second):
    fill(pair.source.admin, "a", "b", 500)
    start_both(plm, second)
    owner, other = plm, second
    with Writer(pair.source.admin, "a", "b", rate=200):
        for _ in range(3):
            set_running(owner, False)
            other.wait_state("running", TAKEN_OVER_WITHIN)
            set_running(owner, True)
            owner.wait_state("standby")
            owner, other = other, owner
    finished_equal(pair, owner)
