"""Which namespaces take part: in the copy, in what follows, and when a rename crosses the border."""

from __future__ import annotations

import pytest
from conftest import both_modes, middle_of_the_copy
from lab.compare import differences, identity
from lab.daemon import Refused
from lab.load import fill


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
def test_profiles_and_data_in_local_never_take_part(pair, plm):
    """Nor are they in the way, nor warned of; a database of nothing but its profile is none."""
    source, names = pair.source.admin, ("a", "empty")

    def write(key: str) -> None:
        source.a.b.insert_one({"_id": key})
        source.empty.nothing.find_one()
        source.local.command("insert", "own", documents=[{"_id": key}])
        for name in names:  # the profilers are at work
            assert source[name]["system.profile"].count_documents({"op": {"$in": ["insert", "query"]}})

    def profile(level: int) -> None:
        for name in names:
            source[name].command("profile", level)

    try:
        profile(2)
        write("copied")
        plm.run()
        plm.start()
        plm.wait_synced()
        write("followed")
        profile(0)
        for name in names:  # as one makes it larger
            source[name]["system.profile"].drop()
            source[name].create_collection("system.profile", capped=True, size=1 << 20)
        profile(2)
        write("followed too")
        source.local.own.rename("renamed")
        source.local.command("createIndexes", "renamed", indexes=[{"key": {"n": 1}, "name": "n"}])
        plm.wait_applied(pair.source.cluster_time())
        status = plm.finish()
    finally:
        profile(0)
        for name in ("own", "renamed"):
            source.local[name].drop()
    assert status["finalization"]["differences"] == [] and status["finalization"]["unsuccessfulIndexes"] == []
    assert [line for line in status["warnings"] if not line.startswith("users and roles")] == []
    assert content(pair.target) == {"a": {"b"}}
    assert not {"own", "renamed"} & set(pair.target.admin.local.list_collection_names())
    assert differences(pair.source, pair.target) == []


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


STAGES = ("copied", "followed")
RESULTS = [f"{kind}_{stage}" for kind in ("out", "merged", "replaced", "added", "reduced", "new") for stage in STAGES]
SELECTIONS = {
    "the_database": {"includeNamespaces": ["report.*"], "excludeNamespaces": ["report.left_out"]},
    "the_names": {"includeNamespaces": ["report.pad", *(f"report.{name}" for name in RESULTS)]},  # no temporary ones
}


@both_modes
@pytest.mark.parametrize("selection", SELECTIONS)
def test_results_of_commands_on_what_is_excluded_arrive(pair, plm, selection):
    """Those of another database, and of a collection beside them; into new names and such as hold something."""
    source = pair.source.admin
    data = [source.raw.data, source.report.left_out]
    for collection in data:
        collection.insert_many([{"_id": n, "group": n % 7, "value": 1.0} for n in range(300)])
    for name in RESULTS:
        if not name.startswith("new"):
            source.report[name].insert_many([{"_id": n, "value": 100.0} for n in range(3, 12)])
            source.report[name].create_index("value")
    fill(source, "report", "pad", 8000, size=500)
    function = {"map": "function() { emit(this.group, this.value); }"}
    function["reduce"] = "function(key, values) { return Array.sum(values); }"

    def run(stage: str) -> None:
        for collection, groups in zip(data, ([0, 1, 2, 3], [3, 4, 5, 6])):
            some = {"group": {"$in": groups}}
            for way, kind in (("replace", "replaced"), ("merge", "added"), ("reduce", "reduced"), ("replace", "new")):
                out = {way: f"{kind}_{stage}", "db": "report"}
                collection.database.command("mapReduce", collection.name, **function, query=some, out=out)
            collection.aggregate([{"$match": some}, {"$out": {"db": "report", "coll": f"out_{stage}"}}])
            collection.aggregate([{"$match": some}, {"$merge": {"into": {"db": "report", "coll": f"merged_{stage}"}}}])

    with middle_of_the_copy(pair, plm, 2000, **SELECTIONS[selection]):
        run("copied")
    excluded = ["report.left_out is on one side only"]
    plm.wait_for("results", lambda _: differences(pair.source, pair.target, ["report"], synchronising=True) == excluded)
    run("followed")
    plm.finish()
    assert content(pair.target) == {"report": {"pad", *RESULTS}}
    assert differences(pair.source, pair.target, ["report"]) == excluded
    for stage in STAGES:
        sums = pair.target.admin.report[f"reduced_{stage}"].find()
        assert {entry["_id"]: entry["value"] for entry in sums}[3] == 100 + 2 * 43


@both_modes
def test_renames_between_selected_names(pair, plm):
    """Onto nothing, onto each other and into another database, while copying and while following."""
    source, target = pair.source.admin, pair.target.admin
    for name in ("one", "two"):
        fill(source, "a", name, 4000, size=500)
        source.a[name].create_index("n", unique=True, name=f"index of {name}")
    source.a.out.insert_one({"_id": 1})

    def rename(before: str, after: str) -> None:
        source.admin.command("renameCollection", before, to=after, dropTarget=True)
        collection = source.get_database(after[0])[after[2:]]
        collection.insert_one({"_id": f"{before} to {after}", "n": f"{before} to {after}"})
        collection.update_one({"_id": 3}, {"$set": {f"was {before[2:]}": True}})

    def differs(**options: bool) -> list[str]:
        plm.wait_applied(pair.source.cluster_time())
        return differences(pair.source, pair.target, **options)

    excluded = ["a.out is on one side only"]
    with middle_of_the_copy(pair, plm, 1000, includeNamespaces=["a.one", "a.two", "a.three", "b.four"]):
        rename("a.one", "a.three")
        rename("a.two", "a.one")
    assert differs(synchronising=True) == excluded
    moved = identity(target, "a", "three")
    rename("a.three", "a.two")
    rename("a.two", "a.one")
    assert differs(synchronising=True) == excluded
    assert identity(target, "a", "one") == moved  # not copied again
    rename("a.one", "b.four")  # a new collection, as servers see it
    plm.wait_for("its copy", lambda _: target.b.list_collection_names() == ["four"])
    assert differs(synchronising=True) == excluded
    rename("b.four", "a.two")
    plm.finish()
    assert content(pair.target) == {"a": {"two"}}
    assert differences(pair.source, pair.target) == excluded
    assert target.a.two.count_documents({}) == 4005


MALFORMED = ["", "a", ".x", "a.", "a.x*", "*.x", "admin.*", "config.x", "local.x", "a b.x", "percona_link_mongodb.*"]


@pytest.mark.parametrize("entry", MALFORMED)
@pytest.mark.parametrize("list_name", ["includeNamespaces", "excludeNamespaces"])
def test_a_malformed_entry_is_refused_and_named(servers, idle_plm, list_name, entry):
    with pytest.raises(Refused) as refused:
        idle_plm.start(**{list_name: ["good.one", entry]})
    assert refused.value.http_status == 400
    assert list_name in refused.value.error and f'"{entry}"' in refused.value.error
    assert idle_plm.status()["state"] == "idle"
