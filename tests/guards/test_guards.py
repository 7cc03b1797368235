"""The table of guards is true: the code of each is there, and so are the tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guards.mutant import ROOT, unguarded
from guards.table import GUARDS

TESTS = ROOT / "tests/system"


def test_every_guard_is_in_its_file():
    texts = unguarded(ROOT / "src")
    for guard in GUARDS:
        assert f'planted_bug("{guard.name}")' in texts[guard.file], guard.name


def test_names_occur_once():
    names = [guard.name for guard in GUARDS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_tests_that_notice_exist(guard):
    assert guard.noticed_by
    for address in guard.noticed_by:
        file, found, test = address.partition("::")
        if found:
            assert f"def {test.partition('[')[0]}(" in (TESTS / file).read_text(), address
            continue
        layer, _, name = address.partition(":")
        texts = "".join(path.read_text() for path in Path(ROOT / "src" / layer).glob("*_test.cpp"))
        words = name.rpartition(".")[2].rstrip("*")
        assert re.search(rf"TEST[_FP]*\(\w+, {words}", texts), address
