"""All kept cases, and some minutes of fresh schedules: PLM_DIFFERENTIAL_MINUTES (1; 0: none), PLM_DIFFERENTIAL_JOBS (2).

A schedule that differs is printed with its seed, shrunk, and written to build/differential.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bson import Timestamp
from differential import behind, campaign, features, generate, schedule, shrink
from differential.execute import Outcome

ROOT = Path(__file__).resolve().parents[2]

MINUTES = float(os.environ.get("PLM_DIFFERENTIAL_MINUTES", "1"))
JOBS = int(os.environ.get("PLM_DIFFERENTIAL_JOBS", "2"))
EVERYTHING = features.chosen()


def settings(minutes: float | None = None, *, keep_going: bool = False) -> campaign.Settings:
    return campaign.Settings(EVERYTHING, JOBS, minutes, keep_going=keep_going, found=ROOT / "build/differential")


def described(total: campaign.Total) -> str:
    return "\n".join(campaign.describe(result) for result in total.differing)


@pytest.mark.timeout(1200)
def test_kept_cases_arrive_exactly():
    total = campaign.run(sorted(campaign.CASES.glob("*.json")), settings(keep_going=True))
    assert not total.differing, described(total)


@pytest.mark.skipif(MINUTES == 0, reason="PLM_DIFFERENTIAL_MINUTES=0")
@pytest.mark.timeout(MINUTES * 60 + 1200)
def test_fresh_schedules_arrive_exactly():
    first = int(time.time() * 1000) % 10**9
    total = campaign.run(itertools.count(first), settings(MINUTES))
    assert not total.differing, described(total)
    assert total.schedules > 0


# -- the tester itself -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(20))
def test_a_seed_gives_one_schedule_that_survives_json(seed):
    text = schedule.dumps(generate.generate(seed, EVERYTHING))
    assert text == schedule.dumps(generate.generate(seed, EVERYTHING))
    assert text == schedule.dumps(schedule.loads(text))


@pytest.mark.parametrize(
    "feature, word",
    [
        ("capped", "capped"),
        ("timeseries", "timeseries"),
        ("rename", '{"renameCollection"'),
        ("kill", '"kill"'),
        ("drop-database", "dropDatabase"),
        ("transactions", '"transaction"'),
        ("finalize-under-writes", '"finalize"'),
    ],
)
def test_a_feature_that_is_switched_off_does_not_occur(feature, word):
    related = {feature, "convert-to-capped", "rename-across", "backlog"}
    texts = [schedule.dumps(generate.generate(seed, EVERYTHING - related)) for seed in range(25)]
    assert not any(word in text for text in texts)
    assert any(word in schedule.dumps(generate.generate(seed, EVERYTHING)) for seed in range(25))


def test_shrinking_finds_the_operations_that_matter():
    """A schedule of a hundred operations, which differs as long as two of them are there in their order."""
    operations = [schedule.Write(n % 3, "d1", {"insert": "a", "documents": [{"_id": n}, {"_id": -n}]}) for n in range(100)]
    whole = schedule.Schedule(1, window=8, slow={"target": {}}, operations=operations)

    def run(candidate: schedule.Schedule) -> Outcome:
        ids = [document["_id"] for write in candidate.operations for document in write.command["documents"]]
        return Outcome(["documents: d1.a"] if {17, 71} <= set(ids) else [])

    smallest = shrink.Shrinker(run, whole, "documents").shrink("documents: d1.a")
    assert [write.command["documents"] for write in smallest.operations] == [[{"_id": 17}], [{"_id": 71}]]
    assert (smallest.window, smallest.slow) == (0, {})


def test_a_filter_names_views_time_series_and_functions_too():
    schedules = [generate.generate(seed, frozenset({"filter"})) for seed in range(100)]
    named = {entry.partition(".")[2] for one in schedules for entry in (*one.include, *one.exclude)}
    assert {"a", "*", "dotted.name", "v", "series", "system.js"} <= named


# What an idle plm says. Time does not matter to it, and the source still less.
LAZY_PLM = """#!{python}
import http.server, json, sys

sync = {{"completed": True, "collections": {{"copying": ["all"], "copied": 1}}}}
status = {{"state": "idle", "initialSync": sync, "lastReplicatedOpTime": {{"ts": "4294967295.1"}}}}
states = {{"/start": "running", "/pause": "paused", "/resume": "running", "/finalize": "finalized"}}


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.do(status)

    def do_POST(self):
        status["state"] = states[self.path]
        self.do({{"ok": True}})

    def do(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers).serve_forever()
