"""Many runs, on several labs at a time, and what is printed about them."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab.workers import results

from .execute import Lab, Outcome
from .faults import Redone
from .plan import plan

MEDIAN_RECOVERED_WITHIN = 5.0  # seconds


@dataclass
class Settings:
    jobs: int = 1
    minutes: float | None = None  # no new run begins after this
    keep_going: bool = False  # after a failure
    found: Path = Path("build/chaos")  # where plans and logs of runs that failed go


@dataclass
class Total:
    runs: int = 0
    commands: int = 0
    events: int = 0
    manual_steps: int = 0
    failed: list[Outcome] = field(default_factory=list)
    void: int = 0  # runs that the servers did not bring to their end
    faults: Counter[str] = field(default_factory=Counter)
    recovered: list[tuple[float, str]] = field(default_factory=list)  # seconds, where
    redone: list[Redone] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.commands += outcome.commands
        self.events += outcome.events
        self.manual_steps += outcome.manual_steps
        self.void += bool(outcome.void)
        if outcome.failures:
            self.failed.append(outcome)
        for one in outcome.faults:
            self.faults[f"{one.fault.kind} {one.fault.side} {one.phase}"] += 1
            if one.recovered is not None:
                self.recovered.append((one.recovered, f"seed {outcome.plan.seed}: {one.fault}"))
            if one.redone is not None:
                self.redone.append(one.redone)

    @property
    def median_recovered(self) -> float:
        return statistics.median(seconds for seconds, _ in self.recovered) if self.recovered else 0.0

    @property
    def is_slow(self) -> bool:
        """Of a few faults the median says nothing."""
        return len(self.recovered) >= 10 and self.median_recovered > MEDIAN_RECOVERED_WITHIN

    def text(self) -> str:
        """The last line of a campaign."""
        kinds: Counter[str] = Counter()
        for what, count in self.faults.items():
            kinds[what.split()[0]] += count
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        longest = max((seconds for seconds, _ in self.recovered), default=0.0)
        redone = max((one.worked for one in self.redone), default=0.0)
        return (
            f"{self.runs} runs, {self.faults.total()} faults ({listed}), {self.commands} commands, "
            f"{self.events} events applied; events flow again after {self.median_recovered:.2f} s (median of "
            f"{len(self.recovered)}), at most {longest:.1f} s; redone at most {redone:.1f} s of work; "
            f"{self.manual_steps} documented manual steps, {self.void} void, {len(self.failed)} failures"
        )

    def details(self) -> str:
        lines = [f"  {count:5} {what}" for what, count in sorted(self.faults.items())]
        if self.recovered:
            slow = sorted(one for one in self.recovered if one[0] > MEDIAN_RECOVERED_WITHIN)
            lines.append(f"not recovered within {MEDIAN_RECOVERED_WITHIN} s: {len(slow)} of {len(self.recovered)}")
            lines += [f"  {taken:.1f} s {where}" for taken, where in slow]
        if self.redone:
            names = ("worked", "seconds", "events", "copied_bytes")
            worked, seconds, events, copied = ([getattr(one, name) for one in self.redone] for name in names)
            lines.append(
                f"redone by {len(self.redone)} new processes: at most {max(worked):.1f} s of work, "
                f"{sum(seconds)} s of changes (at most {max(seconds)}), "
                f"{sum(events)} events (at most {max(events)}), {sum(copied)} copied bytes (at most {max(copied)})"
            )
        return "\n".join(lines)


def run(seeds: range, settings: Settings) -> Total:
    """Prints a line for each run, and a total; stops at the first failure unless told to keep going."""
    total = Total()
    outcomes = results(seeds, partial(_worker, settings), settings.jobs, settings.minutes)
    try:
        for outcome in outcomes:
            total.add(outcome)
            print(describe(outcome), flush=True)
            if outcome.failures and not settings.keep_going:
                break
    finally:
        outcomes.close()
        print(total.details(), total.text(), sep="\n", flush=True)
    return total


def describe(outcome: Outcome) -> str:
    recovered = ", ".join(
        f"{one.fault.kind} {one.fault.side} {one.recovered:.2f}" for one in outcome.faults if one.recovered is not None
    )
    head = f"seed {outcome.plan.seed}: {len(outcome.faults)} faults, {outcome.events} events, {outcome.seconds:.0f} s"
    lines = [head + (f"; recovered after {recovered} s" if recovered else "")]
    if redone := [one.redone.worked for one in outcome.faults if one.redone]:
        lines[0] += f"; redone {max(redone):.1f} s"
    if outcome.void:
        lines[0] += f" VOID: {outcome.void}"
    if outcome.failures:
        lines[0] += " FAILED"
        lines += [f"  {line}" for line in [*outcome.failures[:10], *str(outcome.plan).splitlines()]]
    return "\n".join(lines)


# -- workers -----------------------------------------------------------------------------------------------------------
@contextmanager
def _worker(settings: Settings) -> Iterator[Callable[[int], Outcome]]:
    with tempfile.TemporaryDirectory(prefix="plm-chaos-", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder))

        def do(seed: int) -> Outcome:
            nonlocal lab
            try:
                outcome = lab.run(plan(seed))
                if outcome.failures or outcome.void or outcome.is_slow:
                    _write_down(lab, outcome, settings)
                outcome.log = ""
                if outcome.void:
                    lab.close()
                    lab = Lab(Path(folder))
                return outcome
            except BaseException:
                _keep_logs(lab, settings.found / f"seed-{seed}")
                raise

        try:
            yield do
        finally:
            lab.close()


def _write_down(lab: Lab, outcome: Outcome, settings: Settings) -> None:
    """The plan, what failed, the logs of plm and of all members."""
    folder = settings.found / f"seed-{outcome.plan.seed}"
    _keep_logs(lab, folder)
    (folder / "plan.txt").write_text("\n".join([str(outcome.plan), "", *outcome.failures, ""]))
    (folder / "plm.log").write_text(outcome.log)


def _keep_logs(lab: Lab, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in lab.logs().items():
        shutil.copy(path, folder / name)
    for path in (lab.folder / "plm").glob("*/plm.log"):
        shutil.copy(path, folder / f"plm-{path.parent.name}.log")


def fresh_seeds() -> range:
    first = int(time.time() * 1000) % 10**9
    print(f"fresh seeds from {first}", flush=True)
    return range(first, first + 10**6)
