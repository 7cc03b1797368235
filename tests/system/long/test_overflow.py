"""More changes than plm may keep while a range is copied: their keys remain, or the range is copied again. The stream of
everybody goes on. Collections with a collation and capped ones are a single range, however large."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import both_modes, copying, slow_command
from lab.compare import differences
from lab.load import fill

COLLATION = {"collation": {"locale": "en", "strength": 2}}
KINDS: dict[str, dict[str, Any]] = {
    "collation": COLLATION,
    "capped": {"capped": True, "size": 1 << 28},
    "capped_with_collation": {"capped": True, "size": 1 << 28, **COLLATION},
}
KEYS_ONLY = "too many changes to keep while a range is copied"
AGAIN = "too many documents change while a range is copied"
# The least that plm takes; a sixth of it holds what is kept, about 21 MB.
LITTLE_MEMORY = ("--memory-limit", "128MiB")
COUNT = 6000


def wait_for_log(plm, words: str) -> None:
    plm.wait_for(f'"{words}" in the log', lambda _: words in plm.log())


def begin_the_copy(pair, plm, kind: str) -> None:
    """Of a.b, in the middle of its one range."""
    client = pair.source.admin
    client.a.create_collection("b", **KINDS[kind])
    client.a.b.insert_many([{"_id": f"name {n}", "n": n, "filler": "x" * 150} for n in range(COUNT)])
    fill(client, "a", "other", 50)
    plm.run(*LITTLE_MEMORY)
    plm.start(cloneReadBatchSize="20KB", cloneNumReadWorkers=2)
    plm.wait_for("the middle of the copy", lambda s: copying(s) and "a.b" in s["initialSync"]["collections"]["copying"])


def others_go_on(pair, plm) -> None:
    """What is written to another collection arrives, while the copy is still under way."""
    pair.source.admin.a.other.insert_one({"_id": "behind all of it"})
    plm.wait_applied(pair.source.cluster_time())
    assert pair.target.admin.a.other.find_one("behind all of it")
    assert "a.b" in plm.status()["initialSync"]["collections"]["copying"]


def rewrite(collection, turn: int, size: int) -> None:
    """Deletes and inserts again, with other capitals; changes others."""
    for first in range(0, COUNT, 500):
        numbers = range(first, first + 30)
        collection.delete_many({"_id": {"$in": [f"{word} {n}" for n in numbers for word in ("name", "Name")]}})
        words = ["name", "Name"] if turn % 2 else ["Name", "name"]
        collection.insert_many([{"_id": f"{words[n % 2]} {n}", "turn": turn, "large": "y" * size} for n in numbers])
        collection.update_many({"n": {"$gte": first + 200, "$lt": first + 220}}, {"$set": {"turn": turn}})


@both_modes
@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_one_range_that_overflow(pair, plm, kind):
    """The keys are those of the collation, and of a capped collection in their order."""
    source = pair.source.admin.a.b
    with slow_command(pair.target, "insert", 1000):
        begin_the_copy(pair, plm, kind)
        rewrite(source, 1, 72_000)
        wait_for_log(plm, KEYS_ONLY)
        rewrite(source, 2, 10)
        others_go_on(pair, plm)
        assert AGAIN not in plm.log()
    plm.wait_synced()
    rewrite(source, 3, 10)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("kind", ["collation", "capped"])
def test_keys_of_one_range_that_overflow(pair, plm, kind):
    """Not even the keys can be kept: the range is copied again."""
    source = pair.source.admin.a.b
    with slow_command(pair.target, "insert", 1000):
        begin_the_copy(pair, plm, kind)
        for first in range(0, 900, 100):
            source.insert_many([{"_id": f"{n} " + "long" * 7000} for n in range(first, first + 100)])
        wait_for_log(plm, AGAIN)
        rewrite(source, 1, 10)
        others_go_on(pair, plm)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []
