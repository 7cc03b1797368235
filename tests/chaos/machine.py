"""How busy the machine is with other things: then runs get more time, and writers write less. And that commands of ours
meet elections."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from pymongo.errors import PyMongoError

_LOAD_OF_A_RUN = 4.0  # for each processor
_SLOWEST = 10.0


def slowness() -> float:
    """1 on a machine that has nothing else to do."""
    return min(max(1.0, os.getloadavg()[0] / (_LOAD_OF_A_RUN * (os.cpu_count() or 1))), _SLOWEST)


class Patience:
    """So many seconds of a machine that has nothing else to do."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._seen = time.monotonic()

    def is_over(self) -> bool:
        now = time.monotonic()
        self._left -= (now - self._seen) / slowness()
        self._seen = now
        return self._left < 0


def patiently(action: Callable[[], Any], pause: float = 0.1) -> Any:
    """A command of ours that meets an election is given again, for a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return action()
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(pause)
