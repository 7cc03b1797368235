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


@pytest.mark.parametrize(
    "side, roles, missing",
    [("source", SOURCE_ROLES, role) for role in ("clusterMonitor", "readAnyDatabase")]
    + [("target", TARGET_ROLES, role) for role in ("clusterMonitor", "readWriteAnyDatabase")]
    + [("source", SOURCE_ROLES, "everything"), ("target", TARGET_ROLES, "everything")],
)
def test_a_missing_privilege_is_named(pair, limited, side, roles, missing):
    pair.source.admin.shop.orders.insert_one({"_id": 1})
    plm = limited(side, () if missing == "everything" else tuple(role for role in roles if role != missing))
    plm.run()
    with pytest.raises(Refused) as refused:
        plm.start()
    assert refused.value.http_status in (400, 409, 503)
    assert side in refused.value.error and "privilege" in refused.value.error
    assert pair.target.databases() == []
    assert plm.status()["state"] == "idle"


def test_without_the_role_restore_the_portable_mode_is_used_or_the_role_is_asked_for(pair, limited):
    """applyOps needs it; what must not happen is a job that fails later on."""
    pair.source.admin.shop.orders.insert_one({"_id": 1})
    plm = limited("target", tuple(role for role in TARGET_ROLES if role != "restore"))
    plm.run()
    try:
        plm.start()
    except Refused as refused:
        assert "target" in refused.error and "privilege" in refused.error
        return
    assert plm.wait_synced()["mode"] == "portable"
    pair.source.admin.shop.orders.update_one({"_id": 1}, {"$set": {"a": 1}})
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
