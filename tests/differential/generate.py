"""A whole schedule from one seed: which features, which filter and settings, and the list of operations."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .features import FEATURES, Feature
from .schedule import Control, EndTransaction, Operation, Schedule, Transaction, Write
from .structure import DATABASES, NAMES, SERIES_NAMES, VIEW_NAMES, Structure
from .values import Values
from .writes import Writes

# What plm meets on the way: errors before anything was done, a lost answer, a write that was done all the same.
FAULTS = (
    ("source", ["find", "getMore"], {"errorCode": 11600}),
    ("source", ["aggregate", "getMore"], {"errorCode": 43}),
    ("source", ["aggregate", "getMore", "find"], {"closeConnection": True}),
    ("source", ["listCollections", "listIndexes", "dataSize"], {"errorCode": 189}),
    ("target", ["insert"], {"errorCode": 10107}),
    ("target", ["insert", "update", "delete", "applyOps"], {"closeConnection": True}),
    ("target", ["insert", "update", "delete", "applyOps"], {"writeConcernError": {"code": 91, "errmsg": "shutting down"}}),
    ("target", ["create", "createIndexes", "collMod", "drop", "renameCollection"], {"closeConnection": True}),
    ("target", ["createIndexes"], {"errorCode": 11602}),
)

# What a server answers that fails any command now and then.
UNRELIABLE = {
    "source": (*({"errorCode": code} for code in (43, 50, 91, 189, 202, 237, 262, 11600)), {"closeConnection": True}),
    "target": (
        *({"errorCode": code} for code in (24, 50, 91, 112, 189, 262, 10107, 11600, 11602)),
        {"closeConnection": True},
        *({"writeConcernError": {"code": code, "errmsg": "not confirmed"}} for code in (64, 64, 91)),
    ),
}

Placed = tuple[int, list[Control]]  # in front of the operation of this number

# plm saves its position every two seconds, and whenever everything is at rest.
SAVE_MILLISECONDS = 2200


def generate(seed: int, features: frozenset[str]) -> Schedule:
    """The same seed and features give the same schedule, for ever as far as the generator does not change."""
    return _Generator(seed, features).schedule()


def stream(seed: int, features: frozenset[str], ddl_share: float) -> Iterator[Operation]:
    """What one writer does, without end."""
    generator = _Generator(seed, features)
    generator.writers, generator.ddl_share = 1, ddl_share
    yield from generator.beginning()
    while True:
        yield generator.operation()


def _for(feature: Feature, seed: int, common: random.Random) -> random.Random:
    return random.Random(f"{seed} {feature.name}") if feature.apart else common


class _Generator:
    def __init__(self, seed: int, allowed: frozenset[str]) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        # Drawn for all features in a fixed order, so that switching one off changes little else.
        drawn = {name: _for(feature, seed, rng).random() < feature.share for name, feature in FEATURES.items()}
        self.features = frozenset(name for name, used in drawn.items() if used and name in allowed)
        if "duplicate-names" in self.features:
            self.features -= {"merge", "map-reduce"}  # they update what they meet
        self.values = Values(rng, self.features)
        self.writes = Writes(self.values)
        self.structure = Structure(self.values, self.writes)
        self.writers = rng.choice((1, 2, 3, 4))
        self.ddl_share = rng.choice((0.02, 0.1, 0.25, 0.5))
        if "backlog" in self.features:
            self.ddl_share = 0.0  # most of it waits until what was sent is applied
        self.open: list[tuple[int, str]] = []  # transactions: their writer and name

    def has(self, feature: str) -> bool:
        return feature in self.features

    # -- the schedule --------------------------------------------------------------------------------------------------
    def schedule(self) -> Schedule:
        rng = self.rng
        schedule = Schedule(self.seed, portable=self.has("portable"), window=rng.choice((0, 4, 8, 16)))
        if self.has("filter"):
            schedule.include, schedule.exclude = self._filter()
        schedule.tuning = self._tuning()
        if self.has("backlog"):
            # Not what saves the position, where that can be helped: it must get done while changes wait.
            slow = ["update", "delete"] if self.has("portable") else ["applyOps", "insert"]
            schedule.slow = {"target": {"commands": slow, "milliseconds": 200}}
            schedule.tuning |= {"replNumWorkers": 1, "replBulkOpsSize": 1}
        elif self.has("slow"):
            schedule.slow = self._slow()
        if self.has("unreliable"):
            schedule.unreliable = self._unreliable(schedule.slow)
        if self.has("kill-in-finalize"):
            schedule.kill_in_finalize = rng.choice((0.0, 0.02, 0.1, 0.3))
        length = rng.choice((20, 60, 150, 300))
        operations: list[Operation] = self.beginning()
        operations += [self.operation() for _ in range(length)]
        late = self._late() if self.has("finalize-under-writes") else []
        self._place_control(operations, late)
        schedule.operations = operations
        return schedule

    def _unreliable(self, slow: dict) -> dict:
        """A server has one fault point for all commands: those that are slow fail no more than that."""
        rng = _for(FEATURES["unreliable"], self.seed, self.rng)
        sides = rng.choice((["source"], ["target"], ["target"], ["source", "target"]))
        how = {side: {"probability": rng.choice((0.003, 0.01, 0.03)), "answer": rng.choice(UNRELIABLE[side])} for side in sides}
        return {side: one for side, one in how.items() if side not in slow}

    def beginning(self) -> list[Operation]:
        """Some filled collections, so that there is something to copy."""
        operations: list[Operation] = []
        for _ in range(self.rng.choice((0, 1, 2, 4))):
            name = self.structure.new_name()
            self.structure.kinds.setdefault(name, "plain")
            count = self.rng.choice((10, 60, 200))
            operations.append(Write(0, name[0], self.writes.fill(name[1], count)))
        if self.has("indexes"):
            for _ in range(self.rng.randrange(3)):
                operations.append(Write(0, *self.structure.indexes()))
        return operations

    def _late(self) -> list[Operation]:
        """The request to finalize, and what goes on meanwhile: documents change, structure seldom. Nobody can read what a
        capped collection was."""
        self.ddl_share = self.rng.choice((0.0, 0.0, 0.0, 0.05, 0.2))
        self.structure.writable_kinds = ("plain", "clustered")
        out: list[Operation] = [Control("finalize", {"milliseconds": self.rng.choice((0, 10, 30, 100))})]
        for _ in range(self.rng.choice((10, 40, 100))):
            if self.rng.random() < 0.15 and (located := self.structure.documents()):
                out.append(Write(self.rng.randrange(self.writers), *located))
            else:
                out.append(self.operation())
        return out

    def operation(self) -> Operation:
        rng, writer = self.rng, self.rng.randrange(self.writers)
        if self.open and rng.random() < 0.1:
            writer, name = self.open.pop(rng.randrange(len(self.open)))
            return EndTransaction(writer, name, rng.choice(("commit", "commit", "abort")))
        if self.has("transactions") and rng.random() < 0.08:
            return self._transaction(writer)
        if rng.random() < self.ddl_share and (located := self.structure.command()):
            return Write(writer, *located)
        database, collection = self.structure.writable()
        return Write(writer, database, self.writes.command(collection))

    def _transaction(self, writer: int) -> Operation:
        rng = self.rng
        end = rng.choice(("commit", "commit", "commit", "abort"))
        if self.has("open-transactions") and len(self.open) < 2 and rng.random() < 0.4:
            end = "open"
        name = f"t{rng.randrange(10**6)}"
        if end == "open":
            self.open.append((writer, name))
        writes = []
        for _ in range(rng.choice((1, 2, 4, 8))):
            database, collection = self.structure.existing("plain", "clustered")
            writes.append(Write(writer, database, self.writes.command(collection)))
        if self.has("large-transactions") and rng.random() < 0.3:
            database, collection = self.structure.existing("plain")
            filler = "x" * 3_000_000  # six of them need two oplog entries
            documents = [{"_id": f"large {n}", "filler": filler} for n in range(6)]
            writes += [Write(writer, database, {"insert": collection, "documents": [one]}) for one in documents]
        return Transaction(writer, name, writes, end)

    # -- plm -----------------------------------------------------------------------------------------------------------
    def _place_control(self, operations: list[Operation], late: list[Operation]) -> None:
        """The start somewhere in the first half, everything else behind it, each at a random place; also among the late
        operations, which come last."""
        length = len(operations)
        start = self.rng.randrange(length // 2 + 1)
        operations += late
        controls = self._backlog(start, length) if self.has("backlog") else self._controls(start, len(operations))
        for place, made in sorted(controls, key=lambda pair: pair[0], reverse=True):
            operations[place:place] = made

    def _controls(self, start: int, length: int) -> list[Placed]:
        rng = self.rng
        controls = [(start, [Control("start")])]

        def anywhere() -> int:
            return rng.randint(start, length)

        if rng.random() < 0.5:
            controls.append((anywhere(), [Control("wait", {"for": "synced"})]))
        for _ in range(rng.choice((0, 0, 1, 3))):
            controls.append((anywhere(), [Control("wait", {"for": rng.choice(("copying", "applied", "collections"))})]))
        for _ in range(rng.choice((0, 1, 3))):
            controls.append((anywhere(), [Control("sleep", {"milliseconds": rng.choice((5, 20, 100))})]))
        if self.has("pause"):
            controls += self._pairs(start, length, "pause", "resume")
        if self.has("kill"):
            controls += self._pairs(start, length, "kill", "run")
        if self.has("faults"):
            for _ in range(rng.choice((1, 2, 4))):
                side, commands, answer = rng.choice(FAULTS)
                fault = {"side": side, "commands": commands, "times": rng.choice((1, 2, 4)), "answer": answer}
                controls.append((anywhere(), [Control("fault", fault)]))
        return controls

    def _backlog(self, start: int, length: int) -> list[Placed]:
        """Nothing that would wait until the queues are empty, or that would make the target fast again."""
        saved = Control("sleep", {"milliseconds": SAVE_MILLISECONDS})
        place = self.rng.randint((start + length) // 2, length)
        return [
            (start, [Control("start"), Control("wait", {"for": "synced"})]),
            (place, [saved, Control("kill"), Control("run")]),
        ]

    def _pairs(self, start: int, length: int, first: str, second: str) -> list[Placed]:
        """The second soon after the first: at once, or some operations later."""
        out = []
        for _ in range(self.rng.choice((1, 1, 2, 4))):
            place = self.rng.randint(start, length)
            later = min(length, place + self.rng.choice((0, 0, 5, 30)))
            if later == place:
                out.append((place, [Control(first), Control(second)]))
            else:
                out += [(place, [Control(first)]), (later, [Control(second)])]
        return out

    def _filter(self) -> tuple[list[str], list[str]]:
        names = (*NAMES, "*", "*", "*", *VIEW_NAMES, *SERIES_NAMES, "system.js")
        some = [f"{self.rng.choice(DATABASES)}.{self.rng.choice(names)}" for _ in range(4)]
        return self.rng.choice((([], some[:2]), (some[:1], []), (some[:3], some[3:]), (["d1.*"], ["d1.b"]), ([], some)))

    def _tuning(self) -> dict:
        """Small ranges, batches and teams: little data has to go many ways."""
        rng = self.rng
        tuning = {
            "cloneSegmentSize": rng.choice((1_000, 5_000, 20_000, 100_000)),
            "cloneReadBatchSize": rng.choice((1_000, 10_000)),
            "cloneNumParallelCollections": rng.choice((1, 2)),
            "cloneNumReadWorkers": rng.choice((1, 2, 4)),
            "replNumWorkers": rng.choice((1, 2, 4)),
            "replBulkOpsSize": rng.choice((1, 2, 10, 1000)),
        }
        return {name: value for name, value in tuning.items() if rng.random() < 0.7}

    def _slow(self) -> dict:
        kinds = {"target": (["insert"], ["insert", "applyOps"], ["createIndexes"]), "source": (["find"], ["find", "getMore"])}
        side = self.rng.choice(("target", "target", "source"))
        return {side: {"commands": self.rng.choice(kinds[side]), "milliseconds": self.rng.choice((2, 10, 30))}}
