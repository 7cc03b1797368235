"""The command line and the HTTP calls, as people and programs see them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from lab.compare import differences
from lab.daemon import Refused, plm_path, run_plm
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


# -- the command line, against a job -----------------------------------------------------------------------------------
def done(plm, *words: str) -> str:
    """What the command printed, which must succeed without a complaint."""
    result = plm.command(*words)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return result.stdout


def test_start_replaces_what_is_in_the_way_only_when_told_and_nothing_else(pair, plm):
    client, target = pair.source.admin, pair.target.admin
    client.shop.orders.insert_one({"_id": "new"})
    client.shop.kept.insert_one({"_id": "new"})
    for there in (target.shop.orders, target.shop.surplus, target.shop.kept, target.other.things):
        there.insert_one({"_id": "old"})
        there.create_index("n")
    selection = ("--include-namespaces", "shop.*", "--exclude-namespaces", "shop.kept")
    plm.run()
    refused = plm.command("start", *selection)
    assert refused.returncode == 1 and refused.stdout == "" and refused.stderr.count("\n") == 1
    for word in ("shop.orders", "shop.surplus", "--replace-target"):
        assert word in refused.stderr
    assert "kept" not in refused.stderr and "other" not in refused.stderr
    assert target.shop.orders.find_one() == target.shop.surplus.find_one() == {"_id": "old"}
    assert plm.status()["state"] == "idle"

    assert "plm status --watch" in done(plm, "start", "--replace-target", *selection)
    plm.wait_synced()
    assert plm.finish()["finalization"]["differences"] == []
    assert [document["_id"] for document in target.shop.orders.find()] == ["new"]
    assert "n_1" not in target.shop.orders.index_information()
    assert sorted(target.shop.list_collection_names()) == ["kept", "orders"]
    for untouched in (target.shop.kept, target.other.things):
        assert list(untouched.find()) == [{"_id": "old"}] and "n_1" in untouched.index_information()


def test_pause_on_initial_sync_by_the_command_line(pair, plm):
    """Once: a resume is not followed by another pause."""
    fill(pair.source.admin, "shop", "orders", 500)
    plm.run()
    done(plm, "start", "--pause-on-initial-sync")
    assert plm.wait_state("paused")["initialSync"]["completed"] is True
    assert done(plm, "status").startswith("state        paused")
    pair.source.admin.shop.orders.insert_one({"_id": "while paused"})
    plm.kill9()
    plm.run()
    plm.wait_state("paused")
    done(plm, "resume")
    plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["state"] == "running"
    assert pair.target.admin.shop.orders.find_one("while paused")
    done(plm, "finalize")
    plm.wait_state("finalized")
    assert differences(pair.source, pair.target) == []


def test_the_command_version():
    number = run_plm("--version").stdout
    assert run_plm("version").stdout == number
    assert f"plm {json.loads(run_plm('version', '--json').stdout)['version']}\n" == number


# -- status --watch ----------------------------------------------------------------------------------------------------
@contextmanager
def watching(plm, *words: str, output: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """`plm status --watch`, with signals as a terminal's shell leaves them."""
    command = [str(plm_path()), "status", "--watch", "--port", str(plm.port), *words]

    def as_from_a_shell() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True, preexec_fn=as_from_a_shell)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def read_until(stream: IO[str], text: str) -> list[str]:
    """The lines up to the next one that holds this."""
    lines = []
    for line in stream:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without {text}: {''.join(lines)[-2000:]}")


def test_a_watch_shows_the_job_until_it_is_interrupted(pair, plm):
    """A final state is no end of it."""
    fill(pair.source.admin, "shop", "orders", 100)
    plm.run()
    with watching(plm) as watch:
        read_until(watch.stdout, "state        idle")
        plm.start()
        read_until(watch.stdout, "state        running")
        plm.wait_synced()
        plm.finalize()
        for _ in range(2):
            read_until(watch.stdout, "state        finalized")
        assert watch.poll() is None
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == -signal.SIGINT
        assert watch.stderr.read() == ""
    assert plm.status()["state"] == "finalized"


def test_a_watch_outlives_its_daemon_and_goes_on_with_the_next(plm):
    plm.run()
    with watching(plm) as watch:
        read_until(watch.stdout, "state        idle")
        plm.kill9()
        assert str(plm.port) in watch.stderr.readline()
        plm.run()
        for _ in range(2):
            read_until(watch.stdout, "state        idle")
        assert watch.poll() is None


def test_a_watch_without_a_daemon_ends_with_3(plm):
    result = plm.command("status", "--watch")
    assert result.returncode == 3 and result.stderr.count("\n") == 1


def test_a_watch_as_json_is_a_line_each_time_and_ends_with_its_reader(plm):
    plm.run()
    with watching(plm, "--json") as watch:
        assert [json.loads(watch.stdout.readline())["state"] for _ in range(2)] == ["idle", "idle"]
        watch.stdout.close()
        assert watch.wait(10) in (0, -signal.SIGPIPE)
        watch.stdout = None


def test_a_watch_on_a_terminal_clears_it_each_time(plm):
    plm.run()
    ours, theirs = os.openpty()
    with watching(plm, output=theirs), open(ours, encoding="utf-8") as terminal:
        os.close(theirs)
        for _ in range(2):
            assert "\x1b[H\x1b[2J" in read_until(terminal, "state        idle")[-1]
