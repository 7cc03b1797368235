"""A position must stay inside the source's oplog: how near it is to falling out is told, and what is left to do then."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import Timestamp
from conftest import CLIENT, copying, middle_of_the_copy, wait_until
from lab.compare import differences
from lab.daemon import Plm, Refused, Status, replicated_time
from lab.load import Writer, fill
from lab.servers import SOURCE_ROLES, STATE_DATABASE, ReplicaSet

ADVICE = "plm resume --recopy changed"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    """Its oplog rolls over within seconds: the server drops what a checkpoint covers, here one in each second."""
    server = ReplicaSet(
        tmp_path_factory.mktemp("small") / "source",
        "rs_small",
        plm_roles=SOURCE_ROLES,
        oplog_megabytes=4,
        options=("--syncdelay", "1"),
    )
    yield server.create()
    server.destroy()


@pytest.fixture
def new_plm(source: ReplicaSet, pair, tmp_path: Path) -> Iterator[Plm]:
    """Not running yet; the source is empty."""
    source.wipe()
    daemon = Plm(source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path)
    yield daemon
    daemon.stop()


@pytest.fixture
def plm(source: ReplicaSet, new_plm: Plm) -> Plm:
    """A plm in the middle of a job: synchronised, running."""
    source.admin.a.b.insert_one({"_id": 1})
    new_plm.run()
    new_plm.start()
    new_plm.wait_synced()
    return new_plm


def write_some(source: ReplicaSet) -> None:
    """A hundredth of the oplog; the time between two is what the window is measured in."""
    source.admin.a.load.insert_one({"text": "x" * 40_000})
    time.sleep(0.05)


def oldest(source: ReplicaSet) -> Timestamp:
    return source.admin.local["oplog.rs"].find_one({}, sort=[("$natural", 1)])["ts"]


def roll_over(source: ReplicaSet, position: Timestamp) -> None:
    """Writes until the oplog begins behind the position."""
    deadline = time.monotonic() + 60
    while oldest(source) <= position:
        assert time.monotonic() < deadline
        write_some(source)


def level(status: Status) -> str:
    return status.get("oplogWindow", {}).get("level", "")


def oplog_warnings(status: Status) -> list[str]:
    return [text for text in status["warnings"] if "oplog" in text]


def refusal(request, *arguments, **options) -> Refused:
    with pytest.raises(Refused) as refused:
        request(*arguments, **options)
    assert refused.value.http_status == 409
    assert refused.value.code == "position_lost"
    assert ADVICE in refused.value.error
    return refused.value


def copy_again(plm: Plm, source: ReplicaSet, target: ReplicaSet) -> None:
    plm.resume(recopy="changed")
    plm.wait_synced()
    plm.finish()
    assert differences(source, target) == []


def test_a_paused_job_is_warned_while_a_resume_still_helps(source, pair, plm):
    assert level(plm.wait_for("a window", lambda status: "oplogWindow" in status)) == "fine"
    plm.pause()
    deadline = time.monotonic() + 60
    while level(plm.status()) == "fine":
        assert time.monotonic() < deadline
        write_some(source)
    status = plm.status()
    assert 0.5 <= status["oplogWindow"]["usedFraction"] <= 1
    (warning,) = oplog_warnings(status)
    assert "resume it before" in warning
    # Its numbers go on between the two looks.
    plm.wait_for("the same from the command line", lambda now: oplog_warnings(now)[0] in plm.command("status").stdout)
    plm.wait_for("a line in the log", lambda _: "resume it before" in plm.log(), 10)
    assert "plm_oplog_window_used_ratio 0." in plm.get("/metrics").text
    assert plm.get("/health").status_code == 200
    plm.resume()
    plm.wait_for("safety", lambda status: level(status) == "fine" and not oplog_warnings(status))
    plm.finish()
    assert "oplogWindow" not in plm.status()
    assert differences(source, pair.target) == []


def test_a_paused_job_whose_position_is_lost_is_kept_and_not_resumed(source, pair, plm):
    plm.pause()
    roll_over(source, replicated_time(plm.status()))
    refusal(plm.resume)
    refusal(plm.finalize)
    status = plm.wait_for("the loss", lambda status: level(status) == "lost")
    assert status["state"] == "paused" and ADVICE in oplog_warnings(status)[0]
    assert "plm_position_lost 1" in plm.get("/metrics").text
    health = plm.get("/health")
    assert health.status_code == 503 and health.json()["code"] == "position_lost"
    resume = plm.command("resume")
    assert resume.returncode == 1 and ADVICE in resume.stderr

    plm.kill9()
    plm.run()
    plm.wait_for("the loss", lambda status: level(status) == "lost")
    refusal(plm.resume)
    assert plm.status()["state"] == "paused"
    copy_again(plm, source, pair.target)


def test_a_job_that_was_away_for_too_long_fails_with_advice(source, pair, plm):
    plm.kill9()
    roll_over(source, source.cluster_time())
    plm.run()
    error = plm.wait_state("failed")["error"]
    assert ADVICE in error
    refusal(plm.resume, fromFailure=True)
    assert plm.status()["state"] == "failed" and plm.status()["error"] == error
    copy_again(plm, source, pair.target)


def test_a_stream_that_is_overtaken_by_the_end_of_the_oplog_fails_at_once(source, pair, plm):
    """The cursor itself is lost, not only the saved position."""
    assert plm.process
    os.kill(plm.process.pid, signal.SIGSTOP)
    try:
        roll_over(source, source.cluster_time())
    finally:
        os.kill(plm.process.pid, signal.SIGCONT)
    assert ADVICE in plm.wait_state("failed", 30)["error"]
    copy_again(plm, source, pair.target)


def saved_position(target: ReplicaSet) -> Timestamp:
    return target.admin[STATE_DATABASE].state.find_one("position")["time"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_the_oplog_rolls_over_while_the_first_copy_runs(source, pair, new_plm, killed):
    """It need not hold what is written during the whole copy, for a process that goes on with it neither."""
    fill(source.admin, "a", "b", 6000, size=2000)
    with Writer(source.admin, "a", "b", rate=50), middle_of_the_copy(pair, new_plm, 1000):
        roll_over(source, source.cluster_time())
        if killed:
            now = source.cluster_time()
            wait_until(lambda: saved_position(pair.target) >= now, 60)
            new_plm.kill9()
            new_plm.run()
            new_plm.wait_for("the rest of the copy", copying)
    new_plm.wait_applied(source.cluster_time())
    new_plm.finish()
    assert differences(source, pair.target) == []
