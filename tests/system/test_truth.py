"""What plm says of itself while it cannot do its work: a person has to learn of it in time, and of its end."""

from __future__ import annotations

import time

from conftest import frozen, wait_until
from lab.daemon import Plm
from lab.servers import Pair
from test_faults import without_rights


def trouble(plm: Plm) -> str:
    """What /health names; nothing when all is well."""
    answer = plm.get("/health")
    assert (answer.status_code == 200) == answer.json()["ok"], answer.text
    return answer.json().get("error", "")


def following(pair: Pair, plm: Plm) -> None:
    pair.source.admin.a.b.insert_one({"_id": 0})
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.wait_applied(pair.source.cluster_time())
    assert not trouble(plm)


def is_well_again(pair: Pair, plm: Plm) -> bool:
    pair.source.admin.a.b.insert_one({})
    plm.wait_applied(pair.source.cluster_time())
    status = plm.status()
    return not trouble(plm) and status["lagTimeSeconds"] <= 2 and status["source"]["state"] == "ok"


def test_a_stream_that_is_refused_is_told_though_the_source_answers(pair, plm):
    """Of what is written meanwhile plm knows nothing: a lag of zero would be a lie."""
    following(pair, plm)
    with without_rights(pair.source):
        began = time.monotonic()
        wait_until(lambda: pair.source.admin.a.b.insert_one({}) and "nothing has moved" in trouble(plm), 60)
        assert time.monotonic() - began > 25, "a moment's trouble is nobody's business"
        status = plm.status()
        assert status["state"] == "running"
        assert abs(status["lagTimeSeconds"] - (time.monotonic() - began)) <= 3
        assert any("nothing has moved in the stream of changes" in warning for warning in status["warnings"])
        assert any("the source is unreachable" in warning and "not authorized" in warning for warning in status["warnings"])
        wait_until(lambda: "the source is unreachable" in trouble(plm), 60)
    wait_until(lambda: is_well_again(pair, plm), 30)


def test_a_paused_job_whose_source_refuses_to_be_asked_says_so(pair, plm):
    """Nobody would see any more how near its position is to being lost."""
    following(pair, plm)
    plm.pause()
    plm.wait_state("paused")
    with without_rights(pair.source):
        wait_until(lambda: any("the source is unreachable" in warning for warning in plm.status()["warnings"]))
    wait_until(lambda: plm.status()["source"]["state"] == "ok")


def test_a_target_that_stands_still_is_told(pair, plm):
    following(pair, plm)
    with frozen(pair.target):
        pair.source.admin.a.b.insert_one({"_id": 1})
        began = time.monotonic()
        wait_until(lambda: "nothing has moved" in trouble(plm), 60)
        assert 25 < time.monotonic() - began
        wait_until(lambda: "the target is unreachable" in trouble(plm), 60)
        assert plm.status()["state"] == "running"
    wait_until(lambda: is_well_again(pair, plm), 60)
