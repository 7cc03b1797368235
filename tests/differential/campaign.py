"""Many schedules, on several pairs of servers at a time; what differs is shrunk and written down."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

from . import schedule as schedules
from .execute import Lab, Outcome
from .generate import generate
from .schedule import Schedule
from .shrink import Shrinker

CASES = Path(__file__).parent / "cases"


@dataclass
class Settings:
    features: frozenset[str]
    jobs: int = 1
    minutes: float | None = None  # no new schedule begins after this
    keep_going: bool = False  # after a difference
    shrink_seconds: float = 180
    found: Path = Path("build/differential")  # where differing schedules and their logs go


@dataclass
class Result:
    """Of one schedule, without its log."""

    name: str
    seed: int
    outcome: Outcome
    shrunk: Path | None = None


@dataclass
class Total:
    schedules: int = 0
    commands: int = 0
    events: int = 0
    busy_seconds: float = 0.0
    differing: list[Result] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    finalized: Counter[str] = field(default_factory=Counter)  # under writes

    def add(self, result: Result) -> None:
        outcome = result.outcome
        self.schedules += 1
        self.commands += outcome.commands
        self.events += outcome.events
        self.busy_seconds += outcome.seconds
        self.done += outcome.done
        self.refused += outcome.refused
        self.finalized += outcome.finalized
        if outcome.differences:
            self.differing.append(result)

    def text(self, seconds: float) -> str:
        each = self.busy_seconds / max(1, self.schedules)
        return (
            f"{self.schedules} schedules, {self.commands} commands, {self.events} events applied, "
            f"{each:.1f} s a schedule, {seconds:.0f} s in all, {len(self.differing)} differences"
        )


Task = int | Path  # a seed, or a kept case


def run(tasks: Iterable[Task], settings: Settings) -> Total:
    """Prints a line for each difference and a total; stops at the first one unless told to keep going."""
    began = time.monotonic()
    total = Total()
    for result in _results(tasks, settings):
        total.add(result)
        if result.outcome.differences:
            print(describe(result), flush=True)
            if not settings.keep_going:
                break
        elif total.schedules % 50 == 0:
            print(f"{result.name}: {total.text(time.monotonic() - began)}", flush=True)
    print(total.text(time.monotonic() - began), flush=True)
    return total


def describe(result: Result) -> str:
    lines = [f"{result.name} DIFFERS", *(f"  {line}" for line in result.outcome.differences[:10])]
    if result.shrunk:
        lines.append(f"  shrunk: {result.shrunk}")
    return "\n".join(lines)


# -- workers -----------------------------------------------------------------------------------------------------------
def _results(tasks: Iterable[Task], settings: Settings) -> Iterator[Result]:
    """Each worker has a pair of servers of its own."""
    context = multiprocessing.get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    stop = context.Event()
    deadline = time.time() + settings.minutes * 60 if settings.minutes else None
    remaining = iter(tasks)
    under_way = 0
    workers = [context.Process(target=_work, args=(settings, todo, done, stop)) for _ in range(settings.jobs)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(settings.jobs):
            under_way += _feed(remaining, todo, deadline)
        while under_way:
            try:
                result = done.get(timeout=1)
            except Empty:
                if not any(worker.is_alive() for worker in workers):
                    raise RuntimeError("all workers ended") from None
                continue
            under_way -= 1
            if isinstance(result, str):
                raise RuntimeError(result)
            under_way += _feed(remaining, todo, deadline)
            yield result
    finally:
        stop.set()
        for worker in workers:
            todo.put(None)
        for worker in workers:
            worker.join()


def _feed(remaining: Iterator[Task], todo: multiprocessing.Queue, deadline: float | None) -> int:
    """How many tasks were handed out: one or none."""
    if deadline and time.time() > deadline:
        return 0
    task = next(remaining, None)
    if task is None:
        return 0
    todo.put(task)
    return 1


def _work(settings: Settings, todo, done, stop) -> None:
    folder = Path(tempfile.mkdtemp(prefix="plm-differential-"))
    lab = None
    task: Task | None = None
    try:
        lab = Lab(folder)
        while (task := todo.get()) is not None and not stop.is_set():
            done.put(_one(lab, task, settings))
    except BaseException:
        done.put(f"{task}: {traceback.format_exc()}\n{lab.logs() if lab else ''}")
    finally:
        if lab:
            lab.close()
        shutil.rmtree(folder, ignore_errors=True)


def _one(lab: Lab, task: Task, settings: Settings) -> Result:
    if isinstance(task, Path):
        name, schedule = f"case {task.stem}", schedules.load(task)
    else:
        name, schedule = f"seed {task}", generate(task, settings.features)
    result = Result(name, schedule.seed, lab.run(schedule))
    if result.outcome.differences:
        result.shrunk = _write_down(lab, schedule, result.outcome, settings, is_case=isinstance(task, Path))
    result.outcome.log = ""
    return result


def _write_down(lab: Lab, schedule: Schedule, outcome: Outcome, settings: Settings, *, is_case: bool) -> Path:
    """The whole schedule, what differed, plm's log; then the same of the shrunk one."""
    settings.found.mkdir(parents=True, exist_ok=True)
    path = settings.found / f"{'case-' if is_case else ''}seed-{schedule.seed}.json"
    _save(path, schedule, outcome)
    if is_case or not settings.shrink_seconds:
        return path
    shrinker = Shrinker(lab.run, schedule, outcome.kind, seconds=settings.shrink_seconds)
    smallest = shrinker.shrink(outcome.differences[0])
    if shrinker.outcome is None:
        outcome.differences.append(f"(did not happen again in {shrinker.runs} runs while shrinking)")
        return path
    shrunk = path.with_suffix(".shrunk.json")
    _save(shrunk, smallest, shrinker.outcome)
    return shrunk


def _save(path: Path, schedule: Schedule, outcome: Outcome) -> None:
    schedule.note = "\n".join(outcome.differences)[:2000]
    schedules.save(schedule, path)
    path.with_suffix(".log").write_text(outcome.log)
