"""Documents: all types of _id, everything a document can hold, every kind of change, transactions."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.son import SON
from conftest import SMALL_STEPS, both_modes, copying, slow_command, wait_until
from lab.compare import differences, documents
from lab.load import KEYS, Writer, fill, insert_20_mb
from lab.raw import (
    ARRAY,
    DECIMAL,
    OBJECT,
    REGEX,
    TEXT,
    UNDEFINED,
    Value,
    binary,
    code,
    date,
    decimal,
    document,
    double,
    fields_of,
    old_binary,
    pointer,
    raw,
    raw_document,
    regex,
    symbol,
    value,
)
from pymongo import InsertOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

IDS: list[Any] = [
    MinKey(), MaxKey(), None, True, False,
    0, 1, -1, 2**31 - 1, Int64(2**62), Int64(-(2**62)), 1.5, -1.5, 1e300, -1e300, float("inf"), float("-inf"), float("nan"),
    Decimal128("0.1"), Decimal128("1E+100"), Decimal128("-1E+6000"), 5e-324, Int64(2**53 + 1),
    "", "a", "A", "ä", "\U0001f600", "NaN", "a\x00b", "x" * 900,
    {}, SON(a=1), SON(a=1.5), SON(b=1, a=2), SON(a=2, b=1), SON(a=SON(b=[1, 2])), SON(a=[]),
    Binary(b""), Binary(b"abc"), Binary(b"abc", 5), Binary(bytes(16), 4), Binary(bytes(16), 3), Binary(b"x", 128),
    ObjectId("000000000000000000000000"), ObjectId("ffffffffffffffffffffffff"),
    datetime.datetime(1, 1, 1), datetime.datetime(1970, 1, 1), datetime.datetime(2999, 12, 31, 23, 59, 59),
    Timestamp(1, 1), Timestamp(2**32 - 1, 2**32 - 1), Code("f()"), Code("g()", {}), Code("g()", {"x": 1}),
    DBRef("c", 1), SON(x=MinKey()), SON(x=float("nan")), Timestamp(0, 7),
]  # fmt: skip

VALUES: list[Any] = [*IDS, Regex("^a", "im"), Regex(""), [], [[], [[]]], [1, [2, [3, {"x": [4]}]]], Timestamp(0, 0)]


# What drivers would not write, and servers accept.
ODD_DOCUMENTS = [
    raw_document(fields_of({"_id": 900001, "": 1})),
    raw_document(fields_of({"_id": 900002, "a": 1}), fields_of({"a": 2})),
    raw_document(fields_of({"_id": 900003, "$set": 1})),
    raw_document(fields_of({"_id": 900004, "a.b": 1, "0": 2, "a.0.b": 3})),
]

NOT_A_NUMBER = double(0x7FF8000000000BAD)
DECIMALS = ("1.00", "1.0E+1", "-0", "0E+3", "NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1E-6176")
RARE_VALUES: list[Value] = [
    NOT_A_NUMBER, double(0xFFF8000000000000), double(0x7FF0000000000001), value(-0.0), *map(decimal, DECIMALS),
    Value(DECIMAL, b"\5" + bytes(14) + b"\x7c"),  # NaN, -Infinity and 0 with other bits than usual
    Value(DECIMAL, b"\5" + bytes(14) + b"\xf8"), Value(DECIMAL, bytes(15) + b"\x60"),
    old_binary(b"old"), old_binary(b""), binary(2, b""), binary(2, b"no length inside"),
    binary(4, b"too short"), binary(9, b"unknown"), binary(0x80, b"own"), binary(0xFF, b""),
    date(-62135596800001), date(253402300800000), date(2**63 - 1), date(-(2**63)),
    symbol("s"), pointer("c", 1), code("f()", document()),
    code("g()", document(NOT_A_NUMBER.element("x"), symbol("s").element("y"))),
    Value(TEXT, b"\3\0\0\0\xff\xc0\0"), Value(UNDEFINED), regex("a", "xi"),
    Value(ARRAY, document(fields_of({"9": 1, "name": 2}))),
]  # fmt: skip
NEVER_AN_ID = (UNDEFINED, REGEX, ARRAY)


@both_modes
def test_all_ids_and_values_are_copied_and_followed(pair, plm):
    source = pair.source.admin

    def insert(collection: str) -> None:
        for value in IDS:
            source.types[collection].replace_one({"_id": value}, {"v": 1, "w": [value]}, upsert=True)
        for number, value in enumerate(VALUES):
            source.types[collection].insert_one({"_id": f"value {number}", "sub": {"v": value, "list": [value]}, "v": value})
        for document in ODD_DOCUMENTS:
            source.types[collection].insert_one(document)

    insert("copied")
    plm.run()
    plm.start()
    plm.wait_synced()
    assert differences(pair.source, pair.target) == []
    insert("followed")
    for collection in ("copied", "followed"):
        for turn, value in enumerate(IDS):
            change = [{"$set": {"w": [turn, value], "new": value}}, {"$unset": {"v": 1}}, {"$push": {"w": value}}][turn % 3]
            source.types[collection].update_one({"_id": value}, change)
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []
    for value in IDS[::2]:
        source.types.copied.delete_one({"_id": value})
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_ids_of_every_type_are_split_into_ranges(pair, plm):
    """Ranges over types: nothing is left out at a border, however the ranges fall."""
    source, chance = pair.source.admin.types.ids, random.Random(3)
    makers = [
        lambda n: n, lambda n: Int64(n * 3 + (1 << 33)), lambda n: n + 0.25, lambda n: Decimal128(f"{n}.125"), lambda n: f"s{n}",
        lambda n: SON(k=n, l=str(n)), lambda n: Binary(n.to_bytes(8, "big")), lambda n: ObjectId(f"{n:024x}"),
        lambda n: datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=n), lambda n: Timestamp(n + 1, n),
    ]  # fmt: skip
    documents = [{"_id": makers[n % len(makers)](n), "filler": "x" * chance.randrange(400)} for n in range(6000)]
    documents += [{"_id": value} for value in (MinKey(), MaxKey(), None, float("nan"), True, False)]
    chance.shuffle(documents)
    source.insert_many(documents)
    plm.run()
    plm.start(cloneSegmentSize="50KB", cloneReadBatchSize="20KB", cloneNumReadWorkers=4)
    plm.wait_synced()
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_updates_of_every_kind(pair, plm):
    """Paths that change their type, arrays cut, sliced and sorted, numeric field names, dots and dollars."""
    source = pair.source.admin.a.b
    fresh = {"a": {"b": {"c": 1, "0": "zero"}, "list": [{"x": n, "y": [n, n]} for n in range(20)]}, "n": 1, "z": 1, "s": "text"}
    source.insert_many([{"_id": n, **fresh} for n in range(60)])
    plm.run()
    plm.start()
    plm.wait_synced()
    changes: list[Any] = [
        {"$set": {"a.b.c": 2}}, {"$set": {"a.b.0": "changed"}}, {"$set": {"a.list.3.x": "new", "a.list.25": "far"}},
        {"$unset": {"a.b": 1}}, {"$set": {"a": 5}}, {"$set": {"a": None}}, {"$set": {"y": 1, "b": 2, "m": {"q": 1}}},
        {"$push": {"a.list": {"$each": [1, 2], "$slice": -3}}}, {"$push": {"a.list": {"$each": [{"x": 5}], "$position": 0}}},
        {"$pop": {"a.list": -1}}, {"$pull": {"a.list": {"x": {"$gt": 4}}}}, {"$set": {"a.list": []}},
        {"$push": {"a.list": {"$each": [], "$sort": {"x": -1}}}}, {"$inc": {"n": 1.5}}, {"$mul": {"n": Int64(7)}},
        {"$rename": {"n": "a.n"}}, {"$rename": {"a.b": "z"}}, {"$bit": {"z": {"xor": 5}}}, {"$currentDate": {"when": True}},
        {"$set": {"a.list.$[e].y": "matched"}}, {"$set": {"a.list.4.y.1": [1, {"k": 2}]}}, {"$addToSet": {"tags": "a"}},
        [{"$set": {"list": {"$slice": ["$a.list", 2]}, "a": "$$REMOVE"}}], [{"$replaceWith": {"_id": "$_id", "only": "$s"}}],
        [{"$set": {"a.list": {"$reverseArray": "$a.list"}}}], [{"$set": {"dotted": {"$setField": {"field": "x.y", "input": {}, "value": 1}}}}],
        [{"$replaceWith": {"$setField": {"field": "top.dotted", "input": "$$ROOT", "value": 1}}}],
        [{"$replaceWith": {"$setField": {"field": {"$literal": "$dollar"}, "input": "$$ROOT", "value": [1]}}}],
        [{"$set": {"a.list": {"$map": {"input": {"$range": [0, 3000]}, "in": {"v": "$$this"}}}}}],
        [{"$set": {"a.list": {"$slice": ["$a.list", 1]}}}],
    ]  # fmt: skip
    for number, change in enumerate(changes):  # each alone, on a document of its own
        filters = [{"e.x": {"$lt": 3}}] if "$[e]" in str(change) else None
        source.update_one({"_id": number}, change, array_filters=filters)
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []
    chance = random.Random(11)
    for _ in range(1500):  # and all of them, one after the other, on the same ones
        change = chance.choice(changes)
        filters = [{"e.x": {"$lt": 3}}] if "$[e]" in str(change) else None
        try:
            source.update_one({"_id": 40 + chance.randrange(20)}, change, array_filters=filters)
        except Exception:  # a path that does not fit the document any more: no change
            source.replace_one({"_id": 40 + chance.randrange(20)}, fresh)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_steady_load_during_the_whole_job(pair, plm, seed):
    client = pair.source.admin
    fill(client, "a", "b", 3000)
    plm.run()
    with Writer(client, "a", "b", seed=seed, rate=500), Writer(client, "a", "c", seed=seed + 10, rate=300):
        with slow_command(pair.target, "insert", 50):
            plm.start(**SMALL_STEPS)
            plm.wait_for("half of the copy", lambda s: s["initialSync"]["clonedSizeBytes"] > 300_000)
        plm.wait_synced()
        read = plm.status()["eventsRead"]
        plm.wait_for("more load", lambda s: s["eventsRead"] > read + 300)
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_the_field_order_of_documents_is_kept(pair, plm):
    source = pair.source.admin.a.b
    source.insert_one(SON([("_id", 1), ("z", 1), ("a", 1), ("m", SON([("z", 1), ("a", 1)]))]))
    plm.run()
    plm.start()
    plm.wait_synced()
    source.update_one({"_id": 1}, {"$set": SON([("y", 1), ("b", 1), ("m.x", 1), ("m.b", 1), ("x.z", 1), ("x.a", 1)])})
    source.update_one({"_id": 1}, {"$unset": {"a": 1, "m.z": 1}})
    source.update_one({"_id": 1}, {"$set": {"a": 2, "m.z": 2}})
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []


# -- values that drivers do not write ----------------------------------------------------------------------------------
def array(*values: Value) -> Value:
    return Value(ARRAY, document(*[one.element(str(place)) for place, one in enumerate(values)]))


def everywhere(one: Value) -> list[bytes]:
    """Fields that hold it at every depth."""
    inner = Value(OBJECT, document(one.element("v"), value(1).element("n")))
    fields = {"v": one, "list": array(one, array(one), inner), "sub": inner.inside("deep"), "in": inner}
    return [field.element(name) for name, field in fields.items()]


def operators(**operands: list[bytes]) -> Value:
    """An update: by the name of an operator the fields that it takes."""
    elements = [Value(OBJECT, document(*fields)).element(f"${name}") for name, fields in operands.items()]
    return Value(OBJECT, document(*elements))


def pipeline(one: Value) -> Value:
    literal = one.inside("$literal")
    added = array(value("$list"), array(literal)).inside("$concatArrays")
    return array(operators(set=[literal.element("v"), literal.element("sub.more"), added.element("list")]))


PATHS = ("v", "sub.deep.v", "list.0", "list.2.v", "new", "sub.new.v")
CHANGES: list[Callable[[Value], Value]] = [
    lambda one: operators(set=[one.element(path) for path in PATHS]),
    lambda one: operators(push=[one.element("pushed"), one.element("list.1")], unset=[value("").element("v")]),
    lambda one: operators(set=[value(2).element(path) for path in ("in.n", "sub.deep.n", "list.2.n")]),  # beside it
    lambda one: operators(unset=[value("").element("in.v")], rename=[value("moved").element("v")]),
    pipeline,
    lambda one: array(Value(OBJECT, document(*everywhere(one))).inside("$literal").inside("$replaceWith")),
    lambda one: Value(OBJECT, document(*everywhere(one))),
]


def update(collection: Collection, *changes: tuple[Value, Value]) -> None:
    """Pairs of an _id and an update, as the driver would not send them."""
    pairs = [(key.inside("$eq").inside("_id"), change) for key, change in changes]
    statements = [raw_document(query.element("q"), change.element("u")) for query, change in pairs]
    answer = collection.database.command("update", collection.name, updates=statements, ordered=False)
    assert "writeErrors" not in answer, answer["writeErrors"]
    assert answer["n"] == len(changes)


@both_modes
def test_values_that_drivers_do_not_write_arrive_byte_for_byte(pair, plm):
    source = pair.source.admin.rare
    every = [(number, way) for number in range(len(RARE_VALUES)) for way in CHANGES]
    fields = [everywhere(RARE_VALUES[number]) for number, _ in every]
    inserted = [raw_document(value(key).element("_id"), *fields[key]) for key in range(len(every))]

    def change(collection: Collection, turn: int) -> None:
        """Each value in each way, to another one."""
        update(collection, *((value(key), way(RARE_VALUES[n - turn])) for key, (n, way) in enumerate(every)))

    source.copied.insert_many(inserted)
    assert list(documents(pair.source.admin, "rare", "copied")) == [one.raw for one in inserted]
    plm.run()
    plm.start()
    plm.wait_synced()
    assert differences(pair.source, pair.target) == []
    source.followed.insert_many(inserted)
    for turn in (1, 2):
        for name in ("copied", "followed"):
            change(source[name], turn)
        plm.wait_applied(pair.source.cluster_time())
        assert differences(pair.source, pair.target) == []
    source.copied.delete_many({"_id": {"$mod": [3, 0]}})
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_keys_that_drivers_do_not_write_arrive_byte_for_byte(pair, plm):
    """Equal ones, such as all that are no number, each in a collection of its own."""
    source = pair.source.admin.rare
    keys = [one for one in RARE_VALUES if one.kind not in NEVER_AN_ID] + [one.inside() for one in RARE_VALUES]
    where: dict[Value, str] = {}

    def insert(stage: str) -> None:
        names = [f"{stage} {number}" for number in range(len(keys))]
        for key in keys:
            where[key] = next(name for name in names if takes(source[name], key))

    def takes(collection: Collection, key: Value) -> bool:
        try:
            return collection.insert_one(key.full(n=0, list=[1])).acknowledged
        except DuplicateKeyError:
            return False

    def change() -> None:
        for number, key in enumerate(keys):
            collection = raw(source[where[key]])
            if number % 4 == 0:
                update(collection, (key, operators(set=[key.element("v"), value(1).element("list.0")])))
            elif number % 4 == 1:
                update(collection, (key, Value(OBJECT, document(key.element("_id"), *everywhere(key)))))
            else:
                assert collection.delete_one(key.query()).deleted_count == 1
            if number % 4 == 2:
                collection.insert_one(key.full(again=number))

    insert("copied")
    plm.run()
    plm.start()
    plm.wait_synced()
    assert differences(pair.source, pair.target) == []
    change()
    insert("followed")
    change()
    plm.wait_applied(pair.source.cluster_time())
    assert plm.status()["parked"]["count"] == 0
    plm.finish()
    assert differences(pair.source, pair.target) == []


# Of one number, as a key.
FORMS: list[list[Value]] = [
    [value(0), value(-0.0), decimal("-0"), decimal("0E+3"), value(Int64(0)), Value(DECIMAL, bytes(15) + b"\x60")],
    [decimal("1.00"), value(1), decimal("1.0"), value(1.0), decimal("1"), value(Int64(1))],
    [decimal("1.0E+1"), value(10), decimal("10"), decimal("1E+1")],
    [NOT_A_NUMBER, decimal("-NaN"), double(0xFFF8000000000000), decimal("NaN"), double(0x7FF8000000000000)],
    [decimal("Infinity"), value(float("inf")), Value(DECIMAL, b"\5" + bytes(14) + b"\x78")],
]


@both_modes
def test_a_key_takes_other_forms(pair, plm):
    """By a replacement, and by deletion and insertion; the bytes are those of the last."""
    source = raw(pair.source.admin.rare.forms)
    forms = FORMS + [[one.inside() for one in form] for form in FORMS]
    source.insert_many([form[0].full(n=0) for form in forms])
    plm.run()
    plm.start(replNumWorkers=8)
    plm.wait_synced()
    for turn in range(1, 13):
        for number, form in enumerate(forms):
            before, after = form[(turn - 1) % len(form)], form[turn % len(form)]
            if (turn + number) % 2:
                update(source, (before, Value(OBJECT, document(after.element("_id"), value(turn).element("n")))))
            else:
                assert source.delete_one(before.query()).deleted_count == 1
                source.insert_one(after.full(n=turn))
        stored = b"".join(documents(pair.source.admin, "rare", "forms"))
        assert all(form[turn % len(form)].element("_id") in stored for form in forms)
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- transactions ------------------------------------------------------------------------------------------------------
def in_transaction(client, body) -> None:
    with client.start_session() as session:
        session.with_transaction(lambda s: body(s))


@both_modes
def test_transactions_arrive_whole(pair, plm):
    client = pair.source.admin
    for name in ("a", "b"):
        client.t[name].insert_many([{"_id": n, "v": 0} for n in range(50)])
    plm.run()
    plm.start()
    plm.wait_synced()

    def body(session) -> None:
        client.t.a.update_many({}, {"$inc": {"v": 1}}, session=session)
        client.t.b.delete_many({"_id": {"$lt": 10}}, session=session)
        client.t.b.insert_many([{"_id": f"new {n}"} for n in range(5)], session=session)
        client.t.new.insert_one({"_id": "created inside"}, session=session)
        client.t.b.update_one({"_id": "new 1"}, {"$set": {"x": 1}}, session=session)

    in_transaction(client, body)
    with client.start_session() as session:  # one that never was
        session.start_transaction()
        client.t.a.insert_one({"_id": "aborted"}, session=session)
        session.abort_transaction()
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []


@both_modes
def test_transactions_that_are_open_across_the_start_and_the_finalize(pair, plm):
    """What is written before the start and committed behind it is in neither the copy nor the stream of a tool that
    takes the present time for the start."""
    client = pair.source.admin
    client.t.a.insert_many([{"_id": n, "v": 0} for n in range(50)])
    with client.start_session() as early, client.start_session() as late:
        early.start_transaction()
        client.t.a.insert_one({"_id": "before the start"}, session=early)
        client.t.a.update_one({"_id": 1}, {"$set": {"v": 1}}, session=early)
        client.t.a.delete_one({"_id": 2}, session=early)
        plm.run()
        plm.start()
        plm.wait_synced()
        assert pair.target.admin.t.a.count_documents({}) == 50
        client.t.a.update_one({"_id": 3}, {"$set": {"v": 1}}, session=early)
        early.commit_transaction()
        plm.wait_applied(pair.source.cluster_time())
        assert differences(pair.source, pair.target, synchronising=True) == []
        late.start_transaction()
        client.t.a.insert_one({"_id": "never"}, session=late)
        client.t.a.insert_one({"_id": "last"})
        plm.finish()
        late.abort_transaction()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_a_transaction_larger_than_16_mb(pair, plm):
    """It spans several oplog entries, all of one cluster time; what is reported as replicated never runs ahead of it."""
    client = pair.source.admin
    client.t.create_collection("large")
    plm.run()
    plm.start()
    plm.wait_synced()

    in_transaction(client, lambda session: insert_20_mb(client, session))
    plm.wait_applied(pair.source.cluster_time())
    assert pair.target.admin.t.large.count_documents({}) == 4000
    plm.finish()
    assert differences(pair.source, pair.target) == []


def test_a_kill_in_the_middle_of_a_large_transaction(pair, plm):
    client = pair.source.admin
    client.t.create_collection("large")
    plm.run()
    plm.start(replBulkOpsSize=100)
    plm.wait_synced()

    before = plm.status()["eventsApplied"]
    in_transaction(client, lambda session: insert_20_mb(client, session))
    plm.wait_for("some of it", lambda status: status["eventsApplied"] > before)
    plm.kill9()
    plm.run()
    plm.wait_applied(pair.source.cluster_time())
    plm.finish()
    assert differences(pair.source, pair.target) == []


# -- sizes -------------------------------------------------------------------------------------------------------------
@both_modes
def test_documents_of_16_mb_are_copied_and_followed(pair, plm):
    source = pair.source.admin.large
    largest = 16 * 1024 * 1024 - len(bson.encode({"_id": 1, "filler": ""}))
    source.copied.insert_one({"_id": 1, "filler": "x" * largest})
    plm.run()
    plm.start()
    plm.wait_synced()
    source.followed.insert_one({"_id": 1, "filler": "y" * (largest - 1000)})
    source.followed.update_one({"_id": 1}, {"$set": {"n": 1}})
    source.copied.replace_one({"_id": 1}, {"filler": "z" * (largest - 1000)})
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []


@both_modes
def test_thousands_of_element_updates_in_one_statement(pair, plm):
    source = pair.source.admin.a.b
    source.insert_one({"_id": 1, "list": [{"v": n, "w": [n]} for n in range(20000)]})
    plm.run()
    plm.start()
    plm.wait_synced()
    source.update_one({"_id": 1}, {"$inc": {"list.$[e].v": 1}}, array_filters=[{"e.v": {"$mod": [3, 0]}}])
    source.update_one({"_id": 1}, [{"$set": {"list": {"$slice": ["$list", 15000]}}}])
    plm.wait_applied(pair.source.cluster_time())
    assert differences(pair.source, pair.target) == []


def test_equal_keys_of_other_types_are_one_document(pair, plm):
    """1, 1.0 and NumberLong(1) are the same _id: what follows each other must stay in order."""
    source = pair.source.admin.a.b
    source.insert_one({"_id": 0})
    plm.run()
    plm.start(replNumWorkers=8)
    plm.wait_synced()
    forms = [1, 1.0, Int64(1), Decimal128("1.00")]
    for turn in range(200):
        source.bulk_write([InsertOne({"_id": forms[turn % 4], "turn": turn}), InsertOne({"_id": {"k": forms[turn % 4]}, "turn": turn})])
        if turn < 199:
            source.delete_one({"_id": forms[(turn + 1) % 4]})
            source.delete_one({"_id": {"k": forms[(turn + 1) % 4]}})
    plm.finish()
    assert differences(pair.source, pair.target) == []


@both_modes
def test_a_collection_with_a_collation_keeps_its_order(pair, plm):
    """"a" and "A" are one key there."""
    source = pair.source.admin.a
    source.create_collection("b", collation={"locale": "en", "strength": 2})
    source.b.insert_many([{"_id": f"name {n}"} for n in range(300)])
    plm.run()
    plm.start(replNumWorkers=8)
    plm.wait_synced()
    for turn in range(100):
        source.b.delete_one({"_id": f"NAME {turn}"})
        source.b.insert_one({"_id": f"Name {turn}", "turn": turn})
        source.b.update_one({"_id": f"nAME {turn}"}, {"$set": {"x": turn}})
    plm.finish()
    assert differences(pair.source, pair.target) == []


class CollatedWriter(Writer):
    """Writes keys, and values of a unique index, in upper and lower case, which are one there."""

    def _any_case(self, word: str) -> str:
        return "".join(self.random.choice((str.upper, str.lower))(letter) for letter in word)

    def _id(self) -> Any:
        key = super()._id()
        return self._any_case(key) if isinstance(key, str) else key

    def _any_name(self) -> str:
        return self._any_case(f"name-{self.random.randrange(KEYS)}")

    def _put(self, session: ClientSession | None = None) -> None:
        """In the place of who has the key, and of who has the name."""
        key, name = self._id(), self._any_name()
        self.collection.delete_many({"$or": [{"_id": key}, {"name": name}]}, session=session)
        self.collection.insert_one({**self._document(key), "name": name}, session=session)

    def _insert(self) -> None:
        self._put()

    def _push(self) -> None:
        """A name goes to another document, in another case."""
        name = self._any_name()
        self.collection.update_one({"name": name}, {"$unset": {"name": 1}})
        self.collection.update_one({"_id": self._id()}, {"$set": {"name": self._any_case(name)}})

    def _transaction(self) -> None:
        with self.client.start_session() as session:
            session.with_transaction(lambda session: [self._put(session) for _ in range(3)])


@both_modes
def test_kills_while_a_collection_with_a_collation_is_written(pair, plm):
    client = pair.source.admin
    client.a.create_collection("b", collation={"locale": "en", "strength": 2})
    client.a.b.insert_many([{"_id": f"Key-{n}", "name": f"Name-{n}", "filler": "x" * 800} for n in range(KEYS)])
    client.a.b.create_index("name", unique=True, sparse=True)
    plm.run()
    with CollatedWriter(client, "a", "b", rate=200) as writer:

        def more_writes() -> None:
            before = sum(writer.writes.values())
            wait_until(lambda: writer.error is not None or sum(writer.writes.values()) > before + 50, 60)

        with slow_command(pair.target, "insert", 1500):
            plm.start(**SMALL_STEPS)
            plm.wait_for("the middle of the copy", copying)
            more_writes()
            assert not plm.status()["initialSync"]["cloneCompleted"]
            plm.kill9()
            more_writes()
            plm.run()
        plm.wait_synced()
        for _ in range(2):
            more_writes()
            plm.kill9()
            more_writes()
            plm.run()
            plm.wait_applied(pair.source.cluster_time())
    status = plm.finish()
    assert status["parked"]["count"] == 0 and status["finalization"]["unsuccessfulIndexes"] == []
    assert differences(pair.source, pair.target) == []
