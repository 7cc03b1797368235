"""Whether both sides hold the same under a filter: names, options, indexes, order of capped collections, raw bytes.

Everything on the target counts: what the filter excludes must not be there. A line begins with the sort of difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from lab.compare import identity
from lab.servers import Pair, ReplicaSet
from pymongo import MongoClient

# Of any date: those beyond Python's years stay numbers.
ANY: CodecOptions = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
RAW: CodecOptions = ANY.with_options(document_class=RawBSONDocument, uuid_representation=UuidRepresentation.STANDARD)
Specs = dict[tuple[str, str], dict[str, bytes]]  # database and collection -> fields of its listCollections entry
BUCKETS = "system.buckets."
SHOWN = 300  # characters of a value


def selects(include: list[str], exclude: list[str], database: str, collection: str) -> bool:
    """The rule of the filter, written down a second time."""

    def among(entries: Iterable[str]) -> bool:
        return any(entry in (f"{database}.*", f"{database}.{collection}") for entry in entries)

    return (not include or among(include)) and not among(exclude)


def differences(pair: Pair, include: list[str], exclude: list[str]) -> list[str]:
    source = {
        name: spec
        for name, spec in _without_halves(_collections(pair.source)).items()
        if selects(include, exclude, name[0], name[1].removeprefix(BUCKETS)) and not _is_temporary(spec)
    }
    target = _collections(pair.target)
    found = [f"names: {_text(name)} is on the {_side(name in source)} only" for name in sorted(source.keys() ^ target.keys())]
    for name in sorted(source.keys() & target.keys()):
        found += _compare_fields("options", _text(name), source[name], target[name])
        if source[name]["type"] == target[name]["type"] and b"view" not in source[name]["type"]:
            found += _compare_indexes(pair, *name)
            found += _compare_documents(pair, *name, in_order=b"capped" in source[name]["options"])
    return found


def _without_halves(found: Specs) -> Specs:
    """Creations of one name side by side, or beside a drop, may leave half a time-series collection, which nobody can read."""

    def is_series(database: str, name: str) -> bool:
        return b"timeseries" in found.get((database, name), {}).get("type", b"")

    def is_lost(database: str, name: str) -> bool:
        if name.startswith(BUCKETS):
            return not is_series(database, name.removeprefix(BUCKETS))
        return is_series(database, name) and (database, BUCKETS + name) not in found

    return {name: spec for name, spec in found.items() if not is_lost(*name)}


def _is_temporary(spec: dict[str, bytes]) -> bool:
    """What a command works with, such as convertToCapped, and may leave behind when it is interrupted."""
    return bool(bson.decode(spec["options"])[""].get("temp"))


def _side(on_source: bool) -> str:
    return "source" if on_source else "target"


def _text(name: tuple[str, str]) -> str:
    return ".".join(name)


def _collections(side: ReplicaSet) -> Specs:
    """system.views is what the views are stored in; the views themselves are compared."""
    found: Specs = {}
    for database in side.databases():
        reply = side.admin[database].command("listCollections", codec_options=RAW)
        for entry in reply["cursor"]["firstBatch"]:
            if entry["name"] not in ("system.views", "system.profile"):
                found[database, entry["name"]] = _fields(entry, without=("name", "info"))
    return found


def _fields(document: RawBSONDocument, without: tuple[str, ...]) -> dict[str, bytes]:
    """Each field as bytes: 1 and 1.0, and another order inside, are differences; the order of the fields is none."""
    return {key: bson.encode({"": value}) for key, value in document.items() if key not in without}


def _compare_fields(sort: str, what: str, left: dict[str, bytes], right: dict[str, bytes]) -> list[str]:
    different = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    return [f"{sort}: {what} {key}: {_shown(left.get(key))} / {_shown(right.get(key))}" for key in different]


def _compare_indexes(pair: Pair, database: str, collection: str) -> list[str]:
    sides = [_indexes(side.admin, database, collection) for side in pair]
    found = []
    for name in sorted(sides[0].keys() | sides[1].keys()):
        if name in sides[0] and name in sides[1]:
            found += _compare_fields("index", f"{database}.{collection} {name}", sides[0][name], sides[1][name])
        else:
            found.append(f"index: {database}.{collection} {name} is on the {_side(name in sides[0])} only")
    return found


def _indexes(client: MongoClient, database: str, collection: str) -> dict[str, dict[str, bytes]]:
    reply = client[database].command("listIndexes", identity(client, database, collection), codec_options=RAW)
    return {spec["name"]: _fields(spec, without=("ns",)) for spec in reply["cursor"]["firstBatch"]}


def _compare_documents(pair: Pair, database: str, collection: str, *, in_order: bool) -> list[str]:
    left, right = (_documents(side.admin, database, collection) for side in pair)
    what = f"{database}.{collection}"
    if left == right:
        return []
    if sorted(left) == sorted(right):
        return [f"order: {what}: {[_id(d) for d in left]} / {[_id(d) for d in right]}"[:1000]] if in_order else []
    missing, surplus = set(left) - set(right), set(right) - set(left)
    by_id = {_id(document): document for document in surplus}
    counts = f"{len(left)} / {len(right)} documents, {len(missing)} differ or are missing, {len(surplus)} differ or are surplus"
    found = [f"documents: {what}: {counts}"]
    for document in sorted(missing)[:3]:
        found.append(f"  {_id(document)}: {_contrast(document, by_id.pop(_id(document), None))}")
    for document in sorted(by_id.values())[:3]:
        found.append(f"  {_id(document)}: {_contrast(None, document)}")
    return found


def _documents(client: MongoClient, database: str, collection: str) -> list[bytes]:
    """In natural order."""
    cursor = client[database].get_collection(collection, codec_options=RAW).find(hint={"$natural": 1}, batch_size=10000)
    return [bytes(document.raw) for document in cursor]


# -- for people --------------------------------------------------------------------------------------------------------
def _id(document: bytes) -> str:
    return _shown(bson.encode({"": RawBSONDocument(document, RAW)["_id"]}))


def _contrast(left: bytes | None, right: bytes | None) -> str:
    """Both sides of what differs; of one document only the fields that do."""
    if left is None or right is None:
        return f"{_whole(left)} / {_whole(right)}"
    sides = [_fields(RawBSONDocument(document, RAW), without=()) for document in (left, right)]
    names = [name for name in sides[0] | sides[1] if sides[0].get(name) != sides[1].get(name)]
    if not names:
        return f"order of fields {list(sides[0])} / {list(sides[1])}"
    return "; ".join(f"{name}: {_shown(sides[0].get(name))} / {_shown(sides[1].get(name))}" for name in names[:4])


def _whole(document: bytes | None) -> str:
    return "nothing" if document is None else _shown(bson.encode({"": RawBSONDocument(document, RAW)}))


def _shown(value: bytes | None) -> str:
    """A value that was encoded as {"": value}."""
    if value is None:
        return "nothing"
    try:
        decoded: Any = bson.decode(value, ANY)[""]
    except (bson.errors.BSONError, ValueError, OverflowError):
        return value[:100].hex()
    text = repr(decoded)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
