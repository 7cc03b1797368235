"""Which namespaces take part: in the copy, in what follows, and when a rename crosses the border."""

from __future__ import annotations

import pytest
from conftest import both_modes
from lab.compare import differences
from lab.daemon import Refused


def content(replica_set) -> dict[str, set[str]]:
    """Collections by database."""
    return {name: set(replica_set.admin[name].list_collection_names()) for name in replica_set.databases()}


SOURCE = {"a": ["x", "y", "x.y"], "b": ["x"]}
RULES = [
    # include, exclude, what of the source takes part
    ([], [], {"a": {"x", "y", "x.y"}, "b": {"x"}}),
    (["a.*"], [], {"a": {"x", "y", "x.y"}}),
    (["a.x"], [], {"a": {"x"}}),
    (["a.x.y"], [], {"a": {"x.y"}}),  # split at the first dot only
    (["A.*", "a.X"], [], {}),  # case counts
    (["a.x", "b.*"], [], {"a": {"x"}, "b": {"x"}}),
    ([], ["a.*"], {"b": {"x"}}),
    ([], ["a.x"], {"a": {"y", "x.y"}, "b": {"x"}}),
    (["a.*"], ["a.x"], {"a": {"y", "x.y"}}),
    (["a.x"], ["a.*"], {}),  # exclude wins
    (["nothing.here"], [], {}),
]


@pytest.mark.parametrize("include, exclude, expected", RULES, ids=[f"{rule[0]}-{rule[1]}" for rule in RULES])
def test_rules_hold_for_the_copy_and_for_changes(pair, plm, include, exclude, expected):
    def insert(key: str) -> None:
        for database, collections in SOURCE.items():
            for collection in collections:
                pair.source.admin[database][collection].insert_one({"_id": key})

    insert("copied")
    plm.run()
    plm.start(includeNamespaces=include, excludeNamespaces=exclude)
    plm.wait_synced()
    insert("followed")
    plm.wait_applied(pair.source.cluster_time())
    assert content(pair.target) == expected
    for database, collections in expected.items():
        for collection in collections:
            assert pair.target.admin[database][collection].count_documents({}) == 2
    plm.finish()
    assert content(pair.target) == expected


def test_the_servers_own_databases_and_the_saved_state_never_take_part(pair, plm):
    pair.source.admin.admin.own.insert_one({"_id": 1})
    pair.source.admin.percona_link_mongodb.state.insert_one({"_id": "foreign"})
    pair.source.admin.config.own.insert_one({"_id": 1})
    try:
        plm.run()
        plm.start()
        plm.wait_synced()
        assert "own" not in pair.target.admin.admin.list_collection_names()
        assert "own" not in pair.target.admin.config.list_collection_names()
        assert not pair.target.admin.percona_link_mongodb.state.find_one("foreign")
        plm.finish()
    finally:
        pair.source.admin.admin.own.drop()
        pair.source.admin.config.own.drop()


@both_modes
def test_structure_outside_the_filter_is_left_alone(pair, plm):
    source, target = pair.source.admin, pair.target.admin
    for name in ("in", "out"):
        source.a[name].insert_many([{"_id": n} for n in range(50)])
    target.a.out.insert_one({"_id": "of the target"})
    plm.run()
    plm.start(excludeNamespaces=["a.out", "b.*"])
    plm.wait_synced()
    source.a.out.create_index("n")
    source.a.out.drop()
    source.b.new.insert_one({"_id": 1})
    source.b.new.rename("newer")
    plm.wait_applied(pair.source.cluster_time())
    assert list(target.a.out.find()) == [{"_id": "of the target"}]
    assert pair.target.databases() == ["a"]
    source.drop_database("a")  # drops a.in; a.out of the target is excluded and stays
    plm.wait_applied(pair.source.cluster_time())
    assert content(pair.target) == {"a": {"out"}}


@both_modes
def test_renames_across_the_border_of_the_filter(pair, plm):
    source, target = pair.source.admin, pair.target.admin
    source.a["in"].insert_many([{"_id": n, "from": "in"} for n in range(500)])
    source.a.out.insert_many([{"_id": n, "from": "out"} for n in range(500)])
    source.a.out.create_index("from")
    plm.run()
    plm.start(includeNamespaces=["a.in", "a.came"])
    plm.wait_synced()
    source.a["in"].rename("gone")  # out of the filter: dropped on the target
    source.a.gone.insert_one({"_id": "unseen"})
    source.a.out.rename("came")  # into the filter: copied
    source.a.came.insert_one({"_id": "seen", "from": "out"})
    plm.wait_applied(pair.source.cluster_time())
    plm.wait_synced()
    plm.finish()
    assert content(pair.target) == {"a": {"came"}}
    assert target.a.came.count_documents({}) == 501
    assert "from_1" in target.a.came.index_information()


def test_out_and_rename_from_an_excluded_database_are_copied(pair, plm):
    """The results of $out come from a temporary name and across databases: what counts is where they go."""
    source = pair.source.admin
    source.raw.data.insert_many([{"_id": n} for n in range(300)])
    source.raw.moved.insert_many([{"_id": n} for n in range(300)])
    plm.run()
    plm.start(includeNamespaces=["report.*"])
    plm.wait_synced()
    source.raw.data.aggregate([{"$out": {"db": "report", "coll": "result"}}])
    source.admin.command("renameCollection", "raw.moved", to="report.moved")
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert content(pair.target) == {"report": {"result", "moved"}}
    assert differences(pair.source, pair.target, ["report"]) == []


@pytest.mark.parametrize("entry", ["", "a", ".x", "a.", "a.x*", "*.x", "admin.*", "config.x", "a b.x", "percona_link_mongodb.*"])
@pytest.mark.parametrize("list_name", ["includeNamespaces", "excludeNamespaces"])
def test_a_malformed_entry_is_refused_and_named(servers, idle_plm, list_name, entry):
    with pytest.raises(Refused) as refused:
        idle_plm.start(**{list_name: ["good.one", entry]})
    assert refused.value.http_status == 400
    assert list_name in refused.value.error and f'"{entry}"' in refused.value.error
    assert idle_plm.status()["state"] == "idle"
