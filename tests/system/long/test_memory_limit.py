"""Documents of the largest size, several at a time: copied and changed, they fit into the memory that plm has by default."""

from __future__ import annotations

import threading

import pytest
from conftest import both_modes, slow_command
from lab.compare import differences
from pymongo import MongoClient
from test_machine import peak_megabytes

LIMIT = 512  # MiB
LARGEST = 16 * 1024 * 1024 - 64
COUNT = 12


def large(key: object, letter: str = "x") -> dict:
    return {"_id": key, "filler": letter * (LARGEST - len(str(key)) - 40)}


def fill_with_large(client: MongoClient, collection: str) -> None:
    for n in range(COUNT):
        client.a[collection].insert_one(large(n))


def at_once(*changes) -> None:
    threads = [threading.Thread(target=change) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def replace_all(client: MongoClient, collection: str, letter: str) -> None:
    for n in range(COUNT):
        client.a[collection].replace_one({"_id": n}, large(n, letter))


def set_all(client: MongoClient, collection: str, letter: str) -> None:
    for n in range(COUNT):
        client.a[collection].update_one({"_id": n}, {"$set": {"filler": letter * (LARGEST - 50)}})


@both_modes
@pytest.mark.parametrize("change", [None, replace_all, set_all], ids=["copied", "replaced", "set"])
def test_the_largest_documents_stay_within_the_limit(pair, plm, change):
    client = pair.source.admin
    names = ("b", "c", "d")
    for name in names:
        fill_with_large(client, name)
    plm.run()
    with slow_command(pair.target, "insert", 100):
        plm.start()
        if change:
            at_once(*(lambda name=name: change(client, name, "y") for name in names))
        plm.wait_synced(90)
    if change:
        at_once(*(lambda name=name: change(client, name, "z") for name in names))
    plm.wait_applied(pair.source.cluster_time(), 90)
    peak = peak_megabytes(plm)
    print(f"peak memory: {peak:.0f} MiB")
    plm.finish()
    assert differences(pair.source, pair.target) == []
    assert peak <= LIMIT
