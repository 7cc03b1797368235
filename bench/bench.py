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
import concurrent.futures
import contextlib
import datetime
import json
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

import bson
import pymongo
import requests
from pymongo import DeleteOne, IndexModel, InsertOne, ReplaceOne, UpdateOne

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN_DATABASES = {"admin", "config", "local", "percona_link_mongodb"}
TICK = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()
UNLIMITED = 3600  # seconds that a phase may take


# ------------------------------------------------------------------ servers


class Server:
    """One single-node replica set on an empty directory."""

    def __init__(self, args, name, port, options=()):
        self.args, self.name, self.port, self.options = args, name, port, options
        self.path = pathlib.Path(args.dir) / name
        self.uri = f"mongodb://127.0.0.1:{port}/?replicaSet={name}"
        self.process = None

    def start(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        # Thousands of collections: close idle files, or the limit of open ones is hit.
        engine = "file_manager=(close_idle_time=5,close_scan_interval=2,close_handle_minimum=1000)"
        self.process = subprocess.Popen(
            [mongod(), "--dbpath", self.path, "--port", str(self.port), "--replSet", self.name,
             "--bind_ip", "127.0.0.1",
             "--wiredTigerCacheSizeGB", str(self.args.cache_gb), "--oplogSize", str(self.args.oplog_mb),
             "--wiredTigerEngineConfigString", engine, *self.options],
            stdout=open(self.path.with_suffix(".log"), "wb"), stderr=subprocess.STDOUT)
        client = pymongo.MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true")
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        client.admin.command("replSetInitiate", {"_id": self.name, "members": [member]})
        while not client.admin.command("hello").get("isWritablePrimary"):
            time.sleep(0.05)
        client.close()
        return self

    def stop(self):
        if self.process:
            self.process.kill()  # its data is thrown away
            self.process.wait()
            self.process = None
        shutil.rmtree(self.path, ignore_errors=True)

    def client(self, **options):
        return pymongo.MongoClient(self.uri, **options)


def mongod():
    for path in (os.environ.get("MONGOD"), ROOT / ".cache/bin/mongod", shutil.which("mongod")):
        if path and os.access(path, os.X_OK):
            return str(path)
    sys.exit("bench.py: no mongod: set MONGOD, or put one into .cache/bin")


def user_databases(client):
    return sorted(set(client.list_database_names()) - OWN_DATABASES)


def indexes(collection):
    return {spec["name"]: (list(spec["key"].items()), dict(spec)) for spec in collection.list_indexes()}


def differences(source, target):
    """What differs between the two sides; empty when every document and every index is the same."""
    a, b = source.client(), target.client()
    if user_databases(a) != user_databases(b):
        return ["databases"]
    out = []
    for name in user_databases(a):
        left, right = (c[name].command("dbHash")["collections"] for c in (a, b))
        out += [f"{name}.{c}" for c in sorted(left.keys() | right.keys()) if left.get(c) != right.get(c)]
        for collection in left.keys() & right.keys():
            if indexes(a[name][collection]) != indexes(b[name][collection]):
                out.append(f"indexes of {name}.{collection}")
    return out


# ------------------------------------------------------------------ tools


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


# ------------------------------------------------------------------ data

WORDS = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=3 + i % 9)) for i in range(20000)]
YEAR = datetime.datetime(2024, 1, 1)


def order(r, i):
    """About 700 bytes, nested, with arrays."""
    items = [{"sku": r.choice(WORDS), "qty": r.randrange(9), "price": r.randrange(99999) / 100}
             for _ in range(r.randrange(1, 8))]
    return {"_id": bson.ObjectId(), "order_no": i, "items": items,
            "user": {"id": r.randrange(1 << 40), "name": r.choice(WORDS), "tags": r.sample(WORDS, 4)},
            "created": YEAR + datetime.timedelta(seconds=r.randrange(30000000)),
            "note": " ".join(r.choices(WORDS, k=r.randrange(20, 60)))}


def tick(r, i):
    """About 50 bytes."""
    return {"_id": i, "k": r.randrange(1 << 30), "s": r.choice(WORDS), "t": YEAR + datetime.timedelta(seconds=i)}


def blob(r, i):
    """About 45 KB."""
    return {"_id": f"doc-{i:08d}", "body": r.randbytes(r.randrange(4000, 40000)).hex(), "rev": i % 7}


# collection, document, share of the bytes, documents per insert, secondary indexes
COLLECTIONS = [("shop", "orders", order, 0.6, 2000, ["order_no", [("user.id", 1), ("created", -1)], "items.sku"]),
               ("events", "ticks", tick, 0.2, 5000, ["k", "t"]),
               ("files", "blobs", blob, 0.2, 100, ["rev"])]


