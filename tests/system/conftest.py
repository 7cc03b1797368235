"""Fixtures of the whole-system tests: one pair of real replica sets for all of them, one plm for each.

Everything runs with authorisation and with users of the least roles, so each test also shows that these are enough.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from lab.daemon import Plm  # noqa: E402
from lab.proxy import Proxy, proxy_to  # noqa: E402
from lab.servers import Pair, ReplicaSet, create_pair, uri  # noqa: E402

# Fault points; TTL that acts within a second, so that "nothing is removed" can be seen quickly.
PARAMETERS = {"enableTestCommands": 1, "ttlMonitorSleepSecs": 1, "shutdownTimeoutMillisForSignaledShutdown": 100}

both_modes = pytest.mark.parametrize("portable", [False, True], ids=["exact", "portable"])

# Fault points hit plm alone by its name; a server that came back is found within half a second.
CLIENT = {"appName": "plm-under-test", "heartbeatFrequencyMS": 500}

# Small ranges and batches, one at a time: a copy of a few megabytes consists of many steps.
SMALL_STEPS = {"cloneSegmentSize": "200KB", "cloneReadBatchSize": "100KB", "cloneNumReadWorkers": 1}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = create_pair(tmp_path_factory.mktemp("servers"), PARAMETERS)
    yield pair
    pair.destroy()


@pytest.fixture
def pair(servers: Pair) -> Pair:
    """The shared servers, empty, in order whatever the last test did to them, and no plm at work on them."""
    for other in MODULE_PLMS:
        if other.process:
            other.kill9()
    for server in servers:
        server.heal()
    servers.wipe()
    return servers


@pytest.fixture
def portable() -> bool:
    """Whether plm is forced into portable mode; `both_modes` runs a test in each."""
    return False


@pytest.fixture
def plm(pair: Pair, tmp_path: Path, portable: bool) -> Iterator[Plm]:
    """A plm for the shared servers, not running yet."""
    daemon = Plm(pair.source.uri(**CLIENT), pair.target.uri(**CLIENT), tmp_path, portable=portable)
    yield daemon
    daemon.stop()


# Those that outlive a test; each would have the lease on the target.
MODULE_PLMS: list[Plm] = []


@pytest.fixture(scope="module")
def module_plm(servers: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Plm]]:
    """Makes plms for jobs that many tests of a module look at; the servers are emptied before each."""
    made: list[Plm] = []

    def make(*, portable: bool = False) -> Plm:
        for old in made:
            old.stop()
        for server in servers:
            server.heal()
        servers.wipe()
        made.append(Plm(servers.source.uri(), servers.target.uri(), tmp_path_factory.mktemp("plm"), portable=portable))
        MODULE_PLMS.append(made[-1])
        return made[-1]

    yield make
    for old in made:
        old.stop()


@pytest.fixture(scope="module")
def resting_plm(module_plm: Callable[..., Plm]) -> Plm:
    return module_plm()


@pytest.fixture
def idle_plm(resting_plm: Plm) -> Plm:
    """One for all tests of a module that find it idle and leave it so."""
    return resting_plm if resting_plm.process else resting_plm.run()


@contextmanager
def expiring_nothing(server: ReplicaSet) -> Iterator[None]:
    """The server's own TTL monitor rests: on the source nothing would be left to copy."""
    server.admin.admin.command("setParameter", 1, ttlMonitorEnabled=False)
    try:
        yield
    finally:
        server.admin.admin.command("setParameter", 1, ttlMonitorEnabled=True)


def wait_for_ttl_passes(server: ReplicaSet) -> None:
    """Until the TTL monitor, which runs each second, has certainly looked at everything that is there now."""

    def passes() -> int:
        return server.admin.admin.command("serverStatus")["metrics"]["ttl"]["passes"]

    before = passes()
    while passes() < before + 2:
        time.sleep(0.1)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Polls until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


def expires(collection: Collection, seconds: float = 20) -> bool:
    """Whether the collection comes to be empty by itself."""
    deadline = time.monotonic() + seconds
    while collection.count_documents({}) and time.monotonic() < deadline:
        time.sleep(0.1)
    return collection.count_documents({}) == 0


def operations(server: ReplicaSet, **wanted: Any) -> list[dict[str, Any]]:
    """What the server works on now, of all its users."""
    return list(server.admin.admin.aggregate([{"$currentOp": {"allUsers": True}}, {"$match": wanted}]))


@contextmanager
def frozen(server: ReplicaSet) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def killed(server: ReplicaSet) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.restart()


@contextmanager
def fault_point(server: ReplicaSet, name: str, mode: str | dict[str, int] = "alwaysOn", **data: Any) -> Iterator[None]:
    """One of the server's own, for a while."""
    server.fail_point(name, mode, **data)
    try:
        yield
    finally:
        server.fail_point(name, "off")


def fail_commands(server: ReplicaSet, mode: str | dict[str, int], **data: Any) -> AbstractContextManager[None]:
    return fault_point(server, "failCommand", mode, **data)


def slow_command(server: ReplicaSet, command: str, milliseconds: int = 150) -> AbstractContextManager[None]:
    """Each of these commands takes this much longer: the middle of a copy becomes a place to stand on."""
    return fail_commands(server, "alwaysOn", failCommands=[command], blockConnection=True, blockTimeMS=milliseconds)


def failing(server: ReplicaSet, commands: list[str], times: int, **answer: Any) -> AbstractContextManager[None]:
    """The next of these commands that plm sends get this answer."""
    return fail_commands(server, {"times": times}, appName=CLIENT["appName"], failCommands=commands, **answer)


# An answer: the command was carried out, and it is not known whether it stays.
NOT_CONFIRMED = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}


def lose_views(server: ReplicaSet, name: str) -> None:
    """Interrupts the drop of a database. Its collections are gone then, with an event each; so are its views, with none."""
    database, comment = server.admin[name], "to be interrupted"
    with ThreadPoolExecutor(1) as pool:
        with fault_point(server, "dropDatabaseHangAfterAllCollectionsDrop"):
            dropped = pool.submit(database.command, "dropDatabase", comment=comment)
            while list(database.list_collections()):
                time.sleep(0.01)
            (running,) = server.admin.admin.command("currentOp", **{"command.comment": comment})["inprog"]
            server.admin.admin.command("killOp", op=running["opid"])
        with pytest.raises(OperationFailure):
            dropped.result()


def copying(status: dict) -> bool:
    """In the middle of the copy: some of it is done, some is not."""
    sync = status["initialSync"]
    return sync["clonedSizeBytes"] > 0 and not sync["cloneCompleted"]


@contextmanager
def middle_of_the_copy(pair: Pair, plm: Plm, milliseconds: int, **options: Any) -> Iterator[None]:
    """Starts plm and a job, whose inserts take so much longer; what is done here ends before the copy does."""
    plm.run()
    with slow_command(pair.target, "insert", milliseconds):
        plm.start(**SMALL_STEPS, **options)
        plm.wait_for("the middle of the copy", copying)
        yield
        assert not plm.status()["initialSync"]["cloneCompleted"]
    plm.wait_synced()


@pytest.fixture
def proxy(pair: Pair) -> Iterator[Proxy]:
    with proxy_to(pair.target.port) as proxy:
        yield proxy


def behind(proxy: Proxy, server: ReplicaSet) -> str:
    """The URI of plm for a way through the proxy."""
    return uri(proxy.port, None, server.plm_user, directConnection="true", **CLIENT)
