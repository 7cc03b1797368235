"""Some minutes of fresh runs: PLM_CHAOS_MINUTES (5; 0: none), PLM_CHAOS_JOBS (1).

A run that fails is printed with its seed and its plan; its logs are in build/chaos.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from chaos import campaign
from chaos.daemons import Progress
from chaos.plan import DISK_FULL, PLM, plan

ROOT = Path(__file__).resolve().parents[2]

MINUTES = float(os.environ.get("PLM_CHAOS_MINUTES", "5"))
JOBS = int(os.environ.get("PLM_CHAOS_JOBS", "1"))


@pytest.mark.skipif(MINUTES == 0, reason="PLM_CHAOS_MINUTES=0")
@pytest.mark.timeout(MINUTES * 60 + 600)
def test_fresh_runs_arrive_exactly():
    settings = campaign.Settings(JOBS, MINUTES, keep_going=True, found=ROOT / "build/chaos")
    total = campaign.run(campaign.fresh_seeds(), settings)
    assert total.runs > total.void
    assert not total.failed, [campaign.describe(outcome) for outcome in total.failed]
    assert not total.is_slow, total.text()


# -- the tester itself -------------------------------------------------------------------------------------------------
def test_a_seed_gives_one_plan():
    assert [str(plan(seed)) for seed in range(50)] == [str(plan(seed)) for seed in range(50)]


def test_every_fault_falls_on_both_sides_in_every_phase():
    plans = [plan(seed) for seed in range(2000)]
    for phase in ("copying", "streaming", "finalizing"):
        sides: dict[str, set[str]] = {}
        for fault in (fault for one in plans for fault in getattr(one, phase)):
            sides.setdefault(fault.kind, set()).add(fault.side)
        assert sides.pop(DISK_FULL) == {"target"}
        assert all(found in ({PLM}, {"source", "target"}) for found in sides.values())
        assert len(sides) == (15 if phase == "finalizing" else 17)


def test_what_is_done_again_is_counted_from_the_place_where_a_new_process_begins():
    progress = Progress(lambda: pytest.fail("nobody is asked"))
    progress._samples = [(10.0, 0, 0), (11.0, 50, 0), (12.0, 100, 7), (20.0, 100, 7), (21.0, 100, 9), (30.0, 0, 0)]

    def since(copied: int, applied: int) -> float:
        return progress.seconds_since({"initialSync": {"clonedSizeBytes": copied}, "eventsApplied": applied}, 22.0)

    assert since(100, 9) == 0
    assert since(100, 7) == 2  # idle until then
    assert since(100, 0) == 11
    assert since(50, 9) == 11
    assert since(0, 0) == 12
