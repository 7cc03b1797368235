"""BSON byte by byte: as it is read, and values that drivers do not write, or not in this form, and servers store as they
are."""

from __future__ import annotations

import struct
from typing import Any

import bson
from bson import Decimal128
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

DOUBLE, TEXT, OBJECT, ARRAY, BINARY, UNDEFINED, DATE = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x09
REGEX, DB_POINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, DECIMAL = 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x13
# Of any date: those beyond Python's years stay numbers.
ANY: CodecOptions = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
RAW: CodecOptions = ANY.with_options(document_class=RawBSONDocument, uuid_representation=UuidRepresentation.STANDARD)


def text(value: str) -> bytes:
    content = value.encode() + b"\0"
    return struct.pack("<i", len(content)) + content


def document(*elements: bytes) -> bytes:
    body = b"".join(elements) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def fields_of(fields: dict[str, Any]) -> bytes:
    """The elements of a document of ordinary values."""
    return bson.encode(fields)[4:-1]


def alone(value: Any) -> bytes:
    """A value as the document {"": value}."""
    return bson.encode({"": value}, codec_options=RAW)


class Value:
    """By its type and its bytes."""

    def __init__(self, kind: int, payload: bytes = b"") -> None:
        self.kind, self.payload = kind, payload

    def element(self, name: str) -> bytes:
        return bytes([self.kind]) + name.encode() + b"\0" + self.payload

    def inside(self, name: str = "k") -> Value:
        return Value(OBJECT, document(self.element(name)))

    def query(self) -> RawBSONDocument:
        """For documents with this _id."""
        return raw_document(self.inside("$eq").element("_id"))

    def full(self, **fields: Any) -> RawBSONDocument:
        """A document with this _id."""
        return raw_document(self.element("_id"), fields_of(fields))


def raw_document(*elements: bytes) -> RawBSONDocument:
    return RawBSONDocument(document(*elements), RAW)


def raw(collection: Collection) -> Collection:
    return collection.with_options(codec_options=RAW)


def value(ordinary: Any) -> Value:
    """One that the driver can write."""
    element = fields_of({"": ordinary})
    return Value(element[0], element[2:])


def double(bits: int) -> Value:
    return Value(DOUBLE, struct.pack("<Q", bits))


def decimal(form: str) -> Value:
    return Value(DECIMAL, Decimal128(form).bid)


def date(milliseconds: int) -> Value:
    """Since 1970."""
    return Value(DATE, struct.pack("<q", milliseconds))


def binary(subtype: int, data: bytes) -> Value:
    return Value(BINARY, struct.pack("<iB", len(data), subtype) + data)


def old_binary(data: bytes) -> Value:
    """Subtype 2 has its length once more inside."""
    return binary(2, struct.pack("<i", len(data)) + data)


def symbol(value: str) -> Value:
    return Value(SYMBOL, text(value))


def pointer(collection: str, number: int) -> Value:
    return Value(DB_POINTER, text(collection) + number.to_bytes(12, "big"))


def code(value: str, scope: bytes | None = None) -> Value:
    if scope is None:
        return Value(CODE, text(value))
    content = text(value) + scope
    return Value(CODE_WITH_SCOPE, struct.pack("<i", len(content) + 4) + content)


def regex(pattern: str, options: str) -> Value:
    return Value(REGEX, pattern.encode() + b"\0" + options.encode() + b"\0")
