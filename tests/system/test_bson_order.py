"""Our order of BSON values is the server's: thousands of random values of every type, sorted by both."""

from __future__ import annotations

import decimal
import math
import os
import random
import struct
import subprocess
from pathlib import Path

import bson
import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128, create_decimal128_context
from bson.raw_bson import RawBSONDocument
from lab.servers import ROOT
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

COUNT = 6000

# Type bytes of BSON.
DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
BOOL, DATE, NULL, REGEX, DB_POINTER, CODE, SYMBOL, CODE_WITH_SCOPE = 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
INT32, TIMESTAMP, INT64, DECIMAL, MIN_KEY, MAX_KEY = 0x10, 0x11, 0x12, 0x13, 0xFF, 0x7F

INTEGERS = [0, 1, -1, 2**31, -(2**31), 2**53, -(2**53), 2**63 - 1, -(2**63)]
DOUBLES = [0.0, -0.0, 1.0, 0.1, -0.1, 0.5, 1e22, 1e23, 2.0**31, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 5e-324]
DOUBLES += [2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf, math.nan]
DECIMALS = ["NaN", "Infinity", "-Infinity", "-0", "0E+6000", "1E-6176", "9.9E+6144", "0.1", "1.00", "1E+2"]

Value = tuple[int, bytes]  # type byte and payload


def text_payload(text: bytes) -> bytes:
    return struct.pack("<i", len(text) + 1) + text + b"\0"


