"""Doing a fault, and undoing it. All are over, processes running again and networks whole, when `strike` returns."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bson import Timestamp
from lab.daemon import Status, replicated_time
from lab.proxy import DELAY, LATE, WIRE_TROUBLES, Wire
from lab.servers import MemberSet, Pair, ReplicaSet, acknowledged_note
from pymongo.errors import PyMongoError

from . import plan
from .daemons import Daemons
from .heart import Heart
from .machine import patiently, slowness
from .plan import Fault

APP_NAME = "plm-under-test"
PATIENCE = 60.0  # seconds that a beat may take
# What a target answers whose disk is full.
OUT_OF_DISK_SPACE = 14031
WRITES = ("insert", "update", "delete", "applyOps", "commitTransaction", "create", "createIndexes", "collMod")


@dataclass
class Redone:
    """How far back a new process began."""

    worked: float  # seconds that the old one had worked on what is done again, at most
    seconds: float  # of the source's time
    events: int
    copied_bytes: int

    @staticmethod
    def between(before: Status, after: Status, worked: float) -> Redone:
        def back(number: Callable[[Status], Any]) -> Any:
            return max(0, number(before) - number(after))

        known = replicated_time(after).time > 0  # a job that begins anew has not replicated anything yet
        return Redone(
            worked,
            back(lambda status: replicated_time(status).time) if known else 0,
            back(lambda status: status["eventsApplied"]),
            back(lambda status: status["initialSync"]["clonedSizeBytes"]),
        )


@dataclass
class Measured:
    """What came of one fault. Seconds."""

    fault: Fault
    phase: str = ""
    recovered: float | None = None  # from primaries and networks being there until what is written then is applied
    taken_over: float | None = None
    redone: Redone | None = None
    slowness: float = 1.0  # of the machine, at the end of it


@dataclass
class Faults:
    pair: Pair
    wires: dict[str, list[Wire]]
    daemons: Daemons
    heart: Heart
    standby: bool
    measured: list[Measured] = field(default_factory=list)
    flows: bool = True  # whether events flow, so that recovery can be measured
    _beats: bool = False  # whether beats flowed before the fault

    def strike(self, fault: Fault, phase: str) -> None:
        measured = Measured(fault, phase)
        self.measured.append(measured)
        time.sleep(fault.pause)
        if fault.side == plan.PLM:
            self._plm(fault, measured)
        else:
            self._server(fault, measured)
        measured.slowness = slowness()

    # -- servers ---------------------------------------------------------------------------------------------------
    def _server(self, fault: Fault, measured: Measured) -> None:
        # In the middle of the copy a beat may have to wait for the others' documents.
        is_copying = measured.phase == "copying"
        self._beats = self.flows and not fault.hasty and (not is_copying or self.heart.beats_within(1))
        side: MemberSet = getattr(self.pair, fault.side)
        side.wait_complete()
        if fault.kind in plan.ELECTIONS:
            self._election(side, fault, measured)
        elif fault.kind in WIRE_TROUBLES:
            self._network(fault)
        elif fault.kind == plan.NO_RIGHTS:
            self._take_rights(side, fault)
        elif fault.kind == plan.DISK_FULL:
            full = {"failCommands": WRITES, "errorCode": OUT_OF_DISK_SPACE}
            side.fail_point("failCommand", "alwaysOn", appName=APP_NAME, **full)
            time.sleep(fault.seconds)
            side.fail_point("failCommand", "off")
        else:
            side.fail_point("failCommand", "off")  # what is left of the one before
            self._fail_command(side, **fault.details)
            time.sleep(fault.seconds)
        if measured.recovered is None and self.flows and not fault.hasty:
            self._recover(measured)

    def _election(self, side: MemberSet, fault: Fault, measured: Measured) -> None:
        old, election = side.wait_primary()
        others = [member for member in side.members if member is not old]
        undo: Callable[[], None] = lambda: None  # noqa: E731
        match fault.kind:
            case plan.STEPDOWN:
                with contextlib.suppress(PyMongoError):
                    side.direct(old).admin.command("replSetStepDown", 5, force=fault.details["hard"])
                if side.primary() == (old, election):  # it found no secondary that had caught up
                    return
            case plan.KILL:
                old.kill()
                undo = old.start
            case plan.FREEZE:
                old.freeze()
                undo = old.thaw
            case plan.RESTART_ALL:
                with ThreadPoolExecutor(len(side.members)) as pool:
                    list(pool.map(ReplicaSet.kill, side.members))
                time.sleep(fault.seconds)
                side.start()
            case plan.NO_MAJORITY:
                self._without_majority(others, fault)
        try:
            began, elected = time.monotonic(), False
            # A majority that was gone for a moment may leave the primary what it is.
            patience = 3 if fault.kind == plan.NO_MAJORITY else 60
            with contextlib.suppress(TimeoutError):
                side.wait_primary(unlike=election, timeout=patience)
                elected = True
            if not elected and patience == 60:
                raise TimeoutError(f"no primary of {side.folder.name} {time.monotonic() - began} s after {fault}")
            if self.flows and not fault.hasty and elected:
                self._recover(measured)
            if undo_after := fault.seconds - (time.monotonic() - began):
                time.sleep(max(0.0, undo_after))
        finally:
            undo()

    def _without_majority(self, members: list[ReplicaSet], fault: Fault) -> None:
        for member in members:
            member.kill() if fault.details["hard"] else member.freeze()
        time.sleep(fault.seconds + 1)
        for member in members:
            member.start() if fault.details["hard"] else member.thaw()

    def mark(self) -> Timestamp:
        """A time of the source behind everything that was written; repeated until a majority has it."""
        return patiently(lambda: acknowledged_note(self.pair.source.admin, milliseconds=20_000))["operationTime"]

    def _recover(self, measured: Measured) -> None:
        if self._beats:
            measured.recovered = self.heart.recovered(PATIENCE)
        self.daemons.until_applied(self.mark())

    def _take_rights(self, side: MemberSet, fault: Fault) -> None:
        grant = {"updateUser": side.plm_user.name, "writeConcern": {"w": "majority"}}
        patiently(lambda: side.admin.admin.command({**grant, "roles": []}))
        try:
            time.sleep(fault.seconds)
        finally:
            patiently(lambda: side.admin.admin.command({**grant, "roles": list(side.plm_user.roles)}))

    def _fail_command(self, side: MemberSet, commands: list[str], times: int, answer: dict) -> None:
        side.fail_point("failCommand", {"times": times}, appName=APP_NAME, failCommands=commands, **answer)

    # -- networks --------------------------------------------------------------------------------------------------
    def _network(self, fault: Fault) -> None:
        seconds = {LATE: fault.details["late"], DELAY: fault.details["delay"]}.get(fault.kind, 0.0)
        side: MemberSet = getattr(self.pair, fault.side)
        wires = self.wires[fault.side]
        if fault.details["primary"]:
            wires = [wires[side.members.index(side.wait_primary()[0])]]
        for wire in wires:
            wire.trouble(fault.kind, seconds)
        time.sleep(fault.seconds)
        for wire in wires:
            wire.heal()

    # -- plm -------------------------------------------------------------------------------------------------------
    def _plm(self, fault: Fault, measured: Measured) -> None:
        daemons = self.daemons
        before = daemons.status()
        self._beats = self.flows and not fault.hasty and measured.phase != "copying"
        ended = 0.0
        match fault.kind:
            case plan.KILL_PLM | plan.TERMINATE_PLM:
                ended = self._end_plm(fault, measured)
            case plan.FREEZE_PLM:
                ended = self._freeze_plm(fault, measured)
            case plan.PAUSE_PLM:
                return self._pause_plm(fault)
            case plan.CLOCK_PLM:
                assert daemons.clock
                daemons.clock.jump_to(fault.details["ahead"])
                time.sleep(fault.seconds)
        if ended:
            measured.redone = self._redone(before, ended)
        if self.flows and not fault.hasty:
            self._recover(measured)

    def _redone(self, before: Status, ended: float) -> Redone:
        daemons = self.daemons
        began_anew = replicated_time(before) == Timestamp(0, 0) and not self.flows
        after = daemons.until("position", lambda status: replicated_time(status) > Timestamp(0, 0) or began_anew)
        return Redone.between(before, after, daemons.progress.seconds_since(after, ended))

    def _end_plm(self, fault: Fault, measured: Measured) -> float:
        """When it ended."""
        if self.standby:
            self.daemons.stand_by()
        ended = time.monotonic()
        self.daemons.kill() if fault.kind == plan.KILL_PLM else self.daemons.terminate()
        if self.daemons.other.process:  # also one that was frozen once
            measured.taken_over = self.daemons.taken_over()
            return ended
        time.sleep(fault.seconds / 2)
        self.daemons.run()
        self.daemons.until("at work", lambda status: status["state"] not in ("standby", "idle"))
        return ended

    def _freeze_plm(self, fault: Fault, measured: Measured) -> float:
        daemons = self.daemons
        daemons.stand_by()
        frozen = daemons.owner
        daemons.until("standing by", lambda status: status["state"] == "standby", daemon=daemons.other)
        ended = time.monotonic()
        daemons.set_running(frozen, False)
        try:
            measured.taken_over = daemons.taken_over()
            time.sleep(fault.seconds)
        finally:
            daemons.set_running(frozen, True)
        daemons.until("standing by", lambda status: status["state"] == "standby", daemon=frozen)
        return ended

    def _pause_plm(self, fault: Fault) -> None:
        daemons = self.daemons
        if daemons.status()["state"] != "running" or not daemons.status()["initialSync"]["completed"]:
            return
        daemons.request(lambda: daemons.owner.pause())
        daemons.until("paused", lambda status: status["state"] == "paused")
        time.sleep(fault.seconds)
        daemons.request(lambda: daemons.owner.resume())
        daemons.until("running", lambda status: status["state"] == "running")
