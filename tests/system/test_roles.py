"""The least roles are enough (every test runs with them); less is refused, and what is missing is named. Secrets stay secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from lab.compare import differences
from lab.daemon import Plm, Refused
from lab.servers import PLM_PASSWORD, SOURCE_ROLES, TARGET_ROLES, User


@pytest.fixture
def limited(pair, tmp_path):
    """Makes a plm whose user lacks one role on one side."""
    made: list[tuple[object, Plm]] = []

    def make(side: str, roles: tuple[str, ...]) -> Plm:
        server = getattr(pair, side)
        user = User("limited", "limited", roles)
        server.add_user(user)
        uris = {"source": pair.source.uri(), "target": pair.target.uri(), side: server.uri(user)}
        made.append((server, Plm(uris["source"], uris["target"], tmp_path)))
        return made[-1][1]

    yield make
    for server, daemon in made:
        daemon.stop()
        server.admin.admin.command("dropUser", "limited")


def refused_naming(plm, side: str) -> bool:
    """Starts; whether that was refused, in which case it must be for a privilege, with nothing touched."""
    plm.run()
    try:
        plm.start()
        return False
    except Refused as refused:
        assert side in refused.error and "privilege" in refused.error
        assert plm.status()["state"] == "idle"
        return True


@pytest.mark.parametrize(
    "side, roles",
    [
        ("source", ()),
        ("source", ("backup", "clusterMonitor")),
        ("source", ("clusterMonitor", "readAnyDatabase")),
        ("target", ()),
        ("target", ("restore", "clusterMonitor")),
        ("target", ("clusterMonitor", "readWriteAnyDatabase")),
    ],
)
def test_a_missing_privilege_is_named(pair, limited, side, roles):
    pair.source.admin.shop.orders.insert_one({"_id": 1})
    assert refused_naming(limited(side, roles), side)
    assert pair.target.databases() == []


@pytest.mark.parametrize(
    "side, roles",
    [
        ("source", ("backup", "readAnyDatabase")),
        ("target", ("restore", "readWriteAnyDatabase")),
    ],
)
def test_without_a_role_a_job_is_refused_or_works_to_its_end(pair, limited, side, roles):
    """What must not happen is a job that fails later on."""
    client = pair.source.admin
    client.shop.orders.insert_many([{"_id": n, "n": n} for n in range(50)])
    client.shop.orders.create_index("n", unique=True)
    plm = limited(side, roles)
    if refused_naming(plm, side):
        return
    plm.wait_synced()
    client.shop.orders.update_one({"_id": 1}, {"$set": {"a": 1}})
    client.shop.orders.rename("renamed")
    client.shop.renamed.create_index("a", hidden=True)
    plm.kill9()
    plm.run()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def secrets_of(password: str) -> list[str]:
    return [password, quote(password, safe="")]


def test_no_password_in_log_status_metrics_or_process_list(pair, plm):
    pair.source.admin.shop.orders.insert_one({"_id": 1})
    plm.run("--log-level", "trace")
    plm.start()
    plm.wait_synced()
    pair.source.kill()
    try:
        plm.wait_for("outage", lambda status: status["source"]["state"] != "ok", 30)
    finally:
        pair.source.restart()
    shown = [plm.log(), plm.get("/status").text, plm.get("/metrics").text]
    shown.append(Path(f"/proc/{plm.process.pid}/cmdline").read_text())
    shown += [plm.command("status").stdout, plm.command("status", "--json").stdout]
    for text in shown:
        for secret in secrets_of(PLM_PASSWORD):
            assert secret not in text
    assert "127.0.0.1" in plm.status()["source"]["uri"]


def test_passwords_on_the_command_line_are_not_logged(pair, plm):
    plm.run_with("--source", pair.source.uri(), "--target", pair.target.uri(), "--log-level", "trace", "--start")
    plm.wait_synced()
    for secret in secrets_of(PLM_PASSWORD):
        assert secret not in plm.log()


def test_options_may_come_from_the_environment(pair, plm):
    plm.environment |= {"PLM_SOURCE_URI": pair.source.uri(), "PLM_TARGET_URI": pair.target.uri()}
    plm.run_with()
    plm.start()
    plm.wait_synced()


# Every printable ASCII character, letters of other scripts and a symbol outside the basic plane.
EVERY_CHARACTER = "".join(chr(code) for code in range(32, 127)) + "äéß€Ж漢𝄞"


def test_names_and_passwords_may_hold_every_character(pair, tmp_path):
    users = {"source": SOURCE_ROLES, "target": TARGET_ROLES}
    made = {side: User(f"n@me:/?#[]%&=+ {side}é", EVERY_CHARACTER, roles) for side, roles in users.items()}
    for side, user in made.items():
        getattr(pair, side).add_user(user)
    plm = Plm(pair.source.uri(made["source"]), pair.target.uri(made["target"]), tmp_path)
    try:
        pair.source.admin.shop.orders.insert_one({"_id": 1})
        plm.run("--log-level", "trace")
        plm.start()
        plm.wait_synced()
        plm.finish()
        assert differences(pair.source, pair.target) == []
        for text in (plm.log(), plm.get("/status").text, plm.get("/metrics").text):
            for secret in secrets_of(EVERY_CHARACTER):
                assert secret not in text
        assert "***" in plm.status()["source"]["uri"]
    finally:
        plm.stop()
        for side, user in made.items():
            getattr(pair, side).admin.admin.command("dropUser", user.name)
