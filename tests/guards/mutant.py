"""A copy of the program from which each guard can be taken out, by the variable PLM_PLANTED_BUG of a process."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .table import GUARDS, Guard

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/guards"
BUILD = FOLDER / "build/planted"
INCLUDE = '#include "base/planted_bug.h"\n'
PROGRAMS = ("plm", "plm_seam_test", "plm_engine_test", "plm_control_test", "plm_api_test", "plm_app_test")


class NotFound(Exception):
    """A guard's code is no longer what the table says."""


def unguarded(sources: Path) -> dict[str, str]:
    """The files of src that hold guards, each text with all of its guards removable."""
    out: dict[str, str] = {}
    for guard in GUARDS:
        text = out.get(guard.file) or (sources / guard.file).read_text()
        out[guard.file] = with_include(replaced(text, guard))
    return out


def replaced(text: str, guard: Guard) -> str:
    if text.count(guard.code) != 1:
        raise NotFound(f"{guard.file} holds the code of the guard '{guard.name}' {text.count(guard.code)} times")
    return text.replace(guard.code, guard.without.replace("REMOVED", f'planted_bug("{guard.name}")'))


def with_include(text: str) -> str:
    if INCLUDE in text:
        return text
    return re.sub("^#include ", f"{INCLUDE}#include ", text, count=1, flags=re.MULTILINE)


def build() -> None:
    """What has not changed is not compiled again."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    texts = {f"src/{name}": text.encode() for name, text in unguarded(ROOT / "src").items()}
    for name in names:
        if not name.startswith("tests/guards/") and (ROOT / name).is_file():
            put(FOLDER / name, texts.get(name) or (ROOT / name).read_bytes())
    for command in (["cmake", "--preset", "planted"], ["cmake", "--build", "--preset", "planted", "--target", *PROGRAMS]):
        subprocess.run(command, cwd=FOLDER, check=True)


def put(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
