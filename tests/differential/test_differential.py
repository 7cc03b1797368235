"""All kept cases, and some minutes of fresh schedules: PLM_DIFFERENTIAL_MINUTES (1; 0: none), PLM_DIFFERENTIAL_JOBS (2).

A schedule that differs is printed with its seed, shrunk, and written to build/differential.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest
from differential import campaign, features, generate, schedule, shrink
from differential.execute import Outcome

ROOT = Path(__file__).resolve().parents[2]

MINUTES = float(os.environ.get("PLM_DIFFERENTIAL_MINUTES", "1"))
JOBS = int(os.environ.get("PLM_DIFFERENTIAL_JOBS", "2"))
EVERYTHING = features.chosen()


def settings(minutes: float | None = None, *, keep_going: bool = False) -> campaign.Settings:
    return campaign.Settings(EVERYTHING, JOBS, minutes, keep_going=keep_going, found=ROOT / "build/differential")


def described(total: campaign.Total) -> str:
    return "\n".join(campaign.describe(result) for result in total.differing)


@pytest.mark.timeout(1200)
def test_kept_cases_arrive_exactly():
    total = campaign.run(sorted(campaign.CASES.glob("*.json")), settings(keep_going=True))
    assert not total.differing, described(total)


@pytest.mark.skipif(MINUTES == 0, reason="PLM_DIFFERENTIAL_MINUTES=0")
@pytest.mark.timeout(MINUTES * 60 + 1200)
def test_fresh_schedules_arrive_exactly():
    first = int(time.time() * 1000) % 10**9
    total = campaign.run(itertools.count(first), settings(MINUTES))
    assert not total.differing, described(total)
    assert total.schedules > 0


# -- the tester itself -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(20))
def test_a_seed_gives_one_schedule_that_survives_json(seed):
    text = schedule.dumps(generate.generate(seed, EVERYTHING))
    assert text == schedule.dumps(generate.generate(seed, EVERYTHING))
    assert text == schedule.dumps(schedule.loads(text))


@pytest.mark.parametrize(
    "feature, word",
    [
        ("capped", "capped"),
        ("timeseries", "timeseries"),
        ("rename", '{"renameCollection"'),
        ("kill", '"kill"'),
        ("drop-database", "dropDatabase"),
        ("transactions", '"transaction"'),
    ],
)
def test_a_feature_that_is_switched_off_does_not_occur(feature, word):
    related = {feature, "convert-to-capped", "rename-across", "backlog"}
    texts = [schedule.dumps(generate.generate(seed, EVERYTHING - related)) for seed in range(25)]
    assert not any(word in text for text in texts)
    assert any(word in schedule.dumps(generate.generate(seed, EVERYTHING)) for seed in range(25))


def test_shrinking_finds_the_operations_that_matter():
    """A schedule of a hundred operations, which differs as long as two of them are there in their order."""
    operations = [schedule.Write(n % 3, "d1", {"insert": "a", "documents": [{"_id": n}, {"_id": -n}]}) for n in range(100)]
    whole = schedule.Schedule(1, window=8, slow={"target": {}}, operations=operations)

    def run(candidate: schedule.Schedule) -> Outcome:
        ids = [document["_id"] for write in candidate.operations for document in write.command["documents"]]
        return Outcome(["documents: d1.a"] if {17, 71} <= set(ids) else [])

    smallest = shrink.Shrinker(run, whole, "documents").shrink("documents: d1.a")
    assert [write.command["documents"] for write in smallest.operations] == [[{"_id": 17}], [{"_id": 71}]]
    assert (smallest.window, smallest.slow) == (0, {})
