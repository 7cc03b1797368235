"""The command line and the HTTP calls, as people and programs see them."""

from __future__ import annotations

import json
import re

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from lab.compare import differences
from lab.daemon import Refused, run_plm
from lab.load import fill

IDLE_ZEROS = ("lagTimeSeconds", "eventsRead", "eventsApplied")


def test_status_of_an_idle_daemon_is_zeros(plm):
    status = plm.run().status()
    assert status["ok"] is True and status["state"] == "idle"
    assert [status[name] for name in IDLE_ZEROS] == [0, 0, 0]
    assert status["initialSync"]["completed"] is False
    assert "error" not in status and "finalization" not in status


def test_a_whole_job_over_http(pair, plm):
    fill(pair.source.admin, "shop", "orders", 1000)
    plm.run()
    assert plm.start() == {"ok": True}
    status = plm.wait_synced()
    assert status["state"] == "running"
    assert status["info"] == "Replicating Changes"
    assert status["mode"] == "exact"
    assert status["initialSync"]["cloneCompleted"] is True
    assert status["initialSync"]["collections"] == {"total": 1, "copied": 1, "copying": []}
    assert status["initialSync"]["clonedSizeBytes"] > 1000 * 100
    assert status["source"]["state"] == "ok" and status["source"]["version"] == "6.0.5"
    assert re.fullmatch(r"\d+\.\d+", status["lastReplicatedOpTime"]["ts"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["lastReplicatedOpTime"]["isoDate"])

    pair.source.admin.shop.orders.insert_many([{"_id": f"later {n}"} for n in range(10)])
    applied = plm.wait_applied(pair.source.cluster_time())
    assert applied["eventsApplied"] >= 10 and applied["eventsRead"] >= applied["eventsApplied"]

    assert plm.pause() == {"ok": True}
    assert plm.status()["state"] == "paused" and plm.status()["info"] == "Paused"
    assert plm.resume() == {"ok": True}
    assert plm.status()["state"] == "running"
    status = plm.finish()
    assert status["info"] == "Finalized"
    assert status["finalization"]["completed"] is True
    assert status["finalization"]["unsuccessfulIndexes"] == []
    assert status["finalization"]["startedAt"] <= status["finalization"]["completedAt"]
    assert differences(pair.source, pair.target) == []

    assert plm.reset() == {"ok": True}
    assert plm.status()["state"] == "idle"
    assert pair.target.admin.shop.orders.count_documents({}) == 1010  # reset leaves the data


def test_a_whole_job_by_the_command_line(pair, plm):
    fill(pair.source.admin, "shop", "orders", 500)
    fill(pair.source.admin, "shop", "secret", 500)
    plm.run()

    def succeeds(*words: str) -> str:
        result = plm.command(*words)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    assert json.loads(succeeds("status", "--json"))["state"] == "idle"
    succeeds("start", "--include-namespaces", "shop.*", "--exclude-namespaces", "shop.secret")
    plm.wait_synced()
    assert "running" in succeeds("status")
    assert json.loads(succeeds("pause", "--json")) == {"ok": True}
    assert "paused" in succeeds("status")
    succeeds("resume")
    plm.wait_state("running")
    succeeds("finalize")
    plm.wait_state("finalized")
    assert "finalized" in succeeds("status")
    succeeds("reset")
    assert json.loads(succeeds("status", "--json"))["state"] == "idle"
    assert pair.target.admin.shop.list_collection_names() == ["orders"]


def test_a_refused_command_exits_with_1_and_says_why(plm):
    plm.run()
    for words in (["pause"], ["finalize"], ["resume"]):
        result = plm.command(*words)
        assert result.returncode == 1
        assert "idle" in result.stderr and result.stderr.count("\n") == 1
    refused = plm.command("pause", "--json")
    assert refused.returncode == 1 and json.loads(refused.stdout)["ok"] is False


def test_a_client_that_cannot_reach_the_daemon_exits_with_3(plm):
    result = plm.command("status")  # nobody listens there
    assert result.returncode == 3
    assert str(plm.port) in result.stderr


def test_the_option_start_begins_at_once(pair, plm):
    fill(pair.source.admin, "shop", "orders", 100)
    plm.run("--start")
    plm.wait_synced()
    assert pair.target.admin.shop.orders.count_documents({}) == 100


def test_pause_on_initial_sync_pauses_when_everything_is_copied(pair, plm):
    fill(pair.source.admin, "shop", "orders", 1000)
    plm.run()
    plm.start(pauseOnInitialSync=True)
    status = plm.wait_state("paused")
    assert status["initialSync"]["completed"] is True
    assert differences(pair.source, pair.target, synchronising=True) == []
    plm.resume()
    pair.source.admin.shop.orders.insert_one({"_id": "later"})
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_finalized_job_can_be_followed_by_another(pair, plm):
    fill(pair.source.admin, "first", "a", 100)
    fill(pair.source.admin, "second", "a", 100)
    plm.run()
    plm.start(includeNamespaces=["first.*"])
    plm.wait_synced()
    plm.finish()
    plm.start(includeNamespaces=["second.*"])
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_version_and_help():
    assert re.fullmatch(r"plm \d+\.\d+\.\d+\S*.*\n?", run_plm("--version").stdout)
    text = run_plm("--help").stdout
    for word in ("--source", "--target", "--port", "--reset-state", "status", "start", "pause", "resume", "finalize", "reset"):
        assert word in text


def test_options_come_from_the_environment_and_a_file(pair, plm, tmp_path):
    config = tmp_path / "plm.toml"
    config.write_text('log-level = "debug"\nport = 1\n')
    plm.environment["PLM_LOG_JSON"] = "true"
    plm.run("--config", str(config))  # --port of run() beats the file's
    assert plm.status()["state"] == "idle"
    lines = [json.loads(line) for line in plm.log().splitlines()]
    assert lines


def test_the_log_holds_one_fact_a_line(pair, plm):
    fill(pair.source.admin, "shop", "orders", 100)
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.finish()
    lines = plm.log().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ +(TRACE|DEBUG|INFO|WARN|ERROR) ", line) for line in lines), lines[:3]
    text = plm.log()
    assert "shop.orders" in text and "finalized" in text and "6.0.5" in text


def test_the_log_can_be_json(pair, plm):
    plm.run("--log-json")
    plm.start()
    plm.wait_synced()
    for line in plm.log().splitlines():
        assert {"time", "level", "message"} <= json.loads(line).keys()


def test_metrics_are_prometheus_text(pair, plm):
    fill(pair.source.admin, "shop", "orders", 100)
    plm.run()
    plm.start()
    plm.wait_synced()
    response = plm.get("/metrics")
    assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert all(family.documentation and family.type in ("counter", "gauge") for family in families.values())
    assert any(name.startswith("plm_") and "lag" in name for name in families)


@pytest.mark.parametrize("method, path", [("get", "/start"), ("post", "/status"), ("delete", "/reset"), ("put", "/pause")])
def test_other_methods_are_answered_with_405(plm, method, path):
    plm.run()
    response = requests.request(method, plm.url + path, timeout=5)
    assert response.status_code == 405 and response.json()["ok"] is False


def test_other_paths_are_answered_with_404(plm):
    plm.run()
    response = plm.get("/nothing")
    assert response.status_code == 404 and response.json()["ok"] is False


def test_a_post_of_another_site_is_refused(plm):
    plm.run()
    response = requests.post(plm.url + "/start", headers={"Origin": "https://example.org"}, timeout=5)
    assert response.status_code == 403
    assert plm.status()["state"] == "idle"


def test_a_body_may_be_missing(pair, plm):
    plm.run()
    assert requests.post(plm.url + "/start", timeout=10).json() == {"ok": True}
    plm.wait_synced()
    with pytest.raises(Refused) as refused:
        plm.start()
    assert refused.value.http_status == 409
