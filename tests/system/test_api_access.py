"""Who may talk to the daemon, how, and what others on the machine can see of it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from lab.certificates import Authority
from lab.daemon import Plm, plm_path, run_plm
from lab.servers import PLM_PASSWORD, STATE_DATABASE, free_port

GOOD = "mongodb://127.0.0.1:1/?replicaSet=rs"
TOKEN = "a-token.of_32+characters/for~tests="
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def token_file(tmp_path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "API test authority")


def health(plm: Plm) -> tuple[int, dict]:
    response = plm.get("/health")
    return response.status_code, response.json()


def wait_health(plm: Plm, status: int, timeout: float) -> dict:
    deadline = time.monotonic() + timeout
    while True:
        found = health(plm)
        if found[0] == status:
            return found[1]
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


# -- token and TLS -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_an_address_that_others_can_reach_needs_a_token(address):
    result = run_plm("--source", GOOD, "--target", GOOD, "--port", str(free_port()), "--listen", address)
    assert result.returncode == 2
    assert result.stderr == f"plm: --listen: others can reach {address}: a token is needed (--api-token-file)\n"


def test_only_whoever_shows_the_token_is_answered(pair, plm, token_file):
    plm.headers = BEARER
    plm.run("--listen", "0.0.0.0", "--api-token-file", str(token_file))
    assert plm.start() == {"ok": True}
    plm.wait_synced()
    for headers in ({}, {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": f"Basic {TOKEN}"}, {"X-Token": TOKEN}):
        for method, path in (("GET", "/status"), ("GET", "/health"), ("GET", "/metrics"), ("POST", "/finalize")):
            response = requests.request(method, plm.url + path, headers=headers, timeout=5)
            assert response.status_code == 401 and response.json()["code"] == "unauthorized"
            assert "state" not in response.json()
    assert plm.status()["state"] == "running"
    # By every other way in to this machine, too.
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses:
        assert requests.post(f"http://{address}:{plm.port}/finalize", timeout=5).status_code == 401
    assert TOKEN not in plm.log() + plm.get("/status").text + plm.get("/metrics").text


def test_the_command_line_shows_the_token(pair, plm, token_file, tmp_path):
    plm.headers = BEARER
    plm.run("--api-token-file", str(token_file))
    refused = plm.command("status")
    assert refused.returncode == 1 and "Authorization: Bearer" in refused.stderr
    assert plm.command("status", "--api-token-file", str(token_file)).returncode == 0
    wait_health(plm, 200, 10)
    assert run_plm("health", "--port", str(plm.port), PLM_API_TOKEN_FILE=str(token_file)).returncode == 0
    wrong = tmp_path / "wrong"
    wrong.write_text("x" * 32)
    assert plm.command("pause", "--api-token-file", str(wrong)).returncode == 1


def test_the_api_speaks_tls(pair, plm, authority, token_file, tmp_path):
    server = authority.issue("server", hosts=["127.0.0.1"])
    other = Authority(tmp_path / "other", "Somebody else")
    plm.url = plm.url.replace("http:", "https:")
    plm.headers, plm.ca_file = BEARER, authority.certificate
    plm.run("--api-token-file", str(token_file), "--api-tls-cert", str(server.certificate), "--api-tls-key", str(server.key))
    assert plm.start() == {"ok": True}
    plm.wait_synced()
    trust = ["--api-token-file", str(token_file), "--api-ca-file", str(authority.certificate)]
    assert plm.command("status", *trust).returncode == 0
    assert run_plm("status", "--url", plm.url, *trust).returncode == 0
    distrusted = plm.command("status", "--api-token-file", str(token_file), "--api-ca-file", str(other.certificate))
    assert distrusted.returncode == 3 and "certificate" in distrusted.stderr
    assert plm.command("status", "--api-token-file", str(token_file)).returncode == 3  # plain HTTP
    assert "BEGIN" not in plm.log()


def test_tls_and_token_come_from_the_environment_and_a_file(pair, plm, authority, token_file, tmp_path):
    server = authority.issue("configured", hosts=["127.0.0.1"])
    config = tmp_path / "plm.toml"
    config.write_text(f'api-tls-cert = "{server.certificate}"\napi-tls-key = "{server.key}"\n')
    plm.environment |= {"PLM_API_TOKEN_FILE": str(token_file)}
    plm.url = plm.url.replace("http:", "https:")
    plm.headers, plm.ca_file = BEARER, authority.certificate
    plm.run("--config", str(config))
    assert requests.get(plm.url + "/status", verify=str(authority.certificate), timeout=5).status_code == 401


def test_a_bad_certificate_is_refused_in_one_line(authority, tmp_path):
    server, other = authority.issue("one"), authority.issue("two")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing\n")
    for certificate, key, named in (
        (server.certificate, other.key, "do not belong together"),
        (nonsense, server.key, "cannot be used"),
        (server.certificate, tmp_path / "missing", "cannot read"),
    ):
        files = ["--api-tls-cert", str(certificate), "--api-tls-key", str(key)]
        result = run_plm("--source", GOOD, "--target", GOOD, "--port", str(free_port()), *files)
        assert result.returncode == 2 and named in result.stderr and result.stderr.count("\n") == 1


# -- health ------------------------------------------------------------------------------------------------------------
def test_health_follows_a_job(pair, plm):
    plm.run()
    assert wait_health(plm, 200, 10) == {"ok": True, "state": "idle"}
    pair.source.admin.shop.orders.insert_one({"_id": 1})
    plm.start()
    plm.wait_synced()
    assert health(plm) == (200, {"ok": True, "state": "running"})
    assert plm.command("health").stdout == "Healthy.\n"
    plm.pause()
    assert health(plm) == (200, {"ok": True, "state": "paused"})
    plm.resume()
    plm.finish()
    assert health(plm) == (200, {"ok": True, "state": "finalized"})


def test_health_is_bad_while_the_saved_state_cannot_be_read(pair, plm):
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.kill9()
    pair.target.kill()
    try:
        plm.run()
        answer = wait_health(plm, 503, 10)
        assert answer["ok"] is False and answer["code"] == "state_unreadable"
        result = plm.command("health")
        assert result.returncode == 1 and "saved state" in result.stderr
    finally:
        pair.target.restart()
    assert wait_health(plm, 200, 40)["state"] == "running"


def test_a_failed_job_is_not_healthy(pair, plm):
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.kill9()
    failure = {"$set": {"state": "failed", "error": "tried"}}
    pair.target.admin[STATE_DATABASE].state.update_one({"_id": "job"}, failure)
    plm.run()
    answer = wait_health(plm, 503, 10)
    while answer["code"] != "failed":
        answer = wait_health(plm, 503, 10)
    assert answer == {"ok": False, "state": "failed", "error": "the job has failed: tried", "code": "failed"}


# -- what others can see -----------------------------------------------------------------------------------------------
def test_passwords_given_as_arguments_vanish_from_the_process_list(pair, plm):
    plm.run_with("--source", pair.source.uri(), f"--target={pair.target.uri()}")
    words = Path(f"/proc/{plm.process.pid}/cmdline").read_bytes().split(b"\0")
    assert b"--source" in words
    assert any(word.startswith(b"--target=mongodb://plm:***@127.0.0.1") for word in words)
    for secret in (PLM_PASSWORD, quote(PLM_PASSWORD, safe="")):
        assert secret.encode() not in b"\0".join(words)
    plm.start()
    plm.wait_synced()


def test_passwords_given_as_variables_vanish_from_the_environment(pair, plm):
    plm.environment |= {"PLM_SOURCE_URI": pair.source.uri(), "PLM_TARGET_URI": pair.target.uri()}
    plm.run_with()
    environment = Path(f"/proc/{plm.process.pid}/environ").read_bytes()
    assert b"PLM_SOURCE_URI=mongodb://plm:***@" in environment
    assert quote(PLM_PASSWORD, safe="").encode() not in environment
    plm.start()
    plm.wait_synced()


def driver_counters(pid: int) -> Path:
    return Path(f"/dev/shm/mongoc-{pid}")


def test_a_killed_daemon_leaves_no_shared_memory(pair, plm):
    plm.run()
    pid = plm.process.pid
    plm.kill9()
    assert not driver_counters(pid).exists()


def test_what_a_killed_process_of_the_same_number_left_is_no_trouble():
    def leave() -> None:  # in the child, before it becomes plm
        driver_counters(os.getpid()).write_text("left")

    result = subprocess.run([str(plm_path()), "version"], capture_output=True, text=True, preexec_fn=leave, timeout=30)
    assert result.returncode == 0 and result.stderr == ""
