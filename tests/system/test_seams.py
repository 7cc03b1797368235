"""The seams against real servers: runs the suites of plm_seam_test as plm's users of the least roles."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from lab.servers import ADMIN, ROOT, Pair

SUITES = ["Absence", "Catalog", "EndingBuilds", "Faults", "Majority", "Privileges", "Range", "Store", "Stream", "TargetSeam", "Modes/Apply"]


@pytest.mark.parametrize("suite", SUITES)
def test_suite(pair: Pair, suite: str) -> None:
    program = Path(os.environ.get("PLM_SEAM_TEST", ROOT / "build/release/tests/mongo/plm_seam_test"))
    environment = {
        **os.environ,
        "PLM_TEST_SOURCE": pair.source.uri(),
        "PLM_TEST_SOURCE_ADMIN": pair.source.uri(ADMIN),
        "PLM_TEST_TARGET": pair.target.uri(),
        "PLM_TEST_TARGET_ADMIN": pair.target.uri(ADMIN),
    }
    arguments = [str(program), f"--gtest_filter={suite}.*"]
    run = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "PASSED" in run.stdout
    assert " 0 tests ran" not in run.stdout, f"no test is named {suite}"
