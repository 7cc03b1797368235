"""plm as a run wants it: one at work, and perhaps another one that stands by."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from bson import Timestamp
from differential.execute import Stuck
from lab.clock import Clock
from lab.daemon import Plm, Refused, Status, replicated_time

from .machine import Patience

POLL_SECONDS = 0.05
SAMPLE_SECONDS = 0.2
STUCK_SECONDS = 60.0
TAKEN_OVER_WITHIN = 20.0
# What docs/design/fencing.md leaves to a person, after a process that was frozen in the middle of a drop or a rename.
DOCUMENTED = "somebody else removed or replaced"


class Daemons:
    """`owner` works on the target, as far as is known. Raises Stuck when plm fails, ends, or does not come to an end."""

    def __init__(self, uris: tuple[str, str], folder: Path, *, portable: bool, clock: bool = False) -> None:
        self.all = [Plm(*uris, folder / name, portable=portable) for name in ("first", "second")]
        self.owner, self.other = self.all
        self.was_frozen = False
        self._frozen: set[int] = set()  # processes
        self.manual_steps = 0  # documented ones
        self.clock = Clock(folder / "clock") if clock else None
        for daemon in self.all:
            daemon.environment |= self.clock.environment if self.clock else {}
        self.progress = Progress(lambda: self.owner)
        self.progress.start()

    def close(self) -> None:
        self.progress.stop()
        for daemon in self.all:
            daemon.stop()

    def log(self) -> str:
        return "\n".join(f"--- {daemon.log_path.parent.name}\n{daemon.log()}" for daemon in self.all if daemon.log())

    def stacks(self) -> str:
        """Where the threads of a plm that hangs are, if there is a debugger."""
        if self.owner.process is None or not shutil.which("gdb"):
            return ""
        words = ["gdb", "-p", str(self.owner.process.pid), "-batch", "-ex", "thread apply all bt 25"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout
        return ""

    # -- processes -------------------------------------------------------------------------------------------------
    def run(self) -> None:
        if self.owner.process is None:
            self._run(self.owner)

    def stand_by(self) -> None:
        if self.other.process is None:
            self._run(self.other)

    def _run(self, daemon: Plm) -> None:
        try:
            daemon.run(standby=True)
        except RuntimeError as error:
            raise Stuck(f"ended: {error}") from error

    def kill(self) -> None:
        self.owner.kill9()

    def terminate(self) -> None:
        code = self.owner.terminate(timeout=20)
        if code != 0:
            raise Stuck(f"ended: plm answers SIGTERM with {code}")

    def taken_over(self) -> float:
        """Waits for the other one to work; how long it took."""
        began = time.monotonic()
        self.owner, self.other = self.other, self.owner
        self.until("taken over", lambda status: status["state"] != "standby", TAKEN_OVER_WITHIN)
        return time.monotonic() - began

    def set_running(self, daemon: Plm, runs: bool) -> None:
        assert daemon.process
        os.kill(daemon.process.pid, signal.SIGCONT if runs else signal.SIGSTOP)
        (self._frozen.discard if runs else self._frozen.add)(daemon.process.pid)
        self.was_frozen = True

    # -- requests --------------------------------------------------------------------------------------------------
    def status(self, daemon: Plm | None = None) -> Status:
        """Without a daemon: of the one at work. A target that refuses all writes ends a lease, and either may get the next."""
        status = self._status(daemon or self.owner)
        if daemon is None and status["state"] == "standby" and self._answers(self.other):
            other = self._status(self.other)
            if other["state"] != "standby":
                self.owner, self.other = self.other, self.owner
                return other
        return status

    def _answers(self, daemon: Plm) -> bool:
        process = daemon.process
        return process is not None and process.poll() is None and process.pid not in self._frozen

    def _status(self, daemon: Plm) -> Status:
        try:
            return daemon.status()
        except requests.RequestException as error:
            code = daemon.process.poll() if daemon.process else None
            raise Stuck(f"{'silent' if code is None else 'ended'}: plm, exit code {code}: {error}") from error

    def request(self, request: Callable[[], Any], *, seconds: float = STUCK_SECONDS) -> None:
        """503 means that a server could not be asked, and `wrong_state` of one who stands by that it does not work yet:
        then the same request is made again. One whose answer came too late may have been carried out."""
        patience, unanswered = Patience(seconds), False
        while True:
            try:
                request()
                return
            except Refused as refused:
                if unanswered and refused.code == "wrong_state":
                    return
                passing = refused.http_status == 503 or "stand" in refused.error
                if not passing or patience.is_over():
                    raise Stuck(f"refused: {refused} {self.status()}") from refused
                self.status()  # it may be the other one that works
                time.sleep(POLL_SECONDS)
            except requests.Timeout as error:
                unanswered = True
                if patience.is_over():
                    raise Stuck(f"silent: {error}") from error
            except requests.RequestException as error:
                raise Stuck(f"silent: {error}") from error

    def until(
        self, what: str, holds: Callable[[Status], bool], seconds: float = STUCK_SECONDS, daemon: Plm | None = None
    ) -> Status:
        """At most so long without any movement of the job."""
        patience, seen = Patience(seconds), None
        while not holds(status := self.status(daemon)):
            if status["state"] == "failed":
                self._go_on_from_failure(status)
            if (moved := _position(status)) != seen:
                patience, seen = Patience(seconds), moved
            if patience.is_over():
                raise Stuck(f"stuck: not {what} and no movement for {seconds} s: {status}")
            time.sleep(POLL_SECONDS)
        return status

    def check(self) -> None:
        """That the job goes on."""
        if (status := self.status())["state"] == "failed":
            self._go_on_from_failure(status)

    def _go_on_from_failure(self, status: Status) -> None:
        if not (self.was_frozen and DOCUMENTED in status.get("error", "")):
            raise Stuck(f"failed: {status.get('error')}")
        self.manual_steps += 1
        self.request(lambda: self.owner.resume(fromFailure=True))

    def until_applied(self, mark: Timestamp, seconds: float = STUCK_SECONDS) -> Status:
        return self.until(f"applied {mark}", lambda status: replicated_time(status) >= mark, seconds)


class Progress(threading.Thread):
    """What the plm at work says of its progress, several times a second."""

    def __init__(self, owner: Callable[[], Plm]) -> None:
        super().__init__(daemon=True)
        self._owner = owner
        self._ended = threading.Event()
        self._samples: list[tuple[float, int, int]] = []  # when, copied bytes, applied events
        self.began_anew = False  # the initial sync was complete, and then it was not

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        completed = False
        while not self._ended.wait(SAMPLE_SECONDS):
            with contextlib.suppress(requests.RequestException):
                status = requests.get(self._owner().url + "/status", timeout=2).json()
                if status["state"] in ("idle", "standby"):
                    continue
                sync = status["initialSync"]
                self._samples.append((time.monotonic(), sync["clonedSizeBytes"], status["eventsApplied"]))
                self.began_anew |= completed and not sync["completed"]
                completed |= sync["completed"]

    def seconds_since(self, after: Status, until: float) -> float:
        """How long the plm that ended at `until` had worked behind the place where the next one begins; at most."""
        place = (after["initialSync"]["clonedSizeBytes"], after["eventsApplied"])
        samples = [sample for sample in list(self._samples) if sample[0] <= until]
        return max(self._seconds_behind(samples, number, at, until) for number, at in enumerate(place, 1))

    @staticmethod
    def _seconds_behind(samples: list[tuple[float, int, int]], number: int, place: int, until: float) -> float:
        since = until
        for sample in reversed(samples):
            if sample[number] <= place:
                return until - sample[0] if since < until else 0.0
            since = sample[0]
        return until - since


def _position(status: Status) -> tuple[Any, ...]:
    """Changes while the job moves."""
    sync = status["initialSync"]
    counted = (status["eventsRead"], status["eventsApplied"], sync["clonedSizeBytes"])
    return status["state"], *counted, sync["collections"], sync["indexes"]
