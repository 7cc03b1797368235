"""The servers that the benchmarks run on, and whether both hold the same."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pymongo

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN_DATABASES = {"admin", "config", "local", "percona_link_mongodb"}


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
