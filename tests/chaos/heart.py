"""Beats, written to the source and looked for on the target: whether events flow, seen without asking plm."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from differential.execute import Stuck
from lab.servers import MemberSet, Pair, acknowledged_note
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from .machine import Patience, patiently

DATABASE, COLLECTION = "heart", "beats"
POLL_SECONDS = 0.03
MAJORITY = WriteConcern("majority", wtimeout=5000)


class Heart:
    """`check` is called while a beat is on its way; it raises Stuck when plm has failed."""

    def __init__(self, pair: Pair, check: Callable[[], Any]) -> None:
        self._pair = pair
        self._check = check
        self._beats = 0

    def first(self) -> None:
        """So that its collection is copied with the others."""
        self._write()

    def beats_within(self, seconds: float) -> bool:
        """Whether a beat written now is on the target so soon."""
        number, end = self._write(), time.monotonic() + seconds
        while time.monotonic() < end:
            if self._arrived(number):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def recovered(self, seconds: float) -> float:
        """How long a beat takes that is written as soon as both sides have a primary that acknowledges writes. Counted
        anew when one of them elects another one meanwhile."""
        patience = Patience(seconds)
        while True:
            elections = self._acknowledging()
            began = time.monotonic()
            number = self._write()
            while not self._arrived(number):
                if patience.is_over():
                    raise Stuck(f"still: no beat arrived {time.monotonic() - began:.0f} s after both sides worked")
                self._check()
                time.sleep(POLL_SECONDS)
            if self._elections() == elections:
                return time.monotonic() - began

    def _write(self) -> int:
        """It is acknowledged by a majority; one whose answer was lost may be there, too."""
        deadline = time.monotonic() + 60
        while True:
            self._beats += 1
            try:
                beats = self._pair.source.admin[DATABASE].get_collection(COLLECTION, write_concern=MAJORITY)
                beats.insert_one({"_id": self._beats})
                return self._beats
            except PyMongoError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def _arrived(self, number: int) -> bool:
        target: MemberSet = self._pair.target
        try:
            member, _ = target.wait_primary()
            return target.direct(member)[DATABASE][COLLECTION].find_one({"_id": number}) is not None
        except PyMongoError:
            return False

    def _elections(self) -> list[Any]:
        return [side.wait_primary()[1] for side in self._pair]

    def _acknowledging(self) -> list[Any]:
        """Waits for both sides; which elections their primaries come from."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(_acknowledges, self._pair))


def _acknowledges(side: MemberSet) -> Any:
    def try_it() -> Any:
        member, election = side.wait_primary()
        acknowledged_note(side.direct(member, milliseconds=4000), milliseconds=2000)
        return election

    return patiently(try_it, POLL_SECONDS)
