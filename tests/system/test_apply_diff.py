"""The diffs of the oplog mean to src/model what they mean to a server: fresh random updates, and their diffs applied
to documents that they were not made for."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from lab.servers import ADMIN, ROOT, uri

CASES = 1200


def test_diffs_do_what_they_do_on_a_server(pair, tmp_path):
    tests = Path(os.environ.get("PLM_MODEL_TEST", ROOT / "build/release/src/model/plm_model_test"))
    assert tests.exists(), f"{tests} is missing: cmake --preset release && cmake --build --preset release"
    seed = int(os.environ.get("PLM_SEED") or random.randrange(2**32))
    print(f"PLM_SEED={seed}")
    recorder = ROOT / "src/model/testdata/record_diffs.py"
    server = uri(pair.source.port, pair.source.set_name, ADMIN)
    cases = tmp_path / "diffs.jsonl"
    with cases.open("w") as out:
        options = ["--seed", str(seed), "--cases", str(CASES)]
        subprocess.run([sys.executable, recorder, server, *options], stdout=out, check=True)
    done = subprocess.run(
        [tests, "--gtest_filter=Diff.MakesWhatTheServerMade"],
        env={**os.environ, "PLM_DIFF_CASES": str(cases)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "1 test from 1 test suite ran" in done.stdout, done.stdout[-4000:]
