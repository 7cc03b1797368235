"""Whether both sides hold the same under a filter: names, options, indexes, order of capped collections, raw bytes.

Everything on the target counts: what the filter excludes must not be there. A line begins with the sort of difference.
Where the source went on, the target is compared with what the source held at a moment: documents by snapshot reads, the
rest as far as it is still the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bson
from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from lab.compare import identity
from lab.raw import ANY, RAW, alone
from lab.servers import Pair, ReplicaSet
from pymongo import MongoClient

from .behind import BUCKETS, Behind, Name

Specs = dict[Name, dict[str, bytes]]  # the fields of entries of listCollections
SHOWN = 300  # characters of a value
NOTHING = Behind()
_VIEW, _SERIES = _VIEWS = alone("view"), alone("timeseries")


def selects(include: list[str], exclude: list[str], database: str, collection: str) -> bool:
    """The rule of the filter, written down a second time."""

    def among(entries: Iterable[str]) -> bool:
        return any(entry in (f"{database}.*", f"{database}.{collection}") for entry in entries)

    return (not include or among(include)) and not among(exclude)


def differences(pair: Pair, include: list[str], exclude: list[str], behind: Behind = NOTHING) -> list[str]:
    """`behind`: what happened on the source since the moment that counts."""
    now = _without_halves(_collections(pair.source))
    source = {name: spec for name, spec in now.items() if not _is_temporary(spec)}
    source, target = _selected(_as_it_was(source, behind), include, exclude), _collections(pair.target)
    for name in _unclear(source, target, behind):
        source.pop(name, None)
        target.pop(name, None)
    found = [f"names: {_text(name)} is on the {_side(name in source)} only" for name in sorted(source.keys() ^ target.keys())]
    for name in sorted(source.keys() & target.keys() - behind.there.keys()):
        found += _compare(pair, name, source[name], target[name], behind)
    return found


def _selected(specs: Specs, include: list[str], exclude: list[str]) -> Specs:
    def is_selected(database: str, collection: str) -> bool:
        return selects(include, exclude, database, collection.removeprefix(BUCKETS))

    return {name: spec for name, spec in specs.items() if is_selected(*name)}


def _as_it_was(source: Specs, behind: Behind) -> Specs:
    """The names of that moment. Of what has another name since then, or none, nothing but the name is known."""
    kept = {name: spec for name, spec in source.items() if name not in behind.there}
    return kept | {name: {} for name, was_there in behind.there.items() if was_there}


def _unclear(source: Specs, target: Specs, behind: Behind) -> list[Name]:
    names = source.keys() | target.keys()

    def is_view(name: Name) -> bool:
        return any(specs[name].get("type") in _VIEWS for specs in (source, target) if name in specs)

    return [name for name in names if behind.is_unclear(name, names, is_view=is_view(name))]


def _compare(pair: Pair, name: Name, left: dict[str, bytes], right: dict[str, bytes], behind: Behind) -> list[str]:
    """What has one name on both sides."""
    found = []
    if name not in behind.changed:
        found += _compare_fields("options", _text(name), left, right)
    if left["type"] != right["type"] or left["type"] == _VIEW:
        return found
    if name not in behind.changed:
        found += _compare_indexes(pair, *name)
    is_capped = b"capped" in left["options"]
    # Those of time-series are compared as their buckets, too.
    lost = name in behind.written and (is_capped or left["type"] == _SERIES and behind.reads_ahead)
    return found if lost else found + _compare_documents(pair, *name, in_order=is_capped, behind=behind)


def _without_halves(found: Specs) -> Specs:
    """Creations of one name side by side, or beside a drop, may leave half a time-series collection, which nobody can read."""

    def is_series(database: str, name: str) -> bool:
        return found.get((database, name), {}).get("type") == _SERIES

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


def _text(name: Name) -> str:
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
    return {key: alone(value) for key, value in document.items() if key not in without}


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


def _compare_documents(pair: Pair, database: str, collection: str, *, in_order: bool, behind: Behind) -> list[str]:
    written = behind.written.get((database, collection))
    left = _documents(pair.source.admin, database, collection, behind.time if written else None)
    right = _documents(pair.target.admin, database, collection)
    if written and behind.reads_ahead:
        left, right = ([document for document in side if _key(document) not in written] for side in (left, right))
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


def _documents(client: MongoClient, database: str, collection: str, time: Timestamp | None = None) -> list[bytes]:
    """In natural order; those of this time, or of now."""
    command: dict[str, Any] = {"find": collection, "hint": {"$natural": 1}, "batchSize": 10000}
    if time:
        command["readConcern"] = {"level": "snapshot", "atClusterTime": time}
    cursor = client.get_database(database, RAW).cursor_command(command, codec_options=RAW)
    return [bytes(document.raw) for document in cursor]


def _key(document: bytes) -> bytes:
    """Measurements may have none."""
    return alone(RawBSONDocument(document, RAW).get("_id"))


# -- for people --------------------------------------------------------------------------------------------------------
def _id(document: bytes) -> str:
    return _shown(_key(document))


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
    return "nothing" if document is None else _shown(alone(RawBSONDocument(document, RAW)))


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
