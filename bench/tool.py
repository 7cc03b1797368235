"""Runs a program that has plm's command line and HTTP API, and tells what it costs."""
import contextlib
import os
import pathlib
import subprocess
import time

import requests

TICK = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()
UNLIMITED = 3600  # seconds that a phase may take


class Tool:
    """A program with plm's command line and HTTP API."""

    def __init__(self, args, name, binary):
        self.args, self.name, self.binary = args, name, binary
        self.process, self.status_ms, self.http = None, [], requests.Session()

    def launch(self, source, target, *options):
        with open(pathlib.Path(self.args.dir) / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "--source", source.uri, "--target", target.uri, "--log-level=info",
                 f"--port={self.args.api_port}", *options], stdout=log, stderr=log)

    @contextlib.contextmanager
    def running(self, source, target):
        self.launch(source, target, "--reset-state")
        self.status_ms = []
        try:
            self.wait_up()
            yield
        finally:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def call(self, method, path, **body):
        reply = self.http.request(method, f"http://127.0.0.1:{self.args.api_port}{path}", timeout=30,
                                  json=body if method == "POST" else None).json()
        if not reply.get("ok"):
            raise RuntimeError(f"{self.name}: {path}: {reply.get('error')}")
        return reply

    def kill_and_restart(self, source, target):
        """The first status of a process that takes the place of the killed one."""
        self.process.kill()
        self.process.wait()
        self.launch(source, target)
        return self.wait_up("running")

    def wait_up(self, state="idle"):
        for _ in range(300):
            with contextlib.suppress(requests.ConnectionError):
                status = self.call("GET", "/status")
                if status["state"] == state:
                    return status
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not come up, see {self.args.dir}/{self.name}.log")

    def status(self):
        begin = time.monotonic()
        out = self.call("GET", "/status")
        self.status_ms.append((time.monotonic() - begin) * 1e3)
        if out["state"] == "failed":
            raise RuntimeError(f"{self.name} failed: {out.get('error')}")
        return out

    def wait(self, what):
        end = time.monotonic() + UNLIMITED
        while not what(self.status()):
            if time.monotonic() > end:
                raise TimeoutError(self.name)
            time.sleep(0.1)

    def clone(self, **filters):
        self.call("POST", "/start", **filters)
        self.wait(lambda s: s["initialSync"].get("cloneCompleted"))

    def pause(self):
        self.call("POST", "/pause")
        self.wait(lambda s: s["state"] == "paused")

    def finalize(self):
        self.wait(lambda s: s["initialSync"].get("completed"))
        self.call("POST", "/finalize")
        self.wait(lambda s: s["state"] == "finalized")


def replicated(status):
    time_ = status.get("lastReplicatedOpTime") or {}
    seconds, increment = str(time_.get("ts", "0.0")).split(".")
    return int(seconds), int(increment)


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_mb(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def measure(tool, source, target, work):
    """Runs work() and tells its wall time and everybody's CPU, in seconds."""
    processes = {"tool": tool.process, "source": source.process, "target": target.process}
    before = {name: cpu_seconds(p) for name, p in processes.items()}
    tool.status_ms = []
    begin = time.monotonic()
    work()
    wall = time.monotonic() - begin
    cpu = {name: cpu_seconds(p) - before[name] for name, p in processes.items()}
    return {"wall_s": wall, "tool_cpu_s": cpu["tool"], "source_cpu_s": cpu["source"], "target_cpu_s": cpu["target"],
            "servers_busy": (cpu["source"] + cpu["target"]) / CORES / wall, "peak_mb": peak_mb(tool.process),
            "status_p50_ms": percentile(tool.status_ms, 0.5), "status_max_ms": max(tool.status_ms, default=0.0)}
