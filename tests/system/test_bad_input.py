"""Whatever is wrong is refused in one clear line, before anything is touched."""

from __future__ import annotations

import pytest
import requests
from lab.daemon import Plm, Refused, run_plm
from lab.servers import SOURCE_ROLES, ReplicaSet, User, free_port, uri

GOOD = "mongodb://127.0.0.1:1/?replicaSet=rs"


@pytest.mark.parametrize(
    "words, named",
    [
        (["--source", GOOD, "--target", GOOD, "--sourc", "x"], "--sourc"),
        (["--source", GOOD], "--target"),
        (["--target", GOOD], "--source"),
        (["--source", "http://127.0.0.1", "--target", GOOD], "source"),
        (["--source", "mongodb://", "--target", GOOD], "source"),
        (["--source", "mongodb://user:pa%ss@127.0.0.1/", "--target", GOOD], "source"),
        (["--source", "mongodb://user:pa@ss@127.0.0.1/", "--target", GOOD], "source"),
        (["--source", GOOD, "--target", "127.0.0.1:27017"], "target"),
        (["--source", GOOD, "--target", GOOD, "--port", "70000"], "port"),
        (["--source", GOOD, "--target", GOOD, "--port", "none"], "port"),
        (["--source", GOOD, "--target", GOOD, "--log-level", "loud"], "log-level"),
        (["--source", GOOD, "--target", GOOD, "--memory-limit", "lots"], "memory-limit"),
        (["--source", GOOD, "--target", GOOD, "--memory-limit", "-5"], "memory-limit"),
        (["--source", GOOD, "--target", GOOD, "--listen", "not an address"], "listen"),
        (["--source", GOOD, "--target", GOOD, "--clone-segment-size", "1 furlong"], "clone-segment-size"),
        (["--source-uri-file", "/nothing/here", "--target", GOOD], "/nothing/here"),
        (["--config", "/nothing/here"], "/nothing/here"),
        (["frobnicate"], "frobnicate"),
        (["start", "--include-namespaces", "nodot"], "nodot"),
        (["status", "--port", "x"], "port"),
        (["resume", "--from-failur"], "--from-failur"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else value,
)
def test_wrong_usage_exits_with_2_and_one_line_that_names_it(words, named):
    result = run_plm(*words)
    assert result.returncode == 2, result.stderr
    assert named in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert "pa%ss" not in result.stderr


def test_a_broken_configuration_file_is_named_with_its_line(tmp_path):
    config = tmp_path / "plm.toml"
    config.write_text('port = 2242\nlog-level = "info\n')
    result = run_plm("--config", str(config), "--source", GOOD, "--target", GOOD)
    assert result.returncode == 2 and "plm.toml" in result.stderr and "2" in result.stderr
    config.write_text("prot = 2242\n")
    result = run_plm("--config", str(config), "--source", GOOD, "--target", GOOD)
    assert result.returncode == 2 and "prot" in result.stderr


def test_a_taken_port_is_named(pair, plm, tmp_path):
    plm.run()
    result = run_plm("--source", pair.source.uri(), "--target", pair.target.uri(), "--port", str(plm.port))
    assert result.returncode == 1 and str(plm.port) in result.stderr


BODIES = [
    (b"{", "JSON"),
    (b"[]", "object"),
    (b'"text"', "object"),
    (b'{"includeNamespaces": "a.b"}', "includeNamespaces"),
    (b'{"includeNamespaces": [1]}', "includeNamespaces"),
    (b'{"includeNamespace": ["a.b"]}', "includeNamespace"),
    (b'{"replaceTarget": "yes"}', "replaceTarget"),
    (b'{"cloneSegmentSize": "big"}', "cloneSegmentSize"),
    (b'{"cloneSegmentSize": -1}', "cloneSegmentSize"),
    (b'{"cloneNumReadWorkers": 1.5}', "cloneNumReadWorkers"),
    (b'{"replNumWorkers": 1000000}', "replNumWorkers"),
    (b'{"pauseOnInitialSync": null}', "pauseOnInitialSync"),
    (b"\xff\xfe", "JSON"),
]


@pytest.mark.parametrize("body, named", BODIES, ids=lambda value: value.decode("latin1") if isinstance(value, bytes) else "")
def test_a_bad_body_is_answered_with_400_and_named(idle_plm, body, named):
    response = requests.post(idle_plm.url + "/start", data=body, headers={"Content-Type": "application/json"}, timeout=5)
    assert response.status_code == 400
    assert response.json()["ok"] is False and named in response.json()["error"]
    assert idle_plm.status()["state"] == "idle"


def test_a_body_over_1_mib_is_answered_with_413(idle_plm):
    body = b'{"includeNamespaces": ["' + b"a" * (1 << 20) + b'.b"]}'
    response = requests.post(idle_plm.url + "/start", data=body, headers={"Content-Type": "application/json"}, timeout=5)
    assert response.status_code == 413


def test_fields_are_refused_where_none_are_expected(idle_plm):
    for path in ("/pause", "/finalize", "/reset"):
        with pytest.raises(Refused) as refused:
            idle_plm.post(path, {"force": True})
        assert refused.value.http_status == 400 and "force" in refused.value.error


# -- servers that do not fit -------------------------------------------------------------------------------------------
def start_refused(plm: Plm) -> Refused:
    """The answer to a start that must be refused; the state stays idle."""
    plm.run()
    with pytest.raises(Refused) as refused:
        plm.start()
    assert plm.status()["state"] == "idle"
    return refused.value


@pytest.fixture
def make_plm(tmp_path):
    made: list[Plm] = []

    def make(source_uri: str, target_uri: str) -> Plm:
        made.append(Plm(source_uri, target_uri, tmp_path / f"plm{len(made)}"))
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop()


def test_source_and_target_must_differ(pair, make_plm):
    user = User("both", "both", SOURCE_ROLES + ("restore", "readWriteAnyDatabase"))
    pair.source.add_user(user)
    try:
        pair.source.admin.a.b.insert_one({"_id": 1})
        same = start_refused(make_plm(pair.source.uri(user), pair.source.uri(user, connectTimeoutMS=5000)))
        assert same.http_status in (400, 409) and "same" in same.error
        assert pair.source.admin.a.b.count_documents({}) == 1
    finally:
        pair.source.admin.admin.command("dropUser", "both")


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_standalone_server_is_refused(pair, make_plm, tmp_path, side):
    standalone = ReplicaSet(tmp_path / "standalone", None, key_file=False).create()
    try:
        address = uri(standalone.port, None, None)
        plm = make_plm(address, pair.target.uri()) if side == "source" else make_plm(pair.source.uri(), address)
        answer = start_refused(plm)
        assert answer.http_status in (400, 409) and "replica set" in answer.error and side in answer.error
        assert standalone.databases() == [] and pair.target.databases() == []
    finally:
        standalone.destroy()


@pytest.mark.parametrize("side", ["source", "target"])
def test_an_unreachable_server_is_answered_with_503(pair, make_plm, side):
    nowhere = uri(free_port(), "rs", None, serverSelectionTimeoutMS=500)
    plm = make_plm(nowhere, pair.target.uri()) if side == "source" else make_plm(pair.source.uri(), nowhere)
    answer = start_refused(plm)
    assert answer.http_status == 503 and side in answer.error


def test_a_wrong_password_is_told_without_showing_it(pair, make_plm):
    wrong = User("plm", "not-the-p@ssword")
    plm = make_plm(pair.source.uri(wrong), pair.target.uri())
    answer = start_refused(plm)
    assert "uthentication" in answer.error and "source" in answer.error
    for text in (answer.error, plm.log(), plm.get("/status").text):
        assert "not-the" not in text


def test_data_in_the_way_is_listed_and_kept(pair, plm):
    pair.source.admin.shop.orders.insert_one({"_id": "new"})
    pair.target.admin.shop.orders.insert_one({"_id": "old"})
    pair.target.admin.other.things.insert_one({"_id": "old"})
    answer = start_refused(plm)
    assert answer.http_status == 409 and "shop.orders" in answer.error and "other.things" in answer.error
    assert pair.target.admin.shop.orders.find_one()["_id"] == "old"


def test_data_outside_the_filter_is_not_in_the_way(pair, plm):
    pair.source.admin.shop.orders.insert_one({"_id": "new"})
    pair.target.admin.other.things.insert_one({"_id": "old"})
    plm.run()
    plm.start(includeNamespaces=["shop.*"], replaceTarget=True)
    plm.wait_synced()
    plm.finish()
    assert pair.target.admin.other.things.count_documents({}) == 1


@pytest.mark.parametrize("how", ["request", "option"])
def test_replace_target_drops_what_is_in_the_way(pair, plm, how):
    pair.source.admin.shop.orders.insert_one({"_id": "new"})
    pair.target.admin.shop.orders.insert_one({"_id": "old"})
    pair.target.admin.shop.surplus.insert_one({"_id": "old"})
    plm.run(*(["--replace-target"] if how == "option" else []))
    plm.start(**({"replaceTarget": True} if how == "request" else {}))
    plm.wait_synced()
    plm.finish()
    assert [d["_id"] for d in pair.target.admin.shop.orders.find()] == ["new"]
    assert pair.target.admin.shop.list_collection_names() == ["orders"]
