"""The wall clock of a process, which can be made to jump."""

from __future__ import annotations

from pathlib import Path

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class Clock:
    """Processes that have its `environment` go by it; their steady clocks go on as they do."""

    def __init__(self, file: Path) -> None:
        assert FAKETIME.exists(), "run scripts/install-dependencies --check"
        self._file = file
        self.jump_to(0)
        self.environment = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump_to(self, seconds_ahead: int) -> None:
        """Of the real time. At no moment the file, which is read all the time, is there in part."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds_ahead:+d}\n")
        written.rename(self._file)