def load_clone(args, source):
    client = source.client(w=1)
    for db, name, make, share, count, indexes in COLLECTIONS:
        r, size, i = random.Random(7), 0, 0
        while size < args.mb * 1e6 * share:
            batch = [make(r, i + j) for j in range(count)]
            size += sum(len(bson.encode(d)) for d in batch[:20]) / 20 * count
            i += count
            client[db][name].insert_many(batch, ordered=False)
        for keys in indexes:
            client[db][name].create_index(keys)


def load_databases(args, source):
    client = source.client(w=1)
    documents = [{"_id": i, "text": WORDS[i]} for i in range(10)]

    def load(d):
        for c in range(10):
            client[f"db{d:04d}"][f"c{c}"].insert_many(documents)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for first in range(0, args.databases, 200):
            list(pool.map(load, range(first, min(first + 200, args.databases))))
            close_idle_files(client)


def close_idle_files(client):
    """Waits until the server has closed what was written, which a checkpoint has to precede."""
    client.admin.command("fsync")
    while client.admin.command("serverStatus")["wiredTiger"]["connection"]["files currently open"] > 2000:
        time.sleep(0.5)


def load_indexes(args, source):
    db = source.client(w=1)["many"]
    for c in range(args.collections):
        db[f"c{c}"].create_indexes([IndexModel([(f"f{i}", 1)]) for i in range(50)])
        db[f"c{c}"].insert_many([{"_id": j, **{f"f{i}": i * j for i in range(50)}} for j in range(100)])


def measurements(first, count):
    return [{"t": YEAR + datetime.timedelta(seconds=i), "m": {"sensor": i % 50}, "value": i % 1000 / 7, "unit": "K"}
            for i in range(first, first + count)]


def load_series(args, source):
    db = source.client(w=1)["series"]
    db.create_collection("s", timeseries={"timeField": "t", "metaField": "m", "granularity": "minutes"})
    db["s"].create_index([("m.sensor", 1), ("t", 1)])
    for first in range(0, args.measurements, 5000):
        db["s"].insert_many(measurements(first, min(5000, args.measurements - first)), ordered=False)


def mixed_id(i):
    """Of every kind that an _id may be; none twice."""
    kinds = (i, i + 0.5, bson.Int64(i + 10**12), bson.Decimal128(f"{i}.25"), f"id-{i}", bson.ObjectId(),
             YEAR + datetime.timedelta(seconds=i), bson.Binary(i.to_bytes(8, "big")), bson.Timestamp(i, 1), {"a": i, "b": "x"})
    return kinds[i % len(kinds)]


def load_ids(args, source):
    db = source.client(w=1)["ids"]
    for first in range(0, args.documents, 10000):
        numbers = range(first, min(first + 10000, args.documents))
        db["objectids"].insert_many([{"_id": bson.ObjectId(), "k": i, "text": WORDS[i % 20000]} for i in numbers], ordered=False)
        db["mixed"].insert_many([{"_id": mixed_id(i), "k": i, "text": WORDS[i % 20000]} for i in numbers], ordered=False)


def load_changes(source):
    client = source.client(w=1)
    client.drop_database("changes")
    r = random.Random(3)
    for c in range(4):
        collection = client["changes"][f"c{c}"]
        collection.insert_many([tick(r, i) | {"pad": "x" * 300} for i in range(5000)])
        collection.create_index("k")


def make_changes(source, count):
    """40 % inserts, 40 % updates, 10 % replacements, 10 % deletions, always the same. Returns the last one's time."""
    client = source.client(w=1)
    r = random.Random(1)
    live, next_id = [list(range(5000)) for _ in range(4)], [5000] * 4
    for _ in range(count // 1000):
        c, ops = r.randrange(4), []
        for _ in range(1000):
            kind, ids = r.random(), live[c]
            if kind < 0.4:
                ops.append(InsertOne(tick(r, next_id[c]) | {"pad": "x" * r.randrange(100, 600)}))
                ids.append(next_id[c])
                next_id[c] += 1
            elif kind < 0.8:
                change = {"$set": {"k": r.randrange(1 << 30), "sub.a": r.random()}, "$inc": {"n": 1}}
                ops.append(UpdateOne({"_id": r.choice(ids)}, change))
            elif kind < 0.9:
                i = r.choice(ids)
                ops.append(ReplaceOne({"_id": i}, tick(r, i) | {"pad": "y" * r.randrange(100, 600)}))
            else:
                i = r.randrange(len(ids))
                ids[i], ids[-1] = ids[-1], ids[i]
                ops.append(DeleteOne({"_id": ids.pop()}))
        client["changes"][f"c{c}"].bulk_write(ops)
    end = client.admin.command("ping")["operationTime"]
    return end.time, end.inc


# ------------------------------------------------------------------ what is measured


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
