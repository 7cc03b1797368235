"""Many schedules, on several pairs of servers at a time; what differs is shrunk and written down."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab.workers import results

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
    verbose: bool = False  # counts commands and errors of the source, too


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

    def details(self) -> str:
        return "\n".join(
            (
                f"done: {dict(self.done.most_common())}",
                f"finalized under writes: {dict(self.finalized)}",
                f"refused by the source: {dict(self.refused.most_common(40))}",
            )
        )


Task = int | Path  # a seed, or a kept case


def run(tasks: Iterable[Task], settings: Settings) -> Total:
    """Prints a line for each difference and a total; stops at the first one unless told to keep going."""
    began = time.monotonic()
    total = Total()
    outcomes = results(tasks, partial(_worker, settings), settings.jobs, settings.minutes)
    try:
        for result in outcomes:
            total.add(result)
            if result.outcome.differences:
                print(describe(result), flush=True)
                if not settings.keep_going:
                    break
            elif total.schedules % 50 == 0:
                print(f"{result.name}: {total.text(time.monotonic() - began)}", flush=True)
    finally:
        outcomes.close()
        print(total.text(time.monotonic() - began), flush=True)
        if settings.verbose:
            print(total.details(), flush=True)
    return total


def describe(result: Result) -> str:
    lines = [f"{result.name} DIFFERS", *(f"  {line}" for line in result.outcome.differences[:10])]
    if result.shrunk:
        lines.append(f"  shrunk: {result.shrunk}")
    return "\n".join(lines)


# -- workers -----------------------------------------------------------------------------------------------------------
@contextmanager
def _worker(settings: Settings) -> Iterator[Callable[[Task], Result]]:
    with tempfile.TemporaryDirectory(prefix="plm-differential-", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder))
        try:
            yield lambda task: _one(lab, task, settings)
        except BaseException as error:
            error.add_note(lab.logs())
            raise
        finally:
            lab.close()


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
