"""The smallest schedule that still differs: delta debugging over the operations, then over what they and the settings say.

Whether a schedule differs may depend on timing, so each candidate is tried several times before it counts as equal. A
candidate counts only if it differs in the same sort (documents, options, stuck …), so that one bug does not turn into
another on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .execute import Outcome
from .schedule import Control, Operation, Schedule, Transaction, Write

Run = Callable[[Schedule], Outcome]


class Shrinker:
    def __init__(self, run: Run, schedule: Schedule, kind: str, *, seconds: float = 180, tries: int = 2) -> None:
        self.run = run
        self.best = schedule
        self.kind = kind
        self.deadline = time.monotonic() + seconds
        self.tries = tries
        self.runs = 0
        self.outcome: Outcome | None = None  # of the best schedule, once it was seen again

    def shrink(self, about: str) -> Schedule:
        """`about` is the text of the difference."""
        self._keep_what_is_named(about)
        self._simplify_settings()
        self._remove_operations()
        self._simplify_operations()
        self._remove_operations()
        self._simplify_settings()
        return self.best

    def _differs(self, candidate: Schedule) -> bool:
        """Keeps the candidate if it differs in the same way."""
        for _ in range(self.tries):
            if time.monotonic() > self.deadline:
                return False
            self.runs += 1
            outcome = self.run(candidate)
            if outcome.kind == self.kind:
                self.best, self.outcome = candidate, outcome
                return True
        return False

    def _keep_what_is_named(self, about: str) -> None:
        """A large step that succeeds often: only what deals with collections that the difference names."""

        def deals_with(write: Write) -> bool:
            return any(isinstance(value, str) and value in about for value in _strings(write.command))

        def kept(operation: Operation) -> bool:
            match operation:
                case Write():
                    return deals_with(operation)
                case Transaction():
                    return any(deals_with(write) for write in operation.writes)
                case _:
                    return True

        self._differs(replace(self.best, operations=[o for o in self.best.operations if kept(o)]))
        needed = ("start", "wait", "finalize")
        only_start = [o for o in self.best.operations if not isinstance(o, Control) or o.do in needed]
        self._differs(replace(self.best, operations=only_start))

    def _remove_operations(self) -> None:
        """Zeller's ddmin without its reduction to single parts: halves, quarters, … single operations."""
        size = max(1, len(self.best.operations) // 2)
        while True:
            position, removed = 0, False
            while position < len(self.best.operations):
                rest = self.best.operations[:position] + self.best.operations[position + size :]
                if self._differs(replace(self.best, operations=rest)):
                    removed = True
                else:
                    position += size
            if size == 1 and not removed or time.monotonic() > self.deadline:
                return
            size = max(1, size // 2)

    def _simplify_settings(self) -> None:
        for change in (
            {"window": 0},
            {"slow": {}},
            {"unreliable": {}},
            {"kill_in_finalize": None},
            {"portable": False},
            {"include": [], "exclude": []},
            {"tuning": {}},
        ):
            if any(getattr(self.best, name) != value for name, value in change.items()):
                self._differs(replace(self.best, **change))

    def _simplify_operations(self) -> None:
        """Lists inside an operation lose their elements, one half or one element at a time."""
        index = 0
        while index < len(self.best.operations):
            for simpler in _simpler(self.best.operations[index]):
                operations = list(self.best.operations)
                operations[index] = simpler
                if self._differs(replace(self.best, operations=operations)):
                    break  # and the same place again
            else:
                index += 1


def _strings(command: dict[str, Any]) -> Iterator[Any]:
    """The names of collections that a command holds; dropDatabase concerns them all."""
    values = list(command.items())
    yield values[0][1] if values[0][0] != "dropDatabase" else ""
    for name in ("to", "toCollection", "viewOn"):
        yield command.get(name)
    for stage in command.get("pipeline", []):
        for result in ("$out", "$merge"):
            if result in stage:
                yield ""


def _simpler(operation: Operation) -> Iterator[Operation]:
    match operation:
        case Control():
            return
        case Transaction():
            for writes in _shorter(operation.writes):
                yield replace(operation, writes=writes)
        case Write():
            for name in ("documents", "updates", "deletes", "indexes"):
                for shorter in _shorter(operation.command.get(name, [])):
                    yield replace(operation, command={**operation.command, name: shorter})
            documents = operation.command.get("documents", [])
            if len(documents) == 1 and isinstance(documents[0], dict):
                for name in documents[0].keys() - {"_id"}:
                    fewer = {key: value for key, value in documents[0].items() if key != name}
                    yield replace(operation, command={**operation.command, "documents": [fewer]})


def _shorter(values: list[Any]) -> Iterator[list[Any]]:
    if len(values) < 2:
        return
    half = len(values) // 2
    yield values[:half]
    yield values[half:]
    if len(values) <= 8:
        for place in range(len(values)):
            yield values[:place] + values[place + 1 :]