"""


def run(*words: Any) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "tests/differential/run"), "--jobs", "1", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_difference_is_printed_with_its_seed_shrunk_and_written_down(tmp_path):
    """That of a plm which copies nothing and says that all is done. What is written down differs again."""
    lazy = tmp_path / "plm"
    lazy.write_text(LAZY_PLM.format(python=sys.executable))
    lazy.chmod(0o755)
    without = ("kill", "kill-in-finalize", "backlog", "finalize-under-writes")
    found = ("--plm", lazy, "--found", tmp_path)
    ended = run("--seeds", 1, *found, "--shrink-seconds", 5, "--without", ",".join(without))
    whole, shrunk = tmp_path / "seed-1.json", tmp_path / "seed-1.shrunk.json"
    assert ended.returncode == 1, ended.stderr
    assert "seed 1 DIFFERS\n  names: " in ended.stdout
    assert f"shrunk: {shrunk}" in ended.stdout
    expected = generate.generate(1, EVERYTHING - {*without})
    assert schedule.dumps(replace(schedule.load(whole), note="")) == schedule.dumps(expected)
    smallest = schedule.load(shrunk)
    assert smallest.count() == 1
    assert smallest.note.startswith("names: ")
    assert shrunk.with_suffix(".log").exists()
    again = run("--case", shrunk, *found)
    assert again.returncode == 1, again.stderr
    assert "DIFFERS\n  names: " in again.stdout


# -- what the oplog tells of a moment ----------------------------------------------------------------------------------
def command(database: str, **what: Any) -> dict[str, Any]:
    return {"op": "c", "ns": f"{database}.$cmd", "o": what}


def written(operation: str, namespace: str, key: Any) -> dict[str, Any]:
    return {"op": operation, "ns": namespace, ("o2" if operation == "u" else "o"): {"_id": key}}


def since(*entries: dict[str, Any]) -> behind.Behind:
    return behind.replay(Timestamp(1, 1), entries)


def test_the_first_command_about_a_name_tells_whether_something_had_it():
    renamed = command("d1", renameCollection="d1.old", to="d1.new", dropTarget="uuid")
    moved = command("d1", renameCollection="d1.new", to="d2.free", dropTarget=False)
    after = since(command("d1", create="made"), command("d1", drop="made"), command("d1", drop="gone"), renamed, moved)
    expected = {"d1.made": False, "d1.gone": True, "d1.old": True, "d1.new": True, "d2.free": False}
    assert {".".join(name): was_there for name, was_there in after.there.items()} == expected


def test_what_a_transaction_does_counts_like_the_rest():
    inner = [command("d1", create="made"), written("i", "d1.made", 1), written("u", "d1.a", 2)]
    after = since(written("d", "d1.a", 3), command("admin", applyOps=inner), written("i", "config.transactions", 4))
    assert after.there == {("d1", "made"): False}
    assert {name: len(keys) for name, keys in after.written.items()} == {("d1", "made"): 1, ("d1", "a"): 2}


def test_views_that_went_with_their_database_are_unclear():
    dropped = [written("d", "d1.system.views", "d1.v"), command("d1", drop="system.views")]
    after = since(*dropped, command("d1", create="w"))
    assert after.there == {("d1", "v"): True}
    assert after.is_unclear(("d1", "w"), (), is_view=False)  # it may have been a view
    assert after.is_unclear(("d1", "x"), (), is_view=True)
    assert not after.is_unclear(("d1", "v"), (), is_view=True)
    assert not after.is_unclear(("d2", "x"), (), is_view=True)


def test_a_time_series_collection_that_came_in_part_is_unclear():
    twin, buckets = ("d1", "series"), ("d1", "system.buckets.series")
    made = [command("d1", create="system.buckets.series"), written("i", "d1.system.views", "d1.series")]
    assert not since(*made).is_unclear(twin, [twin, buckets], is_view=True)
    late = since(made[1])
    assert late.is_unclear(twin, [twin, buckets], is_view=True)
    assert late.is_unclear(buckets, [twin, buckets], is_view=False)


def test_a_report_is_explained_by_what_was_written_since():
    after = since(written("i", "d1.dotted.name", 1), written("u", "d1.system.buckets.series", 1))
    line = "{} has 3 documents, on the source 4 (they differ rightly if it was written after finalize began)"
    assert after.explains(line.format("d1.dotted.name"))
    assert after.explains(line.format("d1.series"))
    assert not after.explains(line.format("d1.a"))
    assert not after.explains("d1.dotted.name lacks index x")


def test_a_command_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match="not known"):
        since(command("d1", somethingNew="a"))
