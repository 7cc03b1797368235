"""Writers on the source that do not mind that its servers go away."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

from differential.execute import Application, Outcome
from differential.generate import stream
from differential.schedule import Control, Operation, Transaction, Write
from differential.values import Values
from differential.writes import Writes
from lab.servers import ADMIN, ReplicaSet
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from .machine import slowness
from .plan import LOAD_FEATURES, Plan

BULK = "bulk"  # the database of the larger collections, whose structure stays as it is
COLLECTIONS = ("b0", "b1", "b2")
PAUSE_SECONDS = 0.02
# A client that finds the next primary soon.
IMPATIENT = {"serverSelectionTimeoutMS": 1000, "connectTimeoutMS": 1000, "socketTimeoutMS": 3000, "heartbeatFrequencyMS": 500}


class _ManyKeys(Values):
    """Keys all over a large collection."""

    def __init__(self, rng: random.Random, features: frozenset[str], keys: int) -> None:
        super().__init__(rng, features)
        self.keys = keys

    def key(self) -> int:
        return self.rng.randrange(self.keys)


def bulk(seed: int, documents: int) -> Iterator[Operation]:
    """Changes of the larger collections, transactions among them."""
    rng = random.Random(seed)
    writes = Writes(_ManyKeys(rng, LOAD_FEATURES - {"large", "duplicate-names"}, documents * 2))

    def write() -> Write:
        return Write(0, BULK, writes.command(rng.choice(COLLECTIONS)))

    while True:
        if rng.random() < 0.15:
            yield Transaction(0, "bulk", [write() for _ in range(rng.choice((2, 4)))], rng.choice(("commit", "commit", "abort")))
        else:
            yield write()


class Load:
    """Several writers, from enter to exit."""

    def __init__(self, source: ReplicaSet, plan: Plan) -> None:
        self.counted = Outcome([])
        self.interrupted = 0  # operations whose connection or server went away
        self._source = source
        self._ended = threading.Event()
        streams = [bulk(plan.seed, plan.documents)]
        for number in range(1, plan.writers):
            streams.append(stream(plan.seed + number * 1_000_000_007, LOAD_FEATURES, plan.ddl_share))
        self._threads = [threading.Thread(target=self._write, args=(one,), daemon=True) for one in streams]

    def __enter__(self) -> Load:
        self._client = MongoClient(self._source.uri(ADMIN, **IMPATIENT), uuidRepresentation="standard")
        self._application = Application(self._client, self.counted)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._application.close()
        self._client.close()

    def _write(self, operations: Iterator[Operation]) -> None:
        for operation in operations:
            if self._ended.wait(PAUSE_SECONDS * slowness()):
                return
            assert not isinstance(operation, Control)
            try:
                self._application.run(operation)
            except PyMongoError:
                self.interrupted += 1
