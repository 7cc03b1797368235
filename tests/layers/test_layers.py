"""Includes point downward: every #include in src is checked against the table of layers in ARCHITECTURE.md.

The table stands between the comments `<!-- layers:begin -->` and `<!-- layers:end -->`, one row a layer:

    | layer | may include | its tests also |

A layer is a folder of src. It may always include itself; `all` stands for every layer, `-` for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
# libmongoc stays behind one wall: everything else knows only the seams.
ONLY_IN = {"mongoc/": "mongo"}


@dataclass(frozen=True)
class Layer:
    may_include: frozenset[str]
    tests_also: frozenset[str]


def table_rows(text: str) -> list[list[str]]:
    """The cells of each row of the table, without head and rule."""
    match = re.search(r"<!-- layers:begin -->(.*?)<!-- layers:end -->", text, re.DOTALL)
    assert match, f"{ARCHITECTURE.name} holds no table between <!-- layers:begin --> and <!-- layers:end -->"
    lines = [line.strip() for line in match[1].splitlines() if line.strip().startswith("|")]
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    return rows[2:]


def parse_layers(text: str) -> dict[str, Layer]:
    rows = table_rows(text)
    assert rows, "the table of layers is empty"
    names = {row[0] for row in rows}

    def layers(cell: str, row: list[str]) -> frozenset[str]:
        words = {word for word in re.split(r"[,\s]+", cell) if word and word not in ("-", "–", "—")}
        if "all" in words:
            return frozenset(names)
        assert words <= names, f"row {row[0]!r} names {sorted(words - names)}, which are no layers"
        return frozenset(words)

    for row in rows:
        assert len(row) == 3, f"row {row} of the table of layers has not three cells"
    return {row[0]: Layer(layers(row[1], row), layers(row[2], row)) for row in rows}


def is_test(path: str) -> bool:
    """Unit tests are NAME_test.cpp, what they share is test_NAME.h."""
    name = path.split("/")[-1]
    return name.endswith("_test.cpp") or name.startswith("test_")


def violations(path: str, text: str, layers: dict[str, Layer]) -> list[str]:
    """What a file (named relative to src) includes and must not; one line each."""
    layer = path.split("/")[0]
    allowed = {layer} | layers[layer].may_include
    if is_test(path):
        allowed |= layers[layer].tests_also
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, included = match.groups()
        top = included.split("/")[0]
        if quote == '"' and top in layers and top not in allowed:
            found.append(f"{path}:{number}: {layer} must not include {included}")
        found += [
            f"{path}:{number}: <{prefix}…> belongs to src/{home} alone"
            for prefix, home in ONLY_IN.items()
            if included.startswith(prefix) and layer != home
        ]
    return found


def source_files() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.suffix in (".h", ".cpp"))


@pytest.fixture(scope="module")
def layers() -> dict[str, Layer]:
    assert ARCHITECTURE.exists(), f"{ARCHITECTURE} is missing; it holds the table of layers"
    return parse_layers(ARCHITECTURE.read_text())


def test_the_table_names_exactly_the_folders_of_src(layers):
    assert set(layers) == {path.name for path in SOURCES.iterdir() if path.is_dir()}


def test_the_table_has_no_circle(layers):
    """Taking away layers that include nothing left must take away all of them."""
    left = {name: set(layer.may_include) - {name} for name, layer in layers.items()}
    while left:
        free = {name for name, uses in left.items() if not uses & left.keys()}
        assert free, f"these layers include each other in a circle: {sorted(left)}"
        left = {name: uses for name, uses in left.items() if name not in free}


def test_every_include_points_downward(layers):
    files = source_files()
    assert files
    found = [line for path in files for line in violations(str(path.relative_to(SOURCES)), path.read_text(), layers)]
    assert not found, "\n" + "\n".join(found)


def test_quoted_includes_start_with_their_layer(layers):
    """So that the check above sees every include of ours."""
    found = []
    for path in source_files():
        for line in path.read_text().splitlines():
            match = INCLUDE.match(line)
            if match and match[1] == '"' and match[2].split("/")[0] not in layers:
                found.append(f"{path.relative_to(ROOT)}: {match[2]}")
    assert not found, "\n" + "\n".join(found)


EXAMPLE = """
<!-- layers:begin -->
| layer | may include | its tests also |
|---|---|---|
| `base` | - | - |
| `engine` | base | memory |
| `memory` | base | - |
| `mongo` | base | - |
| `app` | all | - |
<!-- layers:end -->
"""


def test_the_check_finds_what_it_is_for():
    layers = parse_layers(EXAMPLE)
    assert violations("engine/a.cpp", '#include "base/b.h"\n#include "engine/c.h"\n', layers) == []
    assert violations("base/a.h", '#include "engine/b.h"\n', layers) == ["base/a.h:1: base must not include engine/b.h"]
    assert violations("engine/a_test.cpp", '#include "memory/m.h"\n', layers) == []
    assert len(violations("engine/a.cpp", '#include "memory/m.h"\n', layers)) == 1
    assert violations("mongo/a.cpp", "#include <mongoc/mongoc.h>\n", layers) == []
    assert len(violations("app/a.cpp", "#include <mongoc/mongoc.h>\n", layers)) == 1
    assert violations("app/a.cpp", '#include "mongo/a.h"\n', layers) == []
    with pytest.raises(AssertionError, match="holds no table"):
        parse_layers("# no table here")
