"""Random documents: every BSON type, odd field names, keys of every type.

Names and keys come from small sets, so that writers meet: a path that one update set is renamed, pushed to or removed by
the next, and a document that was deleted comes back under a key of another numeric type.
"""

from __future__ import annotations

import datetime
import random
import struct
from typing import Any

import bson
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.raw_bson import RawBSONDocument

from .schedule import raw

NAMES = ("a", "b", "c", "n", "arr", "sub", "s")
ODD_NAMES = ("", "a.b", "$x", "0", "1", "sub.x", "$a.$b", "ü", "a b", ".")
INNER_NAMES = ("x", "y", "z", "n")
INTEGER_IDS = 40

_DAY = datetime.datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=datetime.timezone.utc)
_SCALARS: tuple[Any, ...] = (
    0, 1, -1, 7, 2**31 - 1, Int64(0), Int64(1), Int64(2**53 + 1), Int64(-(2**63)),
    0.0, -0.0, 1.0, 0.1, -1.5, 1e300, float("inf"), float("-inf"), float("nan"),
    Decimal128("1"), Decimal128("1.00"), Decimal128("-0"), Decimal128("NaN"), Decimal128("-Infinity"), Decimal128("1E-6176"),
    "", "text", "ü€\u0000nul", "NaN", "x" * 100, True, False, None,
    ObjectId("0123456789abcdef01234567"), _DAY, datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc),
    Binary(b"", 0), Binary(b"\x00\x01", 0), Binary(b"0123456789abcdef", 4), Binary(b"md5", 5), Binary(b"own", 0x80), Binary(b"\x04\x00\x00\x00old!", 2),
    Regex("^a.*", "im"), Regex("", ""), Code("return 1"), Code("f", {"x": 1}), Timestamp(1, 1), Timestamp(2**32 - 1, 0),
    MinKey(), MaxKey(),
)  # fmt: skip
_PLAIN_SCALARS: tuple[Any, ...] = (0, 1, 2, 3, 7, 100, -1, 1.5, 2.5, "text", "other", "", True, None, _DAY)

# _ids that are equal although their types differ, neighbours of the ends, values that text search gets wrong.
_IDS: tuple[Any, ...] = (
    1, 1.0, Int64(1), Decimal128("1.00"), 2, 2.0, 2.5, -0.0, 0, float("nan"), Decimal128("NaN"), float("inf"), Int64(2**62),
    "", "1", "a", "A", "NaN", "x" * 200, None, True, False, MinKey(), MaxKey(),
    {}, {"a": 1}, {"a": 1.0}, {"a": Int64(1)}, {"b": 1, "a": 2}, {"a": {"b": Decimal128("1")}},
    ObjectId("0123456789abcdef01234567"), ObjectId("ffffffffffffffffffffffff"), _DAY,
    Binary(b"", 0), Binary(b"abc", 0), Binary(b"0123456789abcdef", 4), Timestamp(3, 4), Code("c"),
)  # fmt: skip


