"""Many tasks, done by several processes at a time, each with servers of its own."""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from queue import Empty
from typing import Any

Do = Callable[[Any], Any]  # a task's result


def results(
    tasks: Iterable[Any], worker: Callable[[], AbstractContextManager[Do]], jobs: int, minutes: float | None
) -> Iterator[Any]:
    """The results of tasks in the order in which they come; no task begins after so many minutes.

    In each process `worker` is entered once. It can be pickled, as can tasks and results. Its error is a RuntimeError
    here, with the task's name. Closing the iterator ends the processes, each when its present task is done.
    """
    context = multiprocessing.get_context("spawn")
    todo, done, stop = context.Queue(), context.Queue(), context.Event()
    deadline = time.time() + minutes * 60 if minutes else float("inf")
    remaining = iter(tasks)

    def feed() -> int:
        """How many tasks were handed out: one or none."""
        if time.time() > deadline or (task := next(remaining, None)) is None:
            return 0
        todo.put(task)
        return 1

    workers = [context.Process(target=_work, args=(worker, todo, done, stop)) for _ in range(jobs)]
    for one in workers:
        one.start()
    try:
        under_way = sum(feed() for _ in workers)
        while under_way:
            try:
                result = done.get(timeout=1)
            except Empty:
                if not any(one.is_alive() for one in workers):
                    raise RuntimeError("all workers ended") from None
                continue
            under_way -= 1
            if isinstance(result, _Broken):
                raise RuntimeError(result.text)
            under_way += feed()
            yield result
    finally:
        stop.set()
        for _ in workers:
            todo.put(None)
        for one in workers:
            one.join()


class _Broken:
    def __init__(self, text: str) -> None:
        self.text = text


def _work(worker: Callable[[], AbstractContextManager[Do]], todo: Queue, done: Queue, stop: Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # sent to all of a terminal's processes; the first one's say counts
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which servers would inherit
    task: Any = None
    try:
        with worker() as do:
            while (task := todo.get()) is not None and not stop.is_set():
                done.put(do(task))
    except BaseException:
        done.put(_Broken(f"{task}: {traceback.format_exc()}"))
