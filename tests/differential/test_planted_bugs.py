"""The tester finds bugs: each of ten, compiled in on purpose (src/base/planted_bug.h), within fifty schedules.

Long, hence only with PLM_DIFFERENTIAL_LONG=1; needs a build with the bugs: cmake --preset planted && cmake --build
--preset planted (or PLM_PLANTED_BINARY).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from differential import campaign, features

ROOT = Path(__file__).resolve().parents[2]
PLANTED = Path(os.environ.get("PLM_PLANTED_BINARY", ROOT / "build/planted/plm"))

BUGS = {
    "lost-event": "an event now and then is dropped",
    "wrong-order": "events of one key go to different appliers",
    "dropped-range-edge": "the first document of a range is not copied",
    "kept-events-dropped": "what happened while a range was copied is forgotten",
    "position-too-early": "a position is saved before what lies in front of it is written",
    "rename-by-name": "a renamed collection is still written by its old name",
    "missing-delete": "a deletion now and then is dropped",
    "index-option-lost": "an index is created without one of its options",
    "superseded-by-diff": "an update makes earlier events of its key superfluous",
    "unsaved-range-copied": "after a restart a range counts as copied that was not",
}
SCHEDULES = 50

pytestmark = [
    pytest.mark.skipif(os.environ.get("PLM_DIFFERENTIAL_LONG") != "1", reason="long: PLM_DIFFERENTIAL_LONG=1"),
    pytest.mark.timeout(3600),
]


def run(seeds: Iterable[int], found: Path) -> campaign.Total:
    jobs = int(os.environ.get("PLM_DIFFERENTIAL_JOBS", "2"))
    return campaign.run(seeds, campaign.Settings(features.chosen(), jobs, shrink_seconds=0, found=found))


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_within_fifty_schedules(bug, monkeypatch, tmp_path, capsys):
    """Found: a schedule differs, and does not without the bug."""
    assert PLANTED.exists(), "cmake --preset planted && cmake --build --preset planted"
    monkeypatch.setenv("PLM_BINARY", str(PLANTED))
    monkeypatch.setenv("PLM_PLANTED_BUG", bug)
    total = run(range(1, SCHEDULES + 1), tmp_path)
    assert total.differing, f"not found in {total.schedules} schedules"
    first = total.differing[0]
    monkeypatch.delenv("PLM_PLANTED_BUG")
    without = run([first.seed] * 3, tmp_path)
    assert not without.differing, campaign.describe(without.differing[0])
    with capsys.disabled():
        print(f"{bug}: found after {total.schedules} schedules: {first.name}: {first.outcome.differences[0][:150]}")
