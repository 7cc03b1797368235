"""A plm process, driven through its HTTP API and its command line as a user would."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from bson import Timestamp

from .servers import ROOT, free_port

Status = dict[str, Any]
END_IN_LOG = re.compile(r"finalizing: everything up to this time is applied.*clusterTime=(\d+)\.(\d+)")


def plm_path() -> Path:
    path = Path(os.environ.get("PLM_BINARY", ROOT / "build/release/plm"))
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: cmake --preset release && cmake --build --preset release")
    return path


class Refused(Exception):
    """plm answered with an error."""

    def __init__(self, response: requests.Response) -> None:
        self.http_status = response.status_code
        self.body: dict[str, Any] = response.json()
        self.error: str = self.body.get("error", "")
        self.code: str = self.body.get("code", "")
        super().__init__(f"HTTP {self.http_status}: {self.error}")


def replicated_time(status: Status) -> Timestamp:
    """lastReplicatedOpTime as a cluster time; zero when nothing was replicated."""
    seconds, _, increment = status.get("lastReplicatedOpTime", {}).get("ts", "0.0").partition(".")
    return Timestamp(int(seconds), int(increment))


class Plm:
    """`folder` keeps the log and the files with the URIs; all processes started one after the other share them."""

    def __init__(self, source_uri: str, target_uri: str, folder: Path, *, portable: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / "plm.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, **({"PLM_APPLY_MODE": "portable"} if portable else {})}
        self.source_file = self._private_file(folder / "source.uri", source_uri)
        self.target_file = self._private_file(folder / "target.uri", target_uri)
        self._http = requests.Session()
        self.headers: dict[str, str] = {}  # of every request, such as the token
        self.ca_file: Path | None = None  # the authority of an https daemon

    @staticmethod
    def _private_file(path: Path, text: str) -> Path:
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    # -- the process -----------------------------------------------------------------------------------------------
    def run(self, *options: str, standby: bool = False) -> Plm:
        """Starts the daemon and waits until it answers, and, unless it may stand by, until it works on the target."""
        uris = ["--source-uri-file", str(self.source_file), "--target-uri-file", str(self.target_file)]
        return self.run_with(*uris, *options, standby=standby)

    def run_with(self, *options: str, standby: bool = False) -> Plm:
        """The same with nothing but a port and these options."""
        assert self.process is None
        command = [str(plm_path()), "--port", str(self.port), *options]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, start_new_session=True)
        deadline = time.monotonic() + 20
        while True:
            try:
                answer = self.get("/status")
                if standby or answer.status_code != 200 or answer.json().get("state") != "standby":
                    return self
            except requests.RequestException:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"plm did not start:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def kill9(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.process = None

    def terminate(self, number: signal.Signals = signal.SIGTERM, timeout: float = 15) -> int:
        """Asks the process to end, as an orchestrator does; its exit code."""
        assert self.process
        self.process.send_signal(number)
        code = self.process.wait(timeout)
        self.process = None
        return code

    def stop(self) -> None:
        """Ends whatever runs; for cleaning up."""
        if self.process:
            self.kill9()
        self._http.close()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ends_of_replication(self) -> list[Timestamp]:
        """Times up to which everything was to be applied, as finalize moved the end on; the last one counts."""
        return [Timestamp(int(seconds), int(number)) for seconds, number in END_IN_LOG.findall(self.log())]

    # -- HTTP ------------------------------------------------------------------------------------------------------
    def get(self, path: str, timeout: float = 10) -> requests.Response:
        return self._http.get(self.url + path, timeout=timeout, headers=self.headers, verify=self._trusted())

    def post(self, path: str, body: Any = None, timeout: float = 60) -> dict[str, Any]:
        """A request that must succeed; raises Refused with plm's answer when it does not."""
        response = self._http.post(
            self.url + path, json=body, timeout=timeout, headers=self.headers, verify=self._trusted()
        )
        if response.status_code != 200 or not response.json().get("ok"):
            raise Refused(response)
        return response.json()

    def _trusted(self) -> str | bool:
        return str(self.ca_file) if self.ca_file else True

    def status(self) -> Status:
        return self.get("/status").json()

    def start(self, **options: Any) -> dict[str, Any]:
        return self.post("/start", options)

    def pause(self) -> dict[str, Any]:
        return self.post("/pause")

    def resume(self, **options: Any) -> dict[str, Any]:
        return self.post("/resume", options)

    def finalize(self) -> dict[str, Any]:
        return self.post("/finalize")

    def reset(self) -> dict[str, Any]:
        return self.post("/reset")

    # -- waiting ---------------------------------------------------------------------------------------------------
    def wait_for(self, what: str, holds: Callable[[Status], bool], timeout: float = 60) -> Status:
        """Polls /status until `holds` does. A job that fails meanwhile ends the waiting, with its error."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.status()
            if holds(status):
                return status
            if status["state"] == "failed":
                raise AssertionError(f"failed while waiting for {what}: {status.get('error')}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} after {timeout} s: {json.dumps(status)}\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def wait_state(self, state: str, timeout: float = 60) -> Status:
        return self.wait_for(f"state {state}", lambda status: status["state"] == state, timeout)

    def wait_synced(self, timeout: float = 60) -> Status:
        """Until everything is copied and what happened meanwhile is applied."""
        return self.wait_for("end of the initial sync", lambda status: status["initialSync"]["completed"], timeout)

    def wait_applied(self, time_of_source: Timestamp, timeout: float = 60) -> Status:
        """Until everything up to a cluster time of the source is on the target."""
        return self.wait_for(
            f"position {time_of_source}", lambda status: replicated_time(status) >= time_of_source, timeout
        )

    def finish(self, timeout: float = 60) -> Status:
        """Finalizes and waits for the end."""
        self.finalize()
        return self.wait_state("finalized", timeout)

    # -- the command line ------------------------------------------------------------------------------------------
    def command(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """`plm WORDS --port …` as a client of the daemon."""
        return run_plm(*words, "--port", str(self.port), timeout=timeout)


def run_plm(*words: str, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs plm with these words until it ends."""
    return subprocess.run(
        [str(plm_path()), *words], capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
    )
