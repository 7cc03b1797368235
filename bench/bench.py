#!/usr/bin/env python3
"""Measures plm side by side with plm_floor, the least that any client can do.

  bench.py clone       copy of 1 GB: 5 million documents, 6 secondary indexes
  bench.py apply       catching up with 200,000 mixed changes made during a pause
  bench.py lag         latency from source to target under 2,000 inserts/s
  bench.py databases   start to cloned of 1,000 databases with 10 collections each
  bench.py indexes     start to cloned of 200 collections with 50 secondary indexes each
  bench.py series      a time-series collection of a million measurements, copied and followed under --rate (plm only)
  bench.py ids         copy of 5 million documents with _ids of all types, and of as many with ObjectIds (plm only)
  bench.py kill        what plm does again after a kill -9 in the middle of the copy, and of 200,000 changes (plm only)
  bench.py all         all of them

Two mongods are started (ports --port and --port + 1, data under --dir) and stopped again. The tools run in turn
(A B A B …), each against an empty target, so that what else the machine does hits both alike; compare ratios of one
run, not seconds of two. CPU and peak memory come from /proc. While a tool works, GET /status is called ten times a
second and timed. After finalize both sides are compared: every document (dbHash) and every index.

"servers busy" is the servers' CPU divided by cores and wall time: 100 % means no client could be faster.
Creating a collection or an index makes the server sync a file, so `databases` and `indexes` measure the disk above
all: put --dir on a RAM disk to see the tools.

Needs pymongo and requests (.cache/venv has them); mongod from $MONGOD, .cache/bin/mongod or the PATH.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import threading
import time

import requests
from data import (load_changes, load_clone, load_databases, load_ids, load_indexes, load_series, make_changes,
                  measurements, tick)
from servers import ROOT, Server, differences, mongod, user_databases
from tool import CORES, Tool, measure, percentile, replicated


def run_clone(args, tool, source, target):
    out = measure(tool, source, target, tool.clone)
    client = source.client()
    stats = [client[db].command("dbStats") for db in user_databases(client)]
    gigabytes = sum(s["dataSize"] for s in stats) / 1e9
    return out | {"documents": sum(s["objects"] for s in stats), "gb": gigabytes,
                  "mb_per_s": gigabytes * 1e3 / out["wall_s"], "tool_cpu_s_per_gb": out["tool_cpu_s"] / gigabytes}


def run_apply(args, tool, source, target):
    load_changes(source)
    tool.clone()
    tool.wait(lambda s: s["initialSync"].get("completed"))
    time.sleep(1)
    tool.pause()
    end = make_changes(source, args.events)

    def work():
        tool.call("POST", "/resume")
        tool.wait(lambda s: replicated(s) >= end)

    out = measure(tool, source, target, work)
    return out | {"events_per_s": args.events / out["wall_s"],
                  "tool_cpu_us_per_event": out["tool_cpu_s"] / args.events * 1e6}


@contextlib.contextmanager
def inserting(args, tool, insert):
    """Calls insert(first, count) twenty times a second, --rate in all, and asks for the status meanwhile."""
    stop = threading.Event()

    def insert_steadily():
        first, count, due = 10**7, args.rate // 20, time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            insert(first, count)
            first, due = first + count, due + 0.05

    def poll_status():
        while not stop.wait(0.1):
            tool.status()

    threads = [threading.Thread(target=insert_steadily), threading.Thread(target=poll_status)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def probe(args, tool, source, target):
    """For --seconds: how long single documents take from the answer of the source to the target, in milliseconds."""
    here, there = source.client(w=1)["changes"]["c1"], target.client()["changes"]["c1"]
    lags, end = [], time.monotonic() + args.seconds
    while time.monotonic() < end:
        name = f"probe{len(lags)}"
        here.insert_one({"_id": name})
        begin = time.monotonic()
        while there.find_one({"_id": name}) is None:
            if time.monotonic() - begin > 60:
                raise TimeoutError(f"{tool.name}: a probe did not arrive")
            time.sleep(0.001)
        lags.append((time.monotonic() - begin) * 1e3)
        time.sleep(0.02)
    return {"lag_p50_ms": percentile(lags, 0.5), "lag_p99_ms": percentile(lags, 0.99), "lag_max_ms": max(lags),
            "probes": len(lags)}


def run_lag(args, tool, source, target):
    load_changes(source)
    tool.clone()
    tool.wait(lambda s: s["initialSync"].get("completed"))
    time.sleep(1)
    collection, r, lags = source.client(w=1)["changes"]["c0"], random.Random(5), {}

    def insert(first, count):
        collection.insert_many([tick(r, first + n) for n in range(count)], ordered=False)

    def work():
        with inserting(args, tool, insert):
            lags.update(probe(args, tool, source, target))

    return measure(tool, source, target, work) | lags


def run_series(args, tool, source, target):
    """Latency counts from the end of the copy on; measurements are inserted from its beginning."""
    load_changes(source)
    collection = source.client(w=1)["series"]["s"]
    with inserting(args, tool, lambda first, count: collection.insert_many(measurements(first, count), ordered=False)):
        out = measure(tool, source, target, tool.clone)
        tool.wait(lambda s: s["initialSync"].get("completed"))
        return out | probe(args, tool, source, target)


def run_ids(args, tool, source, target):
    """The two collections one after the other, each a job of its own."""
    out = {}
    for name in ("objectids", "mixed"):
        out[name] = measure(tool, source, target, lambda name=name: tool.clone(includeNamespaces=[f"ids.{name}"]))
        if name != "mixed":
            tool.finalize()
    each = {f"{name}_us_per_document": result["wall_s"] / args.documents * 1e6 for name, result in out.items()}
    return out["mixed"] | each | {"mixed_to_objectids": out["mixed"]["wall_s"] / out["objectids"]["wall_s"]}


def run_many(args, tool, source, target):
    return measure(tool, source, target, tool.clone)


def run_kill(args, tool, source, target):
    """`redone_s`: how long plm had worked on what it does again."""
    def kill_at(counter, goal, begin):
        tool.wait(lambda s: counter(s) >= goal)
        before, seconds = counter(tool.status()), time.monotonic() - begin
        after = counter(tool.kill_and_restart(source, target))
        return max(0.0, before - after) / before * seconds

    def cloned(status):
        return status["initialSync"]["clonedSizeBytes"]

    out = {"wall_s": 0.0}
    client = source.client()
    gigabytes = sum(client[db].command("dbStats")["dataSize"] for db in user_databases(client)) / 1e9
    begin = time.monotonic()
    tool.call("POST", "/start")
    out["clone_redone_s"] = kill_at(cloned, gigabytes * 1e9 * random.uniform(0.2, 0.8), begin)
    tool.wait(lambda s: s["initialSync"].get("completed"))
    load_changes(source)
    time.sleep(1)
    tool.pause()
    applied = tool.status()["eventsApplied"]
    end = make_changes(source, args.events)
    begin = time.monotonic()
    tool.call("POST", "/resume")
    out["apply_redone_s"] = kill_at(lambda s: s["eventsApplied"] - applied, args.events * random.uniform(0.2, 0.8), begin)
    tool.wait(lambda s: replicated(s) >= end)
    out["wall_s"] = time.monotonic() - begin
    return out


# what: (load the source once, run a tool, columns of the table beside the common ones)
BENCHMARKS = {
    "clone": (load_clone, run_clone, ["mb_per_s", "tool_cpu_s_per_gb"]),
    "apply": (None, run_apply, ["events_per_s", "tool_cpu_us_per_event"]),
    "lag": (None, run_lag, ["lag_p50_ms", "lag_p99_ms"]),
    "databases": (load_databases, run_many, []),
    "indexes": (load_indexes, run_many, []),
    "series": (load_series, run_series, ["lag_p50_ms", "lag_p99_ms"]),
    "ids": (load_ids, run_ids, ["objectids_us_per_document", "mixed_us_per_document", "mixed_to_objectids"]),
    "kill": (load_clone, run_kill, ["clone_redone_s", "apply_redone_s"]),
}
PLM_ONLY = {"series", "ids", "kill"}
COMMON = ["wall_s", "tool_cpu_s", "servers_busy", "peak_mb", "status_p50_ms", "status_max_ms"]


def run(args, what, tools):
    load, run_tool, columns = BENCHMARKS[what]
    if what in PLM_ONLY:
        tools = [tool for tool in tools if tool.name == "plm"]
    rounds = []
    # Only a checkpoint lets files that were written be closed: frequent ones keep thousands below the limit of open files.
    options = ["--syncdelay", "20"] if what == "databases" else []
    source, target = Server(args, "source", args.port, options), Server(args, "target", args.port + 1, options)
    try:
        source.start()
        if load:
            print(f"{what}: loading the source …", flush=True)
            load(args, source)
        for number in range(args.rounds):
            for tool in tools:
                target.start()
                with tool.running(source, target):
                    result = run_tool(args, tool, source, target)
                    tool.finalize()
                wrong = differences(source, target)
                target.stop()
                result = {"tool": tool.name, "round": number, "same": not wrong, "differences": wrong[:10]} | result
                rounds.append(result)
                print(f"  {tool.name:6} round {number + 1}: {result['wall_s']:.2f} s, "
                      + ("both sides are the same" if not wrong else f"DIFFERENT: {wrong[:5]}"), flush=True)
    finally:
        target.stop()
        source.stop()
    medians = {t.name: median_of([r for r in rounds if r["tool"] == t.name]) for t in tools}
    print_table(what, medians, COMMON + columns)
    return {"rounds": rounds, "medians": medians}


def median_of(rounds):
    numbers = [k for k, v in rounds[0].items() if isinstance(v, (int, float)) and k not in ("round", "same")]
    return {k: statistics.median(r[k] for r in rounds) for k in numbers} | {"same": all(r["same"] for r in rounds)}


def print_table(what, medians, columns):
    print(f"\n{what}, medians\n{'':24}" + "".join(f"{name:>12}" for name in medians)
          + (f"{'plm / floor':>14}" if {"plm", "floor"} <= medians.keys() else ""))
    for column in columns:
        values = {name: m[column] for name, m in medians.items() if column in m}
        if not values:
            continue
        line = f"{column:24}" + "".join(f"{v:12.2f}" for v in values.values())
        if {"plm", "floor"} <= values.keys() and values["floor"]:
            line += f"{values['plm'] / values['floor']:14.2f}"
        print(line)
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--plm", default=str(ROOT / "build/release/plm"), help="empty: leave it out")
    parser.add_argument("--floor", default=str(ROOT / "build/release/plm_floor"), help="empty: leave it out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="write every round and the medians to this file")
    parser.add_argument("--dir", default="/tmp/plm-bench", help="data and logs; its source/ and target/ are removed")
    parser.add_argument("--port", type=int, default=27711, help="of the source; the target has the next one")
    parser.add_argument("--api-port", type=int, default=2250)
    parser.add_argument("--cache-gb", type=float, default=3, help="of each server")
    parser.add_argument("--oplog-mb", type=int, default=4096)
    parser.add_argument("--mb", type=int, default=1000, help="clone: data in the source")
    parser.add_argument("--events", type=int, default=200_000, help="apply: changes")
    parser.add_argument("--rate", type=int, default=2000, help="lag, series: inserts per second")
    parser.add_argument("--measurements", type=int, default=1_000_000, help="series: before the copy")
    parser.add_argument("--documents", type=int, default=5_000_000, help="ids: of each of the two collections")
    parser.add_argument("--seconds", type=int, default=20, help="lag, series: how long")
    parser.add_argument("--databases", type=int, default=1000)
    parser.add_argument("--collections", type=int, default=200, help="indexes: collections")
    args = parser.parse_args()
    tools = [Tool(args, name, path) for name, path in (("floor", args.floor), ("plm", args.plm)) if path]
    for tool in tools:
        if not os.access(tool.binary, os.X_OK):
            sys.exit(f"bench.py: {tool.binary} is not there: build it, or leave it out with --{tool.name}=")
    if not tools or args.rounds < 1:
        sys.exit("bench.py: nothing to run")
    pathlib.Path(args.dir).mkdir(parents=True, exist_ok=True)

    version = subprocess.run([mongod(), "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    out = {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "cores": CORES,
           "machine": platform.machine(), "mongod": version, "parameters": vars(args), "results": {}}
    try:
        for what in BENCHMARKS if args.what == "all" else [args.what]:
            out["results"][what] = run(args, what, tools)
    except (RuntimeError, TimeoutError, requests.RequestException) as error:
        sys.exit(f"bench.py: {error}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")
    sys.exit(0 if all(m["same"] for r in out["results"].values() for m in r["medians"].values()) else 1)


if __name__ == "__main__":
    main()
