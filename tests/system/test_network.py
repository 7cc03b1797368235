"""A network between plm and a server that is cut, slow, or silent: the job waits, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from conftest import CLIENT, SMALL_STEPS, copying, slow_command
from lab.compare import differences
from lab.daemon import Plm
from lab.load import fill
from lab.proxy import CUT, DEAF, DELAY, LATE, SILENT, Wire
from lab.servers import Pair, uri

# A command that nobody answers is given up after 30 s; then there may be a wait of 5 s before the next try.
FLOWS_WITHIN = 60  # seconds
DELAY_SECONDS = 0.05
LATE_SECONDS = 1.5

pytestmark = pytest.mark.timeout(200)
both_sides = pytest.mark.parametrize("side", ["source", "target"])


def troubles(*names: str) -> pytest.MarkDecorator:
    seconds = {DELAY: DELAY_SECONDS, LATE: LATE_SECONDS}
    return pytest.mark.parametrize("what, seconds", [(name, seconds.get(name, 0)) for name in names], ids=names)


@pytest.fixture
def wire(pair: Pair, side: str) -> Iterator[Wire]:
    wire = Wire(getattr(pair, side).port)
    yield wire
    wire.close()


@pytest.fixture
def plm(pair: Pair, wire: Wire, side: str, tmp_path) -> Iterator[Plm]:
    """Its way to one of the servers leads through the wire."""
    ways = {name: getattr(pair, name).uri(**CLIENT) for name in ("source", "target")}
    ways[side] = uri(wire.port, None, getattr(pair, side).plm_user, directConnection="true", **CLIENT)
    daemon = Plm(ways["source"], ways["target"], tmp_path)
    yield daemon
    daemon.stop()


def finished_equal(pair: Pair, plm: Plm) -> None:
    began = time.monotonic()
    plm.wait_synced(FLOWS_WITHIN)
    plm.wait_applied(pair.source.cluster_time(), FLOWS_WITHIN)
    assert time.monotonic() - began < FLOWS_WITHIN
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_sides
@troubles(CUT, DELAY, SILENT, DEAF, LATE)
def test_while_following(pair, plm, wire, what, seconds):
    documents = pair.source.admin.a.b
    fill(pair.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    documents.update_many({}, {"$set": {"under way": True}})
    wire.trouble(what, seconds)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        documents.update_many({"_id": {"$lt": 20}}, {"$inc": {"n": 1}})
        documents.insert_one({})
        assert plm.status()["state"] == "running"
    wire.heal()
    finished_equal(pair, plm)


@both_sides
@troubles(CUT, DELAY, SILENT, LATE)
def test_in_the_middle_of_the_copy(pair, plm, wire, what, seconds):
    documents = pair.source.admin.a.b
    fill(pair.source.admin, "a", "b", 3000)
    plm.run()
    with slow_command(pair.target, "insert", 80):
        plm.start(**SMALL_STEPS)
        plm.wait_for("part of the copy", copying)
        copied = plm.status()["initialSync"]["clonedSizeBytes"]
        wire.trouble(what, seconds)
        documents.delete_many({"_id": {"$mod": [7, 0]}})
        time.sleep(3)
        assert plm.status()["state"] == "running"
        wire.heal()
    finished_equal(pair, plm)
    assert plm.status()["initialSync"]["clonedSizeBytes"] >= copied
