"""Both servers speak nothing but TLS, with real certificates; users come with a password or with a certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from lab.certificates import Authority, Certificate
from lab.compare import differences
from lab.daemon import Plm, Refused, run_plm
from lab.load import fill
from lab.servers import SOURCE_ROLES, TARGET_ROLES, Pair, ReplicaSet, free_port

KEY_PASSWORD = "k@y:/%#?&= secret"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Test authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "Some other authority")


@pytest.fixture(scope="module")
def client(authority) -> Certificate:
    return authority.issue("plm", unit="clients")


@pytest.fixture(scope="module")
def tls_servers(authority, client, tmp_path_factory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue("server", hosts=["127.0.0.1"])
    trust = {"tls": certificate, "authority": authority.certificate}
    source = ReplicaSet(folder / "source", "rs_source", plm_roles=SOURCE_ROLES, **trust)
    target = ReplicaSet(folder / "target", "rs_target", plm_roles=TARGET_ROLES, **trust)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ReplicaSet.create, (source, target)))
    source.add_x509_user(client, SOURCE_ROLES)
    target.add_x509_user(client, TARGET_ROLES)
    yield Pair(source, target)
    Pair(source, target).destroy()


@pytest.fixture
def tls_pair(tls_servers) -> Pair:
    tls_servers.wipe()
    return tls_servers


@pytest.fixture
def make_plm(tmp_path) -> Iterator[Callable[[str, str], Plm]]:
    made: list[Plm] = []

    def make(source_uri: str, target_uri: str) -> Plm:
        made.append(Plm(source_uri, target_uri, tmp_path / f"plm{len(made)}"))
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop()


def replicate(pair: Pair, plm: Plm) -> None:
    """A whole job; everything in it goes through TLS, for the servers know nothing else."""
    source = pair.source.admin
    fill(source, "shop", "orders", 500)
    plm.run("--log-level", "trace")
    plm.start()
    plm.wait_synced()
    source.shop.orders.create_index("n")
    source.shop.orders.insert_many([{"_id": f"later {n}"} for n in range(50)])
    source.shop.orders.rename("renamed")
    plm.wait_applied(pair.source.cluster_time())
    plm.kill9()
    plm.run()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_users_with_passwords(tls_pair, make_plm):
    replicate(tls_pair, make_plm(tls_pair.source.uri(), tls_pair.target.uri()))


def test_users_with_certificates(tls_pair, make_plm, client):
    replicate(tls_pair, make_plm(tls_pair.source.x509_uri(client), tls_pair.target.x509_uri(client)))


def test_a_key_under_a_password(tls_pair, make_plm, client, authority):
    secret = quote(KEY_PASSWORD, safe="")
    options = {
        "tlsCertificateKeyFile": str(authority.encrypted(client, KEY_PASSWORD)),
        "tlsCertificateKeyFilePassword": secret,
    }
    plm = make_plm(tls_pair.source.x509_uri(client, **options), tls_pair.target.x509_uri(client, **options))
    replicate(tls_pair, plm)
    for shown in (plm.log(), plm.get("/status").text, plm.get("/metrics").text):
        assert KEY_PASSWORD not in shown and secret not in shown
    assert "tlsCertificateKeyFilePassword=***" in plm.status()["source"]["uri"]


def refusal(plm: Plm) -> Refused:
    plm.run()
    with pytest.raises(Refused) as refused:
        plm.start()
    assert plm.status()["state"] == "idle"
    assert "\n" not in refused.value.error
    return refused.value


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_of_another_authority_is_refused_in_one_line(tls_pair, make_plm, stranger, side):
    uris = {name: getattr(tls_pair, name).uri() for name in ("source", "target")}
    options = {"tlsCAFile": str(stranger.certificate), "serverSelectionTimeoutMS": 2000}
    uris[side] = getattr(tls_pair, side).uri(**options)
    plm = make_plm(uris["source"], uris["target"])
    answer = refusal(plm)
    assert answer.http_status == 503 and side in answer.error and "certificate" in answer.error, answer.error
    deadline = time.monotonic() + 20
    while plm.status()[side]["state"] == "ok":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = [line for line in plm.log().splitlines() if "server is unreachable" in line]
    assert len(lines) == 1 and f"server={side}" in lines[0] and "certificate" in lines[0], lines


def test_a_server_of_another_name_is_refused(tls_pair, make_plm, authority, tmp_path):
    """The certificate is for 127.0.0.1 and localhost; the server is found by another address."""
    elsewhere = authority.issue("elsewhere", hosts=["elsewhere.example", "192.0.2.1"])
    wrong = ReplicaSet(tmp_path / "wrong", "rs_wrong", tls=elsewhere, authority=authority.certificate, plm_roles=SOURCE_ROLES)
    wrong.client_options["tlsAllowInvalidHostnames"] = "true"
    wrong.create()
    try:
        strict = wrong.uri(serverSelectionTimeoutMS=2000, tlsAllowInvalidHostnames="false")
        answer = refusal(make_plm(strict, tls_pair.target.uri()))
        assert answer.http_status == 503 and "source" in answer.error and "ertificate" in answer.error, answer.error
    finally:
        wrong.destroy()


def test_a_client_of_another_authority_is_refused(tls_pair, make_plm, stranger):
    impostor = stranger.issue("plm", unit="clients")
    uri = tls_pair.source.x509_uri(impostor, serverSelectionTimeoutMS=2000)
    answer = refusal(make_plm(uri, tls_pair.target.uri()))
    assert answer.http_status == 503 and "source" in answer.error, answer.error


def test_an_unknown_user_is_named(tls_pair, make_plm, authority):
    unknown = authority.issue("nobody", unit="clients")
    answer = refusal(make_plm(tls_pair.source.x509_uri(unknown), tls_pair.target.uri()))
    assert "source" in answer.error and unknown.subject in answer.error, answer.error


@pytest.mark.parametrize("option", ["tlsCAFile", "tlsCertificateKeyFile"])
def test_a_missing_file_is_named_in_one_line(option):
    good = f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs"
    result = run_plm("--source", f"{good}&tls=true&{option}=/nothing/here.pem", "--target", good, "--port", str(free_port()))
    assert result.returncode == 2, result.stderr
    assert "source" in result.stderr and "/nothing/here.pem" in result.stderr and result.stderr.count("\n") == 1
