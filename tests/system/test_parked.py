"""Documents that the target does not take: named, tried again, waived on request, forgotten with their collection."""

from __future__ import annotations

import json

import pytest
from conftest import both_modes
from lab.compare import differences
from lab.daemon import Refused


@pytest.fixture
def parked(pair, plm):
    """a.b with a document that an index of the target alone refuses."""
    client = pair.source.admin
    client.a.b.insert_many([{"_id": n} for n in range(10)])
    plm.run()
    plm.start()
    plm.wait_synced()
    pair.target.admin.a.b.create_index([("x", 1), ("y", 1)])
    client.a.b.insert_one({"_id": "stubborn", "x": [1, 2], "y": [1, 2]})
    client.a.b.insert_one({"_id": "other"})
    plm.wait_for("the parked document", lambda status: status["parked"]["count"] == 1)
    return plm


@both_modes
def test_finalize_refuses_and_names_the_document(pair, parked):
    with pytest.raises(Refused) as refused:
        parked.finalize()
    assert refused.value.http_status == 409
    assert "a.b" in refused.value.error and "stubborn" in refused.value.error and "waiveParked" in refused.value.error
    assert parked.status()["state"] == "running"
    assert parked.command("finalize").returncode == 1


@both_modes
def test_finalize_goes_on_without_it_when_that_is_wanted(pair, parked):
    parked.post("/finalize", {"waiveParked": True})
    report = parked.wait_state("finalized")["finalization"]
    assert report["waivedParked"]["count"] == 1
    (document,) = report["waivedParked"]["documents"]
    assert document["namespace"] == "a.b" and document["_id"] == "stubborn" and document["reason"]
    found = differences(pair.source, pair.target)
    assert len(found) == 1 and "stubborn" in found[0], found
    parked.kill9()
    parked.run()
    assert parked.wait_state("finalized")["finalization"] == report


def test_the_command_line_waives_and_shows_what(pair, parked):
    done = parked.command("finalize", "--waive-parked")
    assert done.returncode == 0, done.stderr
    parked.wait_state("finalized")
    text = parked.command("status").stdout
    assert "waived" in text and "stubborn" in text
    assert json.loads(parked.command("status", "--json").stdout)["finalization"]["waivedParked"]["count"] == 1


def test_nothing_is_waived_that_can_be_written_in_the_end(pair, parked):
    pair.target.admin.a.b.drop_index("x_1_y_1")
    parked.post("/finalize", {"waiveParked": True})
    assert "waivedParked" not in parked.wait_state("finalized")["finalization"]
    assert differences(pair.source, pair.target) == []


def test_the_end_of_its_collection_is_the_end_of_a_parked_document(pair, parked):
    pair.source.admin.a.b.drop()
    parked.wait_for("nothing parked", lambda status: status["parked"]["count"] == 0)
    parked.finish()
    assert differences(pair.source, pair.target) == []


@pytest.mark.parametrize("body", [{"waiveParked": 1}, {"waiveParked": "yes"}, {"waive": True}])
def test_a_misspelt_request_waives_nothing(pair, parked, body):
    with pytest.raises(Refused) as refused:
        parked.post("/finalize", body)
    assert refused.value.http_status == 400
    assert parked.status()["state"] == "running"
