"""Replica sets of three: events flow again within seconds of a new primary being there, whatever became of the old one;
and members that are away hold nothing up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from conftest import CLIENT, PARAMETERS, frozen, wait_until
from lab.compare import differences, indexes
from lab.daemon import Plm
from lab.load import fill
from lab.servers import SOURCE_ROLES, TARGET_ROLES, MemberSet, Pair, ReplicaSet, acknowledged_note
from pymongo.errors import PyMongoError

FLOWS_WITHIN = 5  # seconds


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("sets")
    source = MemberSet(folder / "source", "rs_source", plm_roles=SOURCE_ROLES, parameters=PARAMETERS)
    target = MemberSet(folder / "target", "rs_target", plm_roles=TARGET_ROLES, parameters=PARAMETERS)
    pair = Pair(source.create(), target.create())
    yield pair
    pair.destroy()


@pytest.fixture
def plm(sets: Pair, tmp_path, portable: bool) -> Iterator[Plm]:
    """With the settings that a user has: nothing beside the members, and a name for fault points."""
    for side in sets:
        side.heal()
    sets.wipe()
    daemon = Plm(*(side.uri(appName=CLIENT["appName"]) for side in sets), tmp_path, portable=portable)
    yield daemon
    daemon.stop()


def step_down(side: MemberSet, old: ReplicaSet) -> None:
    with contextlib.suppress(PyMongoError):
        side.direct(old).admin.command("replSetStepDown", 10, force=True)


def kill(_side: MemberSet, old: ReplicaSet) -> None:
    old.kill()


def freeze(_side: MemberSet, old: ReplicaSet) -> None:
    """It keeps its connections, and what waits at them."""
    old.freeze()


def wait_until_it_acknowledges(side: MemberSet) -> None:
    """A new primary cannot, as long as the other secondary still waits for what the old one has to tell."""
    while True:
        with contextlib.suppress(PyMongoError):
            acknowledged_note(side.admin, milliseconds=20_000)
            break


@pytest.mark.parametrize("leave", [step_down, kill, freeze])
@pytest.mark.parametrize("side", ["source", "target"])
def test_events_flow_again_soon_after_an_election(sets, plm, side, leave):
    fill(sets.source.admin, "a", "b", 500)
    plm.run()
    plm.start()
    plm.wait_synced()
    changed: MemberSet = getattr(sets, side)
    old, election = changed.wait_primary()
    leave(changed, old)
    if side == "target":
        sets.source.admin.a.b.insert_one({"during": leave.__name__})
    changed.wait_primary(unlike=election)
    wait_until_it_acknowledges(changed)
    began = time.monotonic()
    while True:
        with contextlib.suppress(PyMongoError):
            sets.source.admin.a.b.insert_one({"after": leave.__name__})
            break
    plm.wait_applied(sets.source.cluster_time())
    took = time.monotonic() - began
    print(f"flows again after {took:.2f} s")
    assert took < FLOWS_WITHIN
    changed.heal()
    plm.finish()
    assert differences(sets.source, sets.target) == []


def test_indexes_are_built_while_a_member_of_the_target_is_away(sets, plm):
    """Those of the copy, and one that comes with the stream."""
    collection = sets.source.admin.a.b
    fill(sets.source.admin, "a", "b", 3000, size=1000)  # too much for indexes that are made before the data
    collection.create_index("n")
    primary, _ = sets.target.wait_primary()
    away = next(member for member in sets.target.members if member is not primary)
    with frozen(away):
        plm.run()
        plm.start()
        plm.wait_synced()
        collection.create_index([("n", -1)])
        plm.wait_applied(sets.source.cluster_time())
        wait_until(lambda: len(indexes(sets.target.admin, "a", "b")) == 3)
    plm.finish()
    assert differences(sets.source, sets.target) == []
