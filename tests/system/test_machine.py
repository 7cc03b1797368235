"""What befalls the machines: clocks that jump, a disk that is full, memory that is short. Mounts a small disk, as root or by
sudo."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CLIENT, PARAMETERS, slow_command
from lab.clock import Clock
from lab.compare import differences
from lab.daemon import Plm
from lab.load import Writer, fill
from lab.servers import SOURCE_ROLES, TARGET_ROLES, Pair, ReplicaSet

HOURS = 3600


def follows(pair: Pair, plm: Plm, key: str) -> None:
    """What is written now arrives, and the lag says so."""
    pair.source.admin.a.b.insert_one({"_id": key})
    plm.wait_applied(pair.source.cluster_time(), 20)
    assert pair.target.admin.a.b.find_one(key)
    status = plm.wait_for("no lag", lambda status: status["lagTimeSeconds"] <= 2, 20)
    assert status["state"] == "running"
    assert plm.get("/health").status_code == 200, plm.get("/health").text


def test_the_clock_of_plm_jumps(pair: Pair, plm: Plm, tmp_path: Path):
    clock = Clock(tmp_path / "clock")
    plm.environment |= clock.environment
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    for seconds in (2 * HOURS, -2 * HOURS, 24 * HOURS, 0):
        clock.jump_to(seconds)
        follows(pair, plm, f"at {seconds}")
    time.sleep(12)  # longer than a lease is good for
    follows(pair, plm, "later")
    assert "standing by" not in plm.log()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_the_clock_of_a_server_jumps(tmp_path: Path, side: str):
    """Cluster times never go back: those of a source whose clock does stand still, and count."""
    clock = Clock(tmp_path / "clock")
    pair = Pair(
        ReplicaSet(tmp_path / "source", "rs_source", plm_roles=SOURCE_ROLES, parameters=PARAMETERS),
        ReplicaSet(tmp_path / "target", "rs_target", plm_roles=TARGET_ROLES, parameters=PARAMETERS),
    )
    getattr(pair, side).environment = clock.environment
    plm = None
    try:
        for server in pair:
            server.create()
        fill(pair.source.admin, "a", "b", 500)
        plm = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path / "plm").run()
        plm.start()
        plm.wait_synced()
        for seconds in (HOURS, -HOURS, 0):
            clock.jump_to(seconds)
            follows(pair, plm, f"at {seconds}")
        plm.finish()
        assert differences(pair.source, pair.target) == []
    finally:
        if plm:
            plm.stop()
        pair.destroy()


# ---- The disk of the target -----------------------------------------------------------------------------------------
def as_root(*command: str) -> None:
    subprocess.run([*([] if os.geteuid() == 0 else ["sudo"]), *command], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    as_root("mount", "-t", "tmpfs", "-o", "size=700m,mode=777", "tmpfs", str(folder))
    yield folder
    as_root("umount", "--lazy", str(folder))


def leave_free(folder: Path, megabytes: int) -> Path:
    """A file that takes the rest."""
    free = os.statvfs(folder)
    others = folder / "others"
    with open(others, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - megabytes * 1_000_000)
    return others


def test_the_disk_of_the_target_is_full(pair: Pair, small_disk: Path, tmp_path: Path):
    """The server dies of it. When there is room and it is back, the copy goes on where it was."""
    target = ReplicaSet(
        small_disk / "target", "rs_small", plm_roles=TARGET_ROLES, parameters=PARAMETERS, oplog_megabytes=990
    ).create()
    plm = Plm(pair.source.uri(**CLIENT), target.uri(**CLIENT), tmp_path / "plm")
    try:
        for number in range(3):  # what no compression makes smaller
            documents = [{"_id": n, "noise": os.urandom(3_000)} for n in range(10_000)]
            pair.source.admin.a[f"c{number}"].insert_many(documents, ordered=False)
        others = leave_free(small_disk, 60)
        plm.run()
        plm.start(cloneSegmentSize="5MB", cloneNumParallelCollections=1)
        assert target.process
        target.process.wait(60)
        status = plm.wait_for("noticing", lambda status: status["target"]["state"] != "ok", 30)
        assert status["state"] == "running" and any("target" in warning for warning in status["warnings"])
        copied = status["initialSync"]["clonedSizeBytes"]
        assert copied > 0 and not status["initialSync"]["cloneCompleted"]

        others.unlink()
        target.process = None
        target.restart()
        pair.source.admin.a.c0.update_many({"_id": {"$lt": 50}}, {"$set": {"late": True}})
        status = plm.wait_synced(90)
        assert status["initialSync"]["clonedSizeBytes"] >= copied
        plm.finish()
        assert differences(pair.source, target) == []
    finally:
        plm.stop()
        target.destroy()


# ---- Load -----------------------------------------------------------------------------------------------------------
def peak_megabytes(plm: Plm) -> float:
    assert plm.process
    lines = Path(f"/proc/{plm.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def test_a_target_that_is_slower_than_the_source_costs_no_memory(pair: Pair, plm: Plm):
    """Many times what plm may hold is written while the target takes its time."""
    limit = 128
    fill(pair.source.admin, "load", "large", 20_000, size=100)
    plm.run("--memory-limit", f"{limit}MiB")
    plm.start()
    plm.wait_synced()
    with slow_command(pair.target, "applyOps", 300):
        for letter in "abc":
            pair.source.admin.load.large.update_many({}, {"$set": {"filler": letter * 4000}})
        time.sleep(3)
    plm.wait_applied(pair.source.cluster_time(), 90)
    assert peak_megabytes(plm) <= limit
    plm.finish()
    assert differences(pair.source, pair.target) == []


WRITERS = 24
MINUTES = float(os.environ.get("PLM_LOAD_MINUTES", "0.3"))


@pytest.mark.timeout(MINUTES * 60 + 300)
def test_many_writers_at_full_speed(pair: Pair, plm: Plm, capsys):
    """Copied and followed meanwhile, within the limit of memory; when they end, the lag is gone by itself."""
    limit = 512
    for number in range(4):
        fill(pair.source.admin, "load", f"c{number}", 20_000, size=500)
    writers = [
        Writer(pair.source.admin, "load", f"c{number % 4}", seed=number, rate=1_000_000) for number in range(WRITERS)
    ]
    plm.run("--memory-limit", f"{limit}MiB")
    for writer in writers:
        writer.start()
    try:
        plm.start()
        worst, applied, deadline = 0, -1, time.monotonic() + MINUTES * 60
        while time.monotonic() < deadline:
            time.sleep(min(5, MINUTES * 20))
            status = plm.status()
            assert status["state"] == "running" and not any("nothing has moved" in one for one in status["warnings"])
            assert status["eventsApplied"] >= applied, "counters never go back"
            applied, worst = status["eventsApplied"], max(worst, status["lagTimeSeconds"])
    finally:
        stopping = [threading.Thread(target=writer.stop) for writer in writers]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
    began = time.monotonic()
    plm.wait_for("no lag", lambda status: status["lagTimeSeconds"] < 1, 120)
    caught_up = time.monotonic() - began
    plm.wait_synced(120)
    plm.wait_applied(pair.source.cluster_time())
    peak = peak_megabytes(plm)
    assert peak <= limit
    plm.finish(120)
    assert differences(pair.source, pair.target) == []
    with capsys.disabled():
        writes = sum(writer.writes.total() for writer in writers)
        print(
            f"\n{WRITERS} writers, {MINUTES} minutes: {writes} writes, {applied} events applied, lag at most {worst} s, "
            f"gone after {caught_up:.1f} s, peak memory {peak:.0f} MB"
        )
