"""_ids of types that no driver writes any more and servers still take: symbols, DBPointers, code with its scope,
regular expressions and undefined inside of documents."""

from __future__ import annotations

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from conftest import both_modes
from lab.compare import differences
from lab.raw import ARRAY, OBJECT, TEXT, UNDEFINED, Value, code, document, pointer, raw, regex, symbol, text
from pymongo.collection import Collection
from pymongo.errors import WriteError

UNDEFINED_INSIDE = Value(UNDEFINED).inside()
KEYS: list[Value] = [
    symbol(""), symbol("a"), symbol("é\U0001f600"), symbol("a\0b"), symbol("x" * 900), symbol("$set"), symbol("NaN"),
    pointer("c", 0), pointer("c", 1), pointer("cc", 0), pointer("a.b", 2**96 - 1), pointer("", 5), pointer("é", 7),
    code("f()"), code(""), code("g()", document()), code("g()", document(symbol("s").element("x"))),
    code("g()", document(code("h()", document()).element("inner"))), code("", document(pointer("c", 1).element("p"))),
    symbol("a").inside(), pointer("c", 1).inside(), regex("^a", "i").inside(), regex("^a", "im").inside(),
    regex("", "").inside(), regex("(a|b)*$", "sx").inside("other"), UNDEFINED_INSIDE, code("f()", document()).inside().inside(),
    Value(OBJECT, document(symbol("x").element("a"), regex("y", "").element("b"), pointer("z", 1).element("c"))),
]  # fmt: skip


def insert(collection: Collection) -> None:
    collection.insert_many([key.full(number=number, v=1, w=[number]) for number, key in enumerate(KEYS)])


def change(collection: Collection) -> None:
    """By operators, by a pipeline, by a replacement, by deletion, by deletion and insertion; one key each, in turn."""
    for number, key in enumerate(KEYS):
        which = number % 5
        if which == 0:
            update = {"$set": {"new": 1, "w.0": "x"}, "$unset": {"v": 1}}
            assert collection.update_one(key.query(), update).modified_count == 1
        elif which == 1:
            pipeline = [{"$set": {"v": ["$number"], "w": "$$REMOVE"}}]
            assert collection.update_one(key.query(), pipeline).modified_count == 1
        elif which == 2:
            replacement = RawBSONDocument(bson.encode({"replaced": number}))
            assert collection.replace_one(key.query(), replacement).modified_count == 1
        else:
            assert collection.delete_one(key.query()).deleted_count == 1
        if which == 4:
            collection.insert_one(key.full(again=number))


@both_modes
def test_rare_ids_are_copied_and_followed(pair, plm):
    source = pair.source.admin.types
    insert(raw(source.copied))
    plm.run()
    plm.start()
    plm.wait_synced()
    assert differences(pair.source, pair.target) == []
    insert(raw(source.followed))
    change(raw(source.copied))
    change(raw(source.followed))
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []
    plm.kill9()
    insert(raw(source.while_away))
    plm.run()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def makers(number: int) -> Value:
    name = f"{number:05}"
    kinds = [
        lambda: symbol(name), lambda: pointer("c" * (number % 7 + 1), number), lambda: code(name),
        lambda: code(name, document(symbol(name).element("s"))), lambda: regex(name, "im").inside(),
        lambda: symbol(name).inside(), lambda: pointer(name, 1).inside(), lambda: Value(TEXT, text(name + " as text")),
    ]  # fmt: skip
    return kinds[number % len(kinds)]()


@both_modes
def test_rare_ids_are_split_into_ranges(pair, plm):
    """And changed meanwhile: to which range a change belongs is plm's to say, and must be what the server says."""
    source = raw(pair.source.admin.types.ids)
    keys = [makers(n) for n in range(4000)]
    source.insert_many([key.full(v=0, filler="x" * 200) for key in keys])
    plm.run()
    plm.start(cloneSegmentSize="50KB", cloneReadBatchSize="20KB", cloneNumReadWorkers=4)
    for n, key in enumerate(keys[::11]):
        if n % 3:
            source.update_one(key.query(), {"$inc": {"v": 1}})
        else:
            source.delete_one(key.query())
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_a_symbol_and_a_string_are_one_key(pair, plm):
    """What follows each other under it must stay in order, and the type is that of the last one."""
    source = raw(pair.source.admin.types.ids)
    forms = [symbol, lambda value: Value(TEXT, text(value))]
    source.insert_many([forms[n % 2](f"key {n}").full(v=0) for n in range(20)])
    plm.run()
    plm.start(replNumWorkers=8)
    plm.wait_synced()
    for turn in range(15):
        for n in range(20):
            assert source.delete_one(forms[(n + turn + 1) % 2](f"key {n}").query()).deleted_count == 1
            source.insert_one(forms[(n + turn + 1) % 2](f"key {n}").full(turn=turn))
            source.update_one(forms[(n + turn) % 2](f"key {n}").query(), {"$set": {"x": turn}})
    plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["parked"]["count"] == 0
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_rare_ids_are_compared_when_they_are_copied_again(pair, plm):
    source, target = raw(pair.source.admin.types.ids), raw(pair.target.admin.types.ids)
    insert(source)
    plm.run()
    plm.start()
    plm.wait_synced()
    plm.pause()
    for number, key in enumerate(KEYS):
        if number % 3 == 0:
            target.delete_one(key.query())
        if number % 3 == 1:
            target.update_one(key.query(), {"$set": {"spoilt": True}})
    plm.resume(recopy="changed")
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_rare_ids_can_be_parked(pair, plm):
    source, target = raw(pair.source.admin.types.ids), pair.target.admin.types.ids
    source.insert_one({"_id": 0})
    plm.run()
    plm.start()
    plm.wait_synced()
    target.create_index([("x", 1), ("y", 1)])
    source.insert_many([key.full(x=[1, 2], y=[1, 2]) for key in KEYS])
    plm.wait_for("parked documents", lambda status: status["parked"]["count"] == len(KEYS))
    plm.kill9()
    source.update_one(KEYS[0].query(), {"$unset": {"x": 1}})
    source.delete_one(KEYS[-1].query())
    plm.run()
    status = plm.wait_for("two less", lambda status: status["parked"]["count"] == len(KEYS) - 2)
    assert all(entry.startswith("types.ids ") for entry in status["parked"]["sample"])
    target.drop_index("x_1_y_1")
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_what_a_server_does_not_take_for_an_id(pair):
    """If it takes them one day, they belong to the keys above."""
    for key in (regex("a", "i"), Value(UNDEFINED), Value(ARRAY, document())):
        with pytest.raises(WriteError):
            raw(pair.source.admin.types.ids).insert_one(key.full())
