"""What happened on the source behind a moment, as its oplog tells: what is still as it was then."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bson import Timestamp
from lab.raw import RAW, alone
from lab.servers import ReplicaSet

Name = tuple[str, str]  # database, collection
BUCKETS = "system.buckets."
_NOT_OURS = ("admin", "config", "local")
_CHANGES = ("startIndexBuild", "commitIndexBuild", "abortIndexBuild", "createIndexes", "dropIndexes", "collMod")
_ENDS = ("dropDatabase", "commitTransaction", "abortTransaction")  # what they concern has entries of its own
# What plm says of collections that were written behind the end of replication.
_RIGHTLY = re.compile(
    r"(.*?) (?:has \d+ documents, on the source \d+ \(they differ rightly if it was written after finalize began\)"
    r"|has its documents in another natural order than on the source \(rightly if"
    r"|could not be (?:counted on the source|compared): )"
)
# What a command of the application works with is no collection to a listing, and one to the stream.
_WORKING = re.compile(r"(.*?\.tmp.*) is on the target and not on the source$")


@dataclass
class Behind:
    """By itself nothing happened."""

    time: Timestamp | None = None  # the moment; none: now
    reads_ahead: bool = False  # documents that were written since may be as they were at any later time
    entries: int = 0
    written: dict[Name, set[bytes]] = field(default_factory=dict)  # _ids of changed documents, as {"": _id}
    changed: set[Name] = field(default_factory=set)  # other indexes or options
    there: dict[Name, bool] = field(default_factory=dict)  # dropped, created, renamed: whether there was something then
    unclear: set[Name] = field(default_factory=set)
    lost_views: set[str] = field(default_factory=set)  # databases that were dropped, their views without a word

    def add(self, entry: Mapping[str, Any]) -> None:
        """The next entry of the oplog, or of a transaction in it. An unknown command is an error."""
        database, _, collection = entry["ns"].partition(".")
        if entry["op"] == "c":
            self._add_command(database, entry)
        elif entry["op"] != "n" and database not in _NOT_OURS:
            self.entries += 1
            key = entry["o2" if entry["op"] == "u" else "o"]["_id"]
            if collection == "system.views":
                self._add_view(entry["op"], (database, key.partition(".")[2]))
            else:
                for name in {(database, collection), _series((database, collection))}:
                    self.written.setdefault(name, set()).add(alone(key))

    def _add_view(self, operation: str, name: Name) -> None:
        if operation == "u":
            self.changed.add(name)
        else:
            self._moved(name, was_there=operation == "d")

    def _add_command(self, database: str, entry: Mapping[str, Any]) -> None:
        what = entry["o"]
        kind, value = next(iter(what.items()))
        if kind == "applyOps":
            for inner in value:
                self.add(inner)
        elif database in _NOT_OURS or kind in _ENDS:
            pass
        elif kind == "renameCollection":
            self._moved(_split(value), was_there=True)
            self._moved(_split(what["to"]), was_there=bool(what.get("dropTarget")))
        elif kind == "drop" and value == "system.views":
            self.lost_views.add(database)
        elif kind in ("drop", "create"):
            self._moved((database, value), was_there=kind == "drop")
        elif kind in _CHANGES:
            self.changed |= {(database, value), _series((database, value))}
        else:
            raise ValueError(f"a command of the oplog that is not known here: {entry}")

    def _moved(self, name: Name, *, was_there: bool) -> None:
        """The first of these that befalls a name tells what it was before."""
        if name in self.there or name in self.unclear or name[1] == "system.views":
            return
        if name[1].startswith("tmp") or (name[0] in self.lost_views and not was_there):
            self.unclear.add(name)  # what a command works with; or perhaps the name of a view
        else:
            self.there[name] = was_there

    def is_unclear(self, name: Name, names: Collection[Name], *, is_view: bool) -> bool:
        """Whether nobody knows what it stood for, as half a time-series collection came or went, or a view with its
        database. `names`: what is there now."""
        if name in self.unclear or (is_view and name[0] in self.lost_views and name not in self.there):
            return True
        series = _series(name)
        buckets = (name[0], BUCKETS + series[1])
        return (buckets in names or buckets in self.there) and self.there.get(buckets) != self.there.get(series)

    def explains(self, line: str) -> bool:
        """Whether this line of plm's report is about something that it rightly finds another way."""
        if about := _WORKING.match(line):
            return about[1] in {".".join(name) for name in self.unclear}
        if not (about := _RIGHTLY.match(line)):
            return False
        return about[1] in {".".join(_series(name)) for name in self.written.keys() | self.there.keys() | self.unclear}


def _series(name: Name) -> Name:
    """The time-series collection of these buckets; any other name as it is."""
    return name[0], name[1].removeprefix(BUCKETS)


def _split(namespace: str) -> Name:
    database, _, collection = namespace.partition(".")
    return database, collection


def behind(source: ReplicaSet, time: Timestamp, *, reads_ahead: bool) -> Behind:
    """Of a source that is not written any more."""
    return replay(time, source.admin.local.get_collection("oplog.rs", RAW).find({"ts": {"$gt": time}}), reads_ahead)


def replay(time: Timestamp, entries: Iterable[Mapping[str, Any]], reads_ahead: bool = False) -> Behind:
    out = Behind(time, reads_ahead)
    for entry in entries:
        out.add(entry)
    return out