def document_of(elements: list[tuple[bytes, Value]]) -> bytes:
    body = b"".join(bytes([kind]) + name + b"\0" + payload for name, (kind, payload) in elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


class RandomValues:
    """Many of them are equal or nearly so; made byte by byte, for drivers refuse the rarer ones.

    Sorting without an index, a server does not look at the names of collections in DBPointers, and stumbles over
    several fields of one name in a document. `unusual=False` leaves these two out.
    """

    def __init__(self, seed: int, *, unusual: bool) -> None:
        self.random = random.Random(seed)
        self.unusual = unusual

    def text(self) -> bytes:
        length = self.random.choice([0, 1, 1, 2, 2, 3, 300])
        return bytes(self.random.choices(b"ab\0\x01\x7f\xffA", k=length))

    def name(self) -> bytes:
        return self.text().replace(b"\0", b"")

    def object_id(self) -> bytes:
        return b"\x05" * 11 + self.random.randbytes(1)

    def integer(self) -> int:
        if self.random.random() < 0.2:
            return self.random.randrange(-(2**63), 2**63)
        near = self.random.choice(INTEGERS) + self.random.randint(-2, 2)
        return min(max(near, -(2**63)), 2**63 - 1)

    def double(self) -> float:
        kind = self.random.randrange(4)
        if kind == 0:
            return struct.unpack("<d", self.random.randbytes(8))[0]
        if kind == 1:
            return float(self.random.randint(-2, 2))
        base = self.random.choice(DOUBLES)
        return self.random.choice([base, math.nextafter(base, math.inf), math.nextafter(base, -math.inf)])

    def decimal(self) -> bytes:
        """Beside a number of another type, written in one of many ways; sometimes any bits at all."""
        context = create_decimal128_context()
        kind = self.random.randrange(6)
        if kind == 0:
            return self.random.randbytes(16)
        if kind == 1:
            number = decimal.Decimal(self.integer())
        elif kind == 2:
            number = decimal.Decimal(f"{self.integer()}.{'0' * self.random.randint(1, 8)}")
        elif kind == 3:
            number = decimal.Decimal(f"{self.random.randint(-15, 15)}E{self.random.randint(-30, 30)}")
        elif kind == 4:
            number = decimal.Decimal(self.random.choice(DECIMALS))
        else:  # the 34 digits that begin a double, or the next decimal above
            context.rounding = self.random.choice([decimal.ROUND_FLOOR, decimal.ROUND_CEILING])
            number = decimal.Decimal(self.double())
        with decimal.localcontext(context):
            return Decimal128(context.create_decimal(number)).bid

    def number(self) -> Value:
        kind = self.random.choice([INT32, INT64, DOUBLE, DECIMAL])
        if kind == INT32:
            return kind, struct.pack("<i", min(max(self.integer(), -(2**31)), 2**31 - 1))
        if kind == INT64:
            return kind, struct.pack("<q", self.integer())
        return kind, struct.pack("<d", self.double()) if kind == DOUBLE else self.decimal()

    def binary(self) -> bytes:
        data = self.text()
        return struct.pack("<iB", len(data), self.random.choice([0, 5, 128])) + data

    def document(self, depth: int) -> bytes:
        names = [self.name() for _ in range(self.random.randrange(4))]
        if not self.unusual:
            names = list(dict.fromkeys(names))
        return document_of([(name, self.value(depth + 1)) for name in names])

    def array(self, depth: int) -> bytes:
        values = [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        return document_of([(str(i).encode(), value) for i, value in enumerate(values)])

    def code_with_scope(self, depth: int) -> bytes:
        content = text_payload(self.text()) + self.document(depth + 1)
        return struct.pack("<i", len(content) + 4) + content

    def value(self, depth: int = 0) -> Value:
        makers = [
            (MIN_KEY, lambda: b""),
            (MAX_KEY, lambda: b""),
            (UNDEFINED, lambda: b""),
            (NULL, lambda: b""),
            (STRING, lambda: text_payload(self.text())),
            (SYMBOL, lambda: text_payload(self.text())),
            (CODE, lambda: text_payload(self.text())),
            (BINARY, self.binary),
            (OBJECT_ID, self.object_id),
            (BOOL, lambda: self.random.choice([b"\0", b"\1"])),
            (DATE, lambda: struct.pack("<q", self.integer())),
            # a server replaces Timestamp(0, 0) at the top level
            (TIMESTAMP, lambda: struct.pack("<Q", self.integer() % 2**64 or 1)),
            (REGEX, lambda: self.name() + b"\0" + self.name() + b"\0"),
        ]
        if self.unusual:
            makers.append((DB_POINTER, lambda: text_payload(self.name()) + self.object_id()))
        if depth < 4:
            makers.append((CODE_WITH_SCOPE, lambda: self.code_with_scope(depth)))
            makers += 2 * [(DOCUMENT, lambda: self.document(depth))]
        if 0 < depth < 4:  # a server sorts a field that holds an array by one of its elements
            makers += 2 * [(ARRAY, lambda: self.array(depth))]
        if self.random.random() < 0.4:
            return self.number()
        kind, make = self.random.choice(makers)
        return kind, make()


def random_documents(*, unusual: bool) -> list[RawBSONDocument]:
    """{_id: its number, v: value}"""
    seed = int(os.environ.get("PLM_SEED") or random.randrange(2**32))
    print(f"seed: PLM_SEED={seed}")
    values = RandomValues(seed, unusual=unusual)
    elements = [[(b"_id", (INT32, struct.pack("<i", i))), (b"v", values.value())] for i in range(COUNT)]
    return [RawBSONDocument(document_of(fields)) for fields in elements]


def sorted_by_plm(documents: list[RawBSONDocument]) -> list[dict]:
    """What plm_order_probe makes of them: {_id, rank} in its order."""
    probe = Path(os.environ.get("PLM_ORDER_PROBE", ROOT / "build/release/tests/order_probe/plm_order_probe"))
    assert probe.exists(), f"{probe} is missing: cmake --preset release && cmake --build --preset release"
    done = subprocess.run([probe], input=b"".join(d.raw for d in documents), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return bson.decode_all(done.stdout)


def sorted_by_server(collection: Collection, hint: list[tuple[str, int]]) -> list[int]:
    found = collection.find({}, {"_id": 1}).sort([("v", 1), ("_id", 1)]).hint(hint)
    return [document["_id"] for document in found]


def assert_same_order(theirs: list[int], ours: list[dict], documents: list[RawBSONDocument]) -> None:
    mine = [document["_id"] for document in ours]
    assert sorted(theirs) == sorted(mine) == list(range(len(documents)))
    for place, (their, my) in enumerate(zip(theirs, mine, strict=True)):
        assert their == my, (
            f"at place {place} the server has {documents[their].raw.hex()}, plm has {documents[my].raw.hex()}"
        )


def test_an_index_orders_values_as_plm_does(pair):
    """Indexes decide which documents lie within the bounds of a range."""
    documents = random_documents(unusual=True)
    collection = pair.source.admin.test_bson_order.with_index
    collection.insert_many(documents)
    index = [("v", 1), ("_id", 1)]
    collection.create_index(index)
    assert_same_order(sorted_by_server(collection, index), sorted_by_plm(documents), documents)


def test_a_sort_without_index_orders_values_as_plm_does(pair):
    documents = random_documents(unusual=False)
    collection = pair.source.admin.test_bson_order.without_index
    collection.insert_many(documents)
    assert_same_order(sorted_by_server(collection, [("$natural", 1)]), sorted_by_plm(documents), documents)


def test_a_unique_index_takes_the_same_values_for_equal(pair):
    documents = random_documents(unusual=True)
    # dates in the server's error messages may lie beyond Python's
    options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
    collection = pair.source.admin.test_bson_order.get_collection("unique", codec_options=options)
    collection.create_index("v", unique=True)
    with pytest.raises(BulkWriteError) as raised:
        collection.insert_many(documents, ordered=False)
    assert {error["code"] for error in raised.value.details["writeErrors"]} == {11000}
    first_of_rank: dict[int, int] = {}
    for document in sorted_by_plm(documents):
        first_of_rank.setdefault(document["rank"], document["_id"])
    assert {document["_id"] for document in collection.find({}, {"_id": 1})} == set(first_of_rank.values())
