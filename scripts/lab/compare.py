"""Whether two replica sets hold the same: databases, collections, options, indexes, and documents byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from .servers import ReplicaSet

RAW = CodecOptions(document_class=RawBSONDocument)
NEVER_EXPIRES = 2147483647
SERVERS_OWN = ("system.views", "system.profile")
Spec = dict[str, Any]


def plain_index(spec: Spec) -> Spec:
    """An index as the target has it before finalize: nothing that rejects, removes or hides."""
    if spec.get("clustered"):  # it belongs to the options
        return spec
    plain = {key: value for key, value in spec.items() if key not in ("unique", "hidden", "prepareUnique")}
    if "expireAfterSeconds" in plain:
        plain["expireAfterSeconds"] = NEVER_EXPIRES
    return plain


def collections(client: MongoClient, database: str) -> dict[str, Spec]:
    """Collections and views by name, with all their options, without what differs by nature (the UUID). Of system
    collections those that are data of users: buckets of time-series, and system.js."""
    found = {}
    for spec in client[database].list_collections():
        if spec["name"] not in SERVERS_OWN:
            spec["info"].pop("uuid", None)
            found[spec["name"]] = dict(spec)
    return found


def identity(client: MongoClient, database: str, collection: str) -> Any:
    """By which to list indexes: the UUID; of a time-series collection, which has none, the name. To a name a server
    answers with the indexes of buckets of that name, also when they are lost and the name is another collection's."""
    reply = client[database].command("listCollections", filter={"name": collection})
    return reply["cursor"]["firstBatch"][0]["info"].get("uuid", collection)


def indexes(client: MongoClient, database: str, collection: str) -> dict[str, bytes]:
    """Index specifications by name. As bytes, because the order of the keys counts; fields sorted, theirs does not."""
    found = {}
    command = {"listIndexes": identity(client, database, collection), "cursor": {"batchSize": 1000}}
    for spec in client[database].command(command)["cursor"]["firstBatch"]:
        fields = {key: value for key, value in spec.items() if key != "ns"}
        found[fields["name"]] = fields
    return {name: _canonical(spec) for name, spec in found.items()}


def _canonical(spec: Spec) -> bytes:
    return bson.encode(dict(sorted(spec.items())))


def documents(client: MongoClient, database: str, collection: str, *, natural: bool = False) -> Iterator[bytes]:
    """Every document as it is stored, in order of _id or in natural order."""
    order = "$natural" if natural else "_id"
    cursor = client[database].get_collection(collection, codec_options=RAW).find(sort=[(order, 1)], batch_size=10000)
    return (document.raw for document in cursor)


def differences(
    source: ReplicaSet, target: ReplicaSet, databases: Iterable[str] | None = None, *, synchronising: bool = False
) -> list[str]:
    """One line for each difference; none means equal. While synchronising, indexes are expected in their plain form."""
    found: list[str] = []
    if databases is None:
        databases = source.databases()
        surplus = set(target.databases()) - set(databases)
        found += [f"database {name} is on the target only" for name in sorted(surplus)]
    for database in databases:
        found += _database_differences(source.admin, target.admin, database, plain_index if synchronising else None)
    return found


def _database_differences(
    source: MongoClient, target: MongoClient, database: str, expected_index: Callable[[Spec], Spec] | None
) -> list[str]:
    left, right = collections(source, database), collections(target, database)
    found = [f"{database}.{name} is on one side only" for name in sorted(left.keys() ^ right.keys())]
    for name in sorted(left.keys() & right.keys()):
        if expected_index:  # collections expire nothing before finalize
            left[name]["options"].pop("expireAfterSeconds", None)
        if _canonical(left[name]) != _canonical(right[name]):
            found.append(f"{database}.{name} has other options: {left[name]} / {right[name]}")
        if left[name]["type"] == "view":
            continue
        found += _index_differences(source, target, database, name, expected_index)
        if left[name]["type"] == "collection":  # the documents of time-series are those of their buckets
            in_order = bool(left[name]["options"].get("capped"))
            found += _document_differences(source, target, database, name, natural=in_order)
    return found


def _index_differences(
    source: MongoClient, target: MongoClient, database: str, name: str, expected_index: Callable[[Spec], Spec] | None
) -> list[str]:
    left, right = indexes(source, database, name), indexes(target, database, name)
    if expected_index:
        left = {key: _canonical(expected_index(bson.decode(spec))) for key, spec in left.items()}
    found = [f"index {database}.{name} {key} is on one side only" for key in sorted(left.keys() ^ right.keys())]
    for key in sorted(left.keys() & right.keys()):
        if left[key] != right[key]:
            found.append(f"index {database}.{name} {key}: {bson.decode(left[key])} / {bson.decode(right[key])}")
    return found


def _document_differences(
    source: MongoClient, target: MongoClient, database: str, name: str, *, natural: bool
) -> list[str]:
    """The first difference tells enough; the counts tell how much is missing."""
    pairs = zip_longest(*(documents(side, database, name, natural=natural) for side in (source, target)))
    for position, (left, right) in enumerate(pairs):
        if left != right:
            counts = [client[database][name].count_documents({}) for client in (source, target)]
            return [f"{database}.{name} document {position} of {counts}: {_contrast(left, right)}"]
    return []


def _contrast(left: bytes | None, right: bytes | None) -> str:
    """Both sides of what differs; of one document only the fields that do."""
    if left is None or right is None:
        return f"{_text(left)} / {_text(right)}"
    try:
        fields = [bson.decode(document) for document in (left, right)]
    except bson.errors.BSONError:
        return f"{_text(left)} / {_text(right)}"
    names = [name for name in fields[0].keys() | fields[1].keys() if fields[0].get(name) != fields[1].get(name)]
    if not names:
        return f"_id {fields[0]['_id']!r}, order of fields {list(fields[0])} / {list(fields[1])}"
    shown = [{name: side[name] for name in names if name in side} for side in fields]
    return f"_id {fields[0]['_id']!r}, {str(shown[0])[:300]} / {str(shown[1])[:300]}"


def _text(document: bytes | None) -> str:
    if document is None:
        return "nothing"
    try:
        return str(bson.decode(document))[:300]
    except bson.errors.BSONError:
        return document[:100].hex()
