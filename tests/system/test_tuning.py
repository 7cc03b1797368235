"""The tuning options, as flags of `plm start`: what each of them changes, and which values are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conftest import CLIENT, behind, operations, slow_command
from lab.daemon import Plm, run_plm
from lab.load import fill
from lab.proxy import Command
from lab.servers import STATE_DATABASE, ReplicaSet, free_port

FLAGS = (
    "--clone-num-parallel-collections",
    "--clone-num-read-workers",
    "--clone-num-insert-workers",
    "--clone-segment-size",
    "--clone-read-batch-size",
    "--repl-num-workers",
    "--repl-bulk-ops-size",
)


@pytest.fixture
def sent(proxy) -> list[Command]:
    """Every command that plm sends to the target."""
    commands: list[Command] = []

    def note(_: str, command: Command) -> bool:
        commands.append(command)
        return False

    proxy.hold_next(note)
    return commands


@pytest.fixture
def watched(pair, proxy, tmp_path) -> Iterator[Plm]:
    """A plm whose way to the target leads through the proxy."""
    daemon = Plm(pair.source.uri(**CLIENT), behind(proxy, pair.target), tmp_path / "watched")
    yield daemon
    daemon.stop()


def start(plm: Plm, *flags: str) -> None:
    if not plm.process:
        plm.run()
    started = plm.command("start", *flags)
    assert started.returncode == 0, started.stderr


def start_again(plm: Plm, *flags: str) -> None:
    """The same anew, whatever the job is."""
    plm.pause()
    plm.reset()
    start(plm, "--replace-target", *flags)


def most_while_copying(plm: Plm, count: Callable[[], int]) -> int:
    """The largest of many counts."""
    most = 0
    while True:
        most = max(most, count())
        status = plm.status()
        assert status["state"] == "running", status
        if status["initialSync"]["cloneCompleted"]:
            return most


def under_way(server: ReplicaSet, command: str, namespace: str) -> int:
    """How many such commands of plm the server works on now."""
    wanted = {"appName": CLIENT["appName"], f"command.{command}": {"$exists": True}, "active": True}
    return sum(operation["ns"].startswith(namespace) for operation in operations(server, **wanted))


# -- the copy ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "flags, workers",
    [
        (["--clone-num-read-workers", "1"], 1),
        (["--clone-num-read-workers", "3"], 3),
        (["--clone-num-insert-workers", "3"], 3),
        (["--clone-num-read-workers", "3", "--clone-num-insert-workers", "1"], 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_so_many_ranges_are_copied_at_a_time(pair, plm, flags, workers):
    """Neither more nor fewer; of both numbers the larger one counts."""
    fill(pair.source.admin, "a", "b", 4000)
    with slow_command(pair.target, "insert", 200):
        start(plm, "--clone-segment-size", "300KB", *flags)
        assert most_while_copying(plm, lambda: under_way(pair.target, "insert", "a.")) == workers
    assert pair.target.admin.a.b.count_documents({}) == 4000


@pytest.mark.parametrize("limit, collections", [(["--clone-num-parallel-collections", "1"], 1), ([], 3)])
def test_so_many_collections_are_copied_at_a_time(pair, plm, limit, collections):
    """Each is one range here, so one insert at a time is its."""
    for name in "bcd":
        fill(pair.source.admin, "a", name, 4000)
    with slow_command(pair.target, "insert", 200):
        start(plm, "--clone-num-read-workers", "4", "--clone-read-batch-size", "40KB", *limit)
        assert most_while_copying(plm, lambda: under_way(pair.target, "insert", "a.")) == collections


def test_a_collection_is_cut_into_ranges_of_the_size_given(pair, plm):
    fill(pair.source.admin, "a", "b", 4000)

    def ranges() -> int:
        plm.wait_synced()
        (collection,) = pair.target.admin[STATE_DATABASE].collections.find()
        return collection["ranges"]

    start(plm)
    assert ranges() == 1
    start_again(plm, "--clone-segment-size", "300KB")
    assert ranges() > 5
    start_again(plm, "--clone-segment-size", "600000")
    assert 1 < ranges() < 10


def test_documents_are_copied_in_batches_of_the_size_given(pair, watched, sent):
    fill(pair.source.admin, "a", "b", 4000, size=200)  # 800 KB

    def batches() -> list[int]:
        watched.wait_synced()
        found = [len(command["documents"]) for command in sent if "insert" in command and command["$db"] == "a"]
        sent.clear()
        assert sum(found) == 4000
        return found

    start(watched)
    assert max(batches()) > 1000
    start_again(watched, "--clone-read-batch-size", "50KB")
    first, *others = batches()
    assert first == 500  # by which plm learns how large they are
    assert max(others) <= 300 and len(others) >= 12


# -- changes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", [1, 3])
def test_so_many_appliers_write_at_a_time(pair, plm, workers):
    fill(pair.source.admin, "a", "b", 100)
    start(plm, "--repl-num-workers", str(workers), "--repl-bulk-ops-size", "10")
    plm.wait_synced()
    most, arrived = 0, pair.target.admin.a.b
    with slow_command(pair.target, "applyOps", 200):
        pair.source.admin.a.b.update_many({}, {"$set": {"changed": True}})
        while arrived.count_documents({"changed": True}) < 100:
            most = max(most, under_way(pair.target, "applyOps", "admin"))
            assert plm.status()["state"] == "running"
    assert most == workers


@pytest.fixture
def largest(pair, watched, sent) -> Callable[[], int]:
    """The size of the largest batch of changes, when they come while another batch is under way."""
    documents = pair.source.admin.a.b
    fill(pair.source.admin, "a", "b", 150)

    def measure() -> int:
        watched.wait_synced()
        sent.clear()
        with slow_command(pair.target, "applyOps", 200):
            documents.update_many({}, {"$inc": {"changed": 1}})
            watched.wait_applied(pair.source.cluster_time())
        batches = [command["applyOps"] for command in sent if "applyOps" in command]
        sizes = [sum(operation["ns"] == "a.b" for operation in batch) for batch in batches]
        assert sum(sizes) == 150
        return max(sizes)

    return measure


ONE_APPLIER = ("--repl-num-workers", "1")


def test_so_many_changes_are_written_at_once(watched, largest):
    start(watched, *ONE_APPLIER, "--repl-bulk-ops-size", "20")
    assert largest() == 20
    start_again(watched, *ONE_APPLIER, "--repl-bulk-ops-size", "100")
    assert 20 < largest() <= 100


# -- where they come from ----------------------------------------------------------------------------------------------
def test_a_job_keeps_its_flags_in_the_next_process(watched, largest):
    start(watched, *ONE_APPLIER, "--repl-bulk-ops-size", "20")
    watched.wait_synced()
    watched.kill9()
    watched.run("--repl-bulk-ops-size", "100")  # for jobs to come
    assert largest() == 20


def test_the_daemons_options_hold_where_start_has_none(watched, largest):
    watched.environment["PLM_REPL_NUM_WORKERS"] = "1"
    watched.run("--repl-bulk-ops-size", "20")
    start(watched)
    assert largest() == 20
    start_again(watched, "--repl-bulk-ops-size", "30")
    assert largest() == 30
    start_again(watched, "--repl-bulk-ops-size", "0")  # plm's own choice
    assert largest() > 30


# -- what is refused ---------------------------------------------------------------------------------------------------
BAD_VALUES = ("x", "1.5", "-1", "1 furlong", "", "1e3", "99999999999999999999", "900000000000")


def refused(flag: str, value: str) -> str:
    """The one line that says so. Nobody listens at the port: who asks would end with 3."""
    result = run_plm("start", flag, value, "--port", str(free_port()))
    assert result.returncode == 2, result.stderr
    assert result.stdout == "" and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.mark.parametrize("flag", FLAGS)
def test_bad_values_are_refused_before_anybody_is_asked(flag):
    for value in BAD_VALUES:
        assert refused(flag, value).startswith("plm: ")


@pytest.mark.parametrize("flag", FLAGS)
def test_a_bad_value_is_refused_with_the_name_of_its_flag(flag):
    assert flag in refused(flag, "x")
