"""What a seed decides: load, settings of plm, and which faults fall where and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from differential.features import FEATURES
from lab.proxy import CUT, DEAF, DELAY, LATE, SILENT, WIRE_TROUBLES

# Of what the differential tests do, that which has nothing to do with how plm is treated.
_NOT_HERE = {"filter", "portable", "pause", "kill", "kill-in-finalize", "faults", "slow", "large-transactions"}
_NOT_HERE |= {"finalize-under-writes"}
LOAD_FEATURES = frozenset(FEATURES) - _NOT_HERE

STEPDOWN, KILL, FREEZE, RESTART_ALL, NO_MAJORITY = "stepdown", "kill", "freeze", "restart-all", "no-majority"
FAIL_COMMAND, NO_RIGHTS, DISK_FULL = "fail-command", "no-rights", "disk-full"
KILL_PLM, FREEZE_PLM, TERMINATE_PLM, PAUSE_PLM = "kill-plm", "freeze-plm", "terminate-plm", "pause-plm"
CLOCK_PLM = "clock-plm"
ELECTIONS = (STEPDOWN, KILL, FREEZE, RESTART_ALL, NO_MAJORITY)
PLM = "plm"
_SERVER_KINDS = {STEPDOWN: 4, KILL: 4, FREEZE: 3, RESTART_ALL: 2, NO_MAJORITY: 2, FAIL_COMMAND: 5}
_SERVER_KINDS |= {NO_RIGHTS: 2, DISK_FULL: 1}
_WIRE_KINDS = {CUT: 2, DELAY: 1, SILENT: 1, DEAF: 2, LATE: 3}
_PLM_KINDS = {KILL_PLM: 4, TERMINATE_PLM: 2, PAUSE_PLM: 2, FREEZE_PLM: 1}
_CLOCK_KINDS = {CLOCK_PLM: 4}  # where plm's clock can be moved
PLM_KINDS = frozenset(_PLM_KINDS | _CLOCK_KINDS)
# Some last longer than others, beyond a lease's ten seconds.
_LASTING = {FREEZE: (1.0, 5.0, 5.0, 8.0, 8.0, 15.0, 15.0, 40.0), NO_RIGHTS: (1.0, 4.0, 12.0), DISK_FULL: (1.0, 12.0)}
HOUR = 3600

# Commands that plm sends, and what servers answer when something is wrong with them.
_COMMANDS = {
    "source": ("aggregate", "getMore", "find", "listCollections", "listIndexes", "dataSize", "count", "listDatabases"),
    "target": (
        *("insert", "insert", "update", "delete", "applyOps", "applyOps", "commitTransaction", "find", "aggregate"),
        *("create", "createIndexes", "collMod", "drop", "renameCollection", "dropIndexes", "listCollections", "listIndexes"),
    ),
}
_EVERYWHERE = (6, 24, 50, 89, 91, 112, 189, 202, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436)
_READING = (43, 134, 175, 237, 246)
_WRITTEN_ALL_THE_SAME = ({"code": 91, "errmsg": "shutting down"}, {"code": 64, "errmsg": "waiting timed out"})


@dataclass(frozen=True)
class Fault:
    kind: str
    side: str  # source, target, plm
    pause: float  # seconds before it
    seconds: float  # that it lasts
    hasty: bool  # whether the next one comes before plm has recovered
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{self.kind} {self.side} after {self.pause} s for {self.seconds} s", *["hasty"] * self.hasty]
        return " ".join([*words, *(f"{key}={value}" for key, value in self.details.items())])


@dataclass(frozen=True)
class Plan:
    seed: int
    portable: bool
    wired: bool  # plm reaches the servers through wires, which networks' faults need
    clock: bool  # plm's wall clock can be moved
    majority: bool  # writes of the application wait for it; others may be rolled back
    standby: bool
    documents: int  # of each of the collections that are there before
    writers: int
    ddl_share: float
    slow: int  # milliseconds that each insert of plm takes at first
    uri: dict[str, Any]
    tuning: dict[str, Any]
    copying: tuple[Fault, ...]
    streaming: tuple[Fault, ...]
    finalizing: tuple[Fault, ...]

    @property
    def kills_connections(self) -> bool:
        """Without a word to anybody."""
        return any(fault.kind in (SILENT, DEAF) for fault in (*self.copying, *self.streaming, *self.finalizing))

    def __str__(self) -> str:
        faults = {"copying": self.copying, "streaming": self.streaming, "finalizing": self.finalizing}
        settings = {name: value for name, value in vars(self).items() if name not in faults}
        lines = [f"{phase}: {fault}" for phase, list_ in faults.items() for fault in list_]
        return "\n".join([str(settings), *lines])


def plan(seed: int) -> Plan:
    rng = random.Random(seed)
    wired = rng.random() < 0.6
    clock = rng.random() < 0.25
    standby = rng.random() < 0.3
    tuning = {
        "cloneSegmentSize": rng.choice((20_000, 100_000, 1_000_000)),
        "cloneReadBatchSize": rng.choice((10_000, 100_000)),
        "cloneNumParallelCollections": rng.choice((1, 2, 4)),
        "cloneNumReadWorkers": rng.choice((1, 2, 4)),
        "replNumWorkers": rng.choice((1, 2, 4)),
        "replBulkOpsSize": rng.choice((10, 100, 1000)),
    }
    kinds = _SERVER_KINDS | (_WIRE_KINDS if wired else {}) | _PLM_KINDS | (_CLOCK_KINDS if clock else {})
    late = {kind: weight for kind, weight in kinds.items() if kind not in (PAUSE_PLM, FREEZE_PLM)}
    copying = tuple(_fault(rng, kinds, rng.choice((0.1, 0.3, 1.0, 2.0))) for _ in range(rng.choice((0, 1, 1, 2))))
    streaming = tuple(_fault(rng, kinds, rng.choice((0.5, 1.0, 2.0))) for _ in range(rng.choice((2, 3, 3, 4))))
    finalizing = tuple(_fault(rng, late, rng.choice((0.0, 0.02, 0.1, 0.3))) for _ in range(rng.choice((0, 1, 1, 2))))
    return Plan(
        seed,
        portable=rng.random() < 0.25,
        wired=wired,
        clock=clock,
        majority=rng.random() < 0.5,
        standby=standby,
        documents=rng.choice((300, 1500, 4000)),
        writers=rng.choice((2, 3, 4)),
        ddl_share=rng.choice((0.0, 0.02, 0.02, 0.1)),
        slow=rng.choice((0, 20, 60)),
        uri={"heartbeatFrequencyMS": 500} if rng.random() < 0.3 else {},
        tuning={name: value for name, value in tuning.items() if rng.random() < 0.7},
        copying=copying,
        streaming=streaming,
        finalizing=finalizing,
    )


def _fault(rng: random.Random, kinds: dict[str, int], pause: float) -> Fault:
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    side = PLM if kind in PLM_KINDS else "target" if kind == DISK_FULL else rng.choice(("source", "target"))
    # Drawn in any case, so that faults of other kinds begin with the same numbers.
    seconds = rng.choice(_LASTING.get(kind, (0.3, 1.0, 2.0, 4.0)))
    hasty = rng.random() < 0.3
    details: dict[str, Any] = {}
    if kind == FAIL_COMMAND:
        details = _failing(rng, side)
    elif kind in WIRE_TROUBLES:
        details = {"late": rng.choice((0.2, 1.0, 3.0)), "delay": rng.choice((0.05, 0.2, 0.5))}
        details["primary"] = rng.random() < 0.3  # the ways to the others are whole
    elif kind == CLOCK_PLM:
        details = {"ahead": rng.choice((-24 * HOUR, -HOUR, -15, 15, HOUR, 24 * HOUR))}
    elif kind in (STEPDOWN, NO_MAJORITY):
        details = {"hard": rng.random() < 0.5}  # without waiting for secondaries; by SIGKILL, not SIGSTOP
    return Fault(kind, side, pause, seconds, hasty, details)


def _failing(rng: random.Random, side: str) -> dict[str, Any]:
    commands = sorted(set(rng.sample(_COMMANDS[side], rng.choice((1, 2, 4)))))
    times = rng.choice((1, 2, 5))
    choice = rng.random()
    answer: dict[str, Any]
    if choice < 0.35:
        answer = {"closeConnection": True}
    elif choice < 0.5 and side == "target":
        answer = {"writeConcernError": rng.choice(_WRITTEN_ALL_THE_SAME)}
    elif side == "source":
        answer = {"errorCode": rng.choice(_EVERYWHERE + _READING)}
    else:
        answer = {"errorCode": rng.choice(_EVERYWHERE)}
    return {"commands": commands, "times": times, "answer": answer}