class Values:
    """Random values with these features."""

    def __init__(self, rng: random.Random, features: frozenset[str]) -> None:
        self.rng = rng
        self.features = features

    # -- keys ----------------------------------------------------------------------------------------------------------
    def key(self) -> Any:
        if "mixed-ids" in self.features and self.rng.random() < 0.5:
            return self.rng.choice(_IDS)
        return self.rng.randrange(INTEGER_IDS)

    # -- values --------------------------------------------------------------------------------------------------------
    def scalar(self) -> Any:
        return self.rng.choice(_SCALARS if "types" in self.features else _PLAIN_SCALARS)

    def number(self) -> Any:
        return self.rng.choice((1, 2, -3, 10, Int64(5), 0.5, 1.0, Decimal128("2.5")))

    def value(self, depth: int = 2) -> Any:
        choice = self.rng.random()
        if depth == 0 or choice < 0.55:
            return self.scalar()
        if choice < 0.8:
            return self.array(depth - 1)
        return self.subdocument(depth - 1)

    def array(self, depth: int = 1) -> list[Any]:
        """Of numbers, of documents, or of anything: what arrayFilters, $pull and $sort work on."""
        length = self.rng.choice((0, 1, 2, 3, 5, 8, 12))
        if "large" in self.features and self.rng.random() < 0.05:
            length = self.rng.choice((300, 3000))
            return list(range(length))
        kind = self.rng.randrange(3)
        if kind == 0:
            return [self.rng.randrange(10) for _ in range(length)]
        if kind == 1:
            return [{"x": self.rng.randrange(5), "y": self.scalar()} for _ in range(length)]
        return [self.value(depth) for _ in range(length)]

    def subdocument(self, depth: int = 1) -> dict[str, Any]:
        names = INNER_NAMES + (ODD_NAMES if "odd-names" in self.features else ())
        return {name: self.value(depth) for name in self.rng.sample(names, self.rng.randrange(0, 5))}

    # -- documents -----------------------------------------------------------------------------------------------------
    def fields(self) -> dict[str, Any]:
        """A document without its _id."""
        names = list(self.rng.sample(NAMES, self.rng.randrange(0, len(NAMES))))
        if "odd-names" in self.features and self.rng.random() < 0.4:
            names += self.rng.sample(ODD_NAMES, self.rng.randrange(1, 4))
        self.rng.shuffle(names)
        document = {name: self._named(name) for name in names}
        if "large" in self.features and self.rng.random() < 0.1:
            document["filler"] = "x" * self.rng.choice((20_000, 300_000))
        if "zero-timestamps" in self.features and self.rng.random() < 0.2:
            document["zero"] = Timestamp(0, 0)
        return document

    def document(self, key: Any) -> dict[str, Any] | RawBSONDocument:
        fields = self.fields()
        document = {"_id": key, **fields}
        if self.rng.random() < 0.2:  # the server moves _id to the front
            document = {**fields, "_id": key}
        return self._odd(document)

    def replacement(self) -> dict[str, Any]:
        """Without names that would make it an update."""
        return {name: value for name, value in self.fields().items() if not name.startswith("$")}

    def _named(self, name: str) -> Any:
        """Some names keep to one type most of the time, for operators that insist on it."""
        if self.rng.random() < 0.8:
            if name == "arr":
                return self.array()
            if name == "n":
                return self.number()
            if name == "sub":
                return self.subdocument()
        return self.value()

    def _odd(self, document: dict[str, Any]) -> dict[str, Any] | RawBSONDocument:
        """Perhaps with types that Python does not have."""
        if "types" in self.features and self.rng.random() < 0.1:
            return _with_fields(document, self.rng.choice(_DEPRECATED))
        return document

    def doubled(self) -> RawBSONDocument:
        """A document with a field name twice. Nothing else finds it: mongod itself ends when it computes an update of one."""
        twice = [bson.encode({"twice": self.scalar()})[4:-1] for _ in range(2)]
        return _with_fields({"_id": f"doubled {self.rng.randrange(20)}"}, *twice)


def _with_fields(document: dict[str, Any], *additions: bytes) -> RawBSONDocument:
    body = bson.encode(document)[4:-1] + b"".join(additions)
    return raw(struct.pack("<i", len(body) + 5) + body + b"\x00")


def _text(text: bytes) -> bytes:
    return struct.pack("<i", len(text) + 1) + text + b"\x00"


# undefined, symbol, DBPointer, a NaN with a payload, a date that no calendar has, a DBRef's fields in an odd order
_DEPRECATED = (
    b"\x06undefined\x00",
    b"\x0esymbol\x00" + _text(b"symbol"),
    b"\x0cpointer\x00" + _text(b"d1.a") + bytes(range(12)),
    b"\x01nan\x00" + struct.pack("<Q", 0x7FF8000000000BAD),
    b"\x01nan\x00" + struct.pack("<Q", 0xFFF8000000000001),
    b"\x09date\x00" + struct.pack("<q", 2**62),
    bson.encode({"ref": DBRef("a", 1, "d1")})[4:-1],
)
